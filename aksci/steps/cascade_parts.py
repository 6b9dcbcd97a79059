"""What the steps of a cascade have in common: the environment's parts, and how a result is kept."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

from aksci.cascade.base_policy import check_policy
from aksci.cascade.cascade_plan import Chooser
from aksci.cascade.cascade_report import Cascade, gone_on, scope_of, within
from aksci.cascade.cascade_scope import CascadeScope, read_bases
from aksci.cascade.dependents.loop_guard import chain_of
from aksci.cascade.drift import PolicyDigests
from aksci.core.errors import RegistryError, UnreachableError
from aksci.images.build.build_record import read_failures
from aksci.images.lookup import Lookup
from aksci.steps.graph_step import graph as project_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from aksci.cascade.cascade_plan import Choice
    from aksci.environment import Environment
    from aksci.oci.references import ImageRef
    from aksci.supply.release.release import ReleaseImage

__all__ = ["CHAIN", "chooser_for", "first_result", "keep", "open_scope", "scope_for"]

CHAIN = "AKSCI_CASCADE_CHAIN"
"""The variable with the projects that asked each other for this cascade."""


def open_scope(
    env: Environment, bases: Collection[str] = (), *, registry_wide: bool = False
) -> CascadeScope:
    """Read what a cascade is to look at; refuse what makes no sense before anything is started.

    :raises ConfigError: aksci.toml or a Dockerfile is wrong.
    :raises UsageError: a base is none, or the list of who asked is not one.
    """
    config = env.config.cascade
    check_policy(config)
    graph = project_graph(env)
    chain = chain_of(env.variables.get(CHAIN, ""))
    named = read_bases(
        bases,
        graph,
        config,
        asked=bool(chain),
        elsewhere=registry_wide,
        warn=env.reporter.warning,
    )
    digests = PolicyDigests(env.resolver)
    return CascadeScope(graph=graph, policy_digests=digests, chain=chain, named=named)


def scope_for(env: Environment, cascade: Cascade) -> CascadeScope:
    """Return what a cascade has looked at; where it was not made by a step, all."""
    return scope_of(cascade) or open_scope(env)


def chooser_for(
    env: Environment,
    scope: CascadeScope,
    *,
    batch: bool,
    trusted: Callable[[ImageRef, str], bool] | None,
) -> Chooser:
    """Return what decides on each image.

    :param trusted: returns whether a build is trusted. None: all are.
    """
    lookup = Lookup(
        graph=scope.graph,
        registry=env.registry,
        bases=env.bases,
        failures=read_failures(env.work_folder),
        known=env.known_files,
        trusted=trusted,
    )
    return Chooser(
        lookup=lookup,
        config=env.config.cascade,
        policy_digests=scope.policy_digests,
        only=scope.named.only,
        batch=batch,
        failures=lookup.failures,
        trusted=trusted,
        key_of=env.trust.key_of if trusted is not None else None,
        released=_released(env, verified=trusted is not None),
    )


def _released(env: Environment, *, verified: bool) -> Callable[[str], str | None]:
    """Return what tells the digests of the last release; it is read when it is first asked for."""

    @cache
    def images() -> Mapping[str, ReleaseImage]:
        from aksci.supply.release.find_release import latest_release
        from aksci.supply.release.make_release import load_release

        try:
            ref = latest_release(env.registry, env.config.project.name)
            if ref is None or (verified and not env.trust.trusts_release(ref)):
                return {}
            return load_release(env.registry, ref).images
        except UnreachableError:
            raise
        except RegistryError:  # it is damaged, and says nothing
            return {}

    def digest(name: str) -> str | None:
        image = images().get(name)
        return image.ref.digest if image else None

    return digest


def first_result(
    env: Environment,
    scope: CascadeScope,
    choices: Mapping[str, Choice],
    *,
    planned: bool,
    step: str,
    began: float,
    **found: Any,
) -> Cascade:
    """Return what the first step of a cascade has found.

    :param began: by the monotonic clock.
    :param found: further fields of ``Cascade``.
    """
    cascade = Cascade(
        project=env.config.project.name,
        environment=env.name,
        run=env.run_id,
        created=env.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        planned=planned,
        drift=tuple(edge for name in sorted(choices) for edge in choices[name].edges),
    )
    return gone_on(within(cascade, scope), step, time.monotonic() - began, **found)


def keep(env: Environment, cascade: Cascade) -> Cascade:
    """Note a result for the run record, and keep what was done in ``.aksci/cascade.json``."""
    from aksci.report.cascade_formats import cascade_document, save_cascade_report

    if not cascade.planned:
        save_cascade_report(env.work_folder, cascade)
    env.note("cascade", cascade_document(cascade))
    return cascade
