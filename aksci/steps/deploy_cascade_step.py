"""The step ``deploy_cascade``: the environments that opted in get what a cascade has released."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aksci.cascade.cascade_environments import EnvironmentActions, deploy_continued
from aksci.cascade.cascade_report import gone_on
from aksci.core.errors import AksciError, Interrupted
from aksci.deploy.state.deploy_record import read_record
from aksci.steps.cascade_parts import keep
from aksci.steps.deploy_step import deploy
from aksci.steps.plan_promote_step import gate_refusals
from aksci.steps.promote_step import promote
from aksci.supply.release.continued import continues
from aksci.supply.release.find_release import latest_release

if TYPE_CHECKING:
    from aksci.cascade.cascade_report import Cascade, EnvironmentOutcome
    from aksci.deploy.deploy_release import DeployResult
    from aksci.deploy.state.deploy_record import DeployRecord
    from aksci.environment import Environment
    from aksci.oci.references import ImageRef

__all__ = ["actions_in", "deploy_cascade"]


def deploy_cascade(env: Environment, cascade: Cascade) -> Cascade:
    """Bring the last release to the environments that opted in (``cascade = true``).

    It is deployed where the release before runs, or one earlier in the same signed chain, and
    promoted, through the gates, where ``promote_from`` says so. All else is left, and told. The
    last release counts even if this cascade had nothing to do: an earlier one may have died before
    its end, or a gate may let it pass now. Of a plan, nothing is changed.

    >>> done = deploy_cascade(env, done)  # doctest: +SKIP
    >>> {one.name: one.outcome for one in done.environments}  # doctest: +SKIP
    {'staging': 'deployed', 'production': 'waits'}

    :param cascade: what ``cascade`` or ``plan_cascade`` has found.
    :returns: it with ``environments``, and with the first error of a deployment; the others went
        on.
    """
    environments = {env.name: env.settings, **env.config.environments}
    if not any(one.cascade for one in environments.values()):
        return cascade
    began = time.monotonic()
    here = env.looking if cascade.planned else env
    outcomes: tuple[EnvironmentOutcome, ...] = ()
    error: AksciError | None
    try:
        # What somebody has released meanwhile is the last one, and not to be undone by ours.
        release = latest_release(here.registry, env.config.project.name)
        if release is None:
            return cascade
        if not cascade.planned and env.settings.cascade and env.endpoints.embedded:
            env.prepare(cluster=True)
        with env.reporter.group("deploy"):
            outcomes, error = deploy_continued(
                release,
                environments,
                start=env.name,
                actions=actions_in(here),
                plan_only=cascade.planned,
                to_come=cascade.planned and any(one.action != "kept" for one in cascade.images),
            )
    except Interrupted:
        raise
    except AksciError as failure:  # the report still tells what was made
        error = failure
    seconds = time.monotonic() - began
    return keep(env, gone_on(cascade, "deploy", seconds, error, environments=outcomes))


def actions_in(env: Environment) -> EnvironmentActions:
    """Return how the environments beside one are looked at and changed."""

    def look(name: str) -> DeployRecord:
        with env.at(name).looking.cluster() as cluster:
            return read_record(cluster)

    def deploy_there(name: str, ref: ImageRef) -> tuple[str, ...]:
        return _rolled_out(deploy(env.at(name), ref))

    def promote_there(name: str, ref: ImageRef) -> tuple[str, ...]:
        there = env.at(name)
        return _rolled_out(deploy(there, promote(there.promoted_from, there, ref)))

    def refusals(name: str, ref: ImageRef) -> tuple[str, ...]:
        there = env.at(name)
        return gate_refusals(there.promoted_from, there, ref)

    return EnvironmentActions(
        registry=lambda name: env.at(name).looking.endpoints.registry,
        source=lambda name: env.at(name).promoted_from.name,
        look=look,
        deploy=deploy_there,
        promote=promote_there,
        refusals=refusals,
        continues=lambda release, before: continues(release, before, signer=env.signer),
    )


def _rolled_out(result: DeployResult) -> tuple[str, ...]:
    """Return the services that a deployment has rolled out."""
    return tuple(each.service for each in result.services if each.action != "skip")
