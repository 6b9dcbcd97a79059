"""The step ``ask_owners``: dependents in other repositories, whose owners' pipelines are asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aksci.cascade.cascade_report import gone_on
from aksci.cascade.dependents.ask_owners import Asking, meant_now, own_repositories, problem_of
from aksci.cascade.dependents.find_dependents import find_dependents
from aksci.cascade.dependents.image_records import LineageCache
from aksci.core.errors import AksciError, Interrupted
from aksci.steps.cascade_parts import keep, scope_for

if TYPE_CHECKING:
    from aksci.cascade.cascade_report import Cascade, Dependent
    from aksci.environment import Environment

__all__ = ["ask_owners"]


def ask_owners(env: Environment, cascade: Cascade) -> Cascade:
    """Find what other repositories of the registry have built on what moved; ask their owners.

    We never make another project's image. The owner that [[cascade.owners]] names for it is
    asked to run a cascade, once for a change. With a plan, no owner is asked.

    >>> done = ask_owners(env, cascade(env, registry_wide=True))  # doctest: +SKIP
    >>> [(one.repository, one.action) for one in done.dependents]  # doctest: +SKIP
    [('payments/api', 'asked')]

    :param cascade: what ``cascade`` or ``plan_cascade`` has found.
    :returns: it with ``dependents``, parents first, and with the error, if there was one: the
        registry can't list its repositories, a place could not be looked at, or an owner could not
        be asked.
    """
    began = time.monotonic()
    here = env.looking if cascade.planned else env
    dependents: tuple[Dependent, ...] = ()
    error: AksciError | None
    try:
        with env.reporter.group("registry"):
            dependents, error = _ask(here, cascade)
    except Interrupted:
        raise
    except AksciError as failure:  # this project's results are reported nevertheless
        error = failure
    seconds = time.monotonic() - began
    return keep(env, gone_on(cascade, "registry", seconds, error, dependents=dependents))


def _ask(env: Environment, cascade: Cascade) -> tuple[tuple[Dependent, ...], AksciError | None]:
    registry, config = env.registry, env.config
    scope = scope_for(env, cascade)
    repositories = registry.repositories()
    survey = find_dependents(
        registry,
        moved=meant_now(cascade, scope, host=registry.host, digest=env.resolver.digest),
        own=own_repositories(scope, config.project.name, repositories),
        cache=LineageCache(env.cache / "lineage"),
        repositories=repositories,
    )
    problem = problem_of(survey, registry.host, env.reporter.warning)
    asking = Asking(
        config=config,
        registry=registry,
        variables=env.variables,
        now=env.now,
        run_id=env.run_id,
        reporter=env.reporter,
        chain=scope.chain,
        planned=cascade.planned,
    )
    dependents = asking.ask(survey.found)
    return dependents, asking.error or problem
