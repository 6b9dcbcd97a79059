"""The step ``plan``: what a build would do now, and why. It changes and starts nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aksci.images.build.build_record import read_failures
from aksci.images.build_plan import plan_build, work_document
from aksci.images.selection import names_of, select
from aksci.steps.graph_step import graph
from aksci.steps.policy_bases import policy_bases

if TYPE_CHECKING:
    from collections.abc import Collection

    from aksci.environment import Environment
    from aksci.images.build_plan import BuildPlan
    from aksci.images.graph import Graph

__all__ = ["plan", "plan_graph"]


def plan(
    env: Environment,
    *,
    only: Collection[str] = (),
    with_dependents: bool = False,
    force: Collection[str] = (),
) -> BuildPlan:
    """Decide what ``build`` would do now: each image with its action and the reasons.

    >>> plan(env, only=["web"]).to_build  # doctest: +SKIP
    ('base', 'web')

    :param only: these images and what they need; empty: all.
    :param with_dependents: with ``only``, also all that is built on those images.
    :param force: images that are built even if they are published.
    :raises ConfigError: there is no such image.
    :raises UndecidedError: images can't be planned, since a base can't be resolved; its ``plan``
        holds the others.
    :raises RegistryError: the registry does not answer; it is not started.
    """
    found = graph(env)
    selected = select(found, only, with_dependents=with_dependents)
    planned = plan_graph(env, found, force=names_of(force, "force"), selected=selected)
    env.note("plan", {"work": work_document(planned)})
    return replace(planned, only=tuple(sorted(only)), with_dependents=with_dependents)


def plan_graph(
    env: Environment,
    found: Graph,
    *,
    force: frozenset[str] = frozenset(),
    selected: frozenset[str] | None = None,
) -> BuildPlan:
    """Plan a build of the project's graph in an environment; nothing is started.

    :param selected: the images to look at, with all that they need; None: all.
    """
    here = env.looking
    return plan_build(
        found,
        registry=here.registry,
        bases=policy_bases(here, found),
        force=force,
        selected=selected,
        failures=read_failures(env.work_folder),
        known=env.known_files,
    )
