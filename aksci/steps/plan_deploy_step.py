"""The step ``plan_deploy``: what a deployment, or the way back, would do. It changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.deploy import deploy_plan
from aksci.steps.deployment import as_reference, earlier_release, opened, prepare_deploy

if TYPE_CHECKING:
    from aksci.deploy.deploy_plan import DeployPlan
    from aksci.deploy.opened_release import OpenedRelease
    from aksci.environment import Environment
    from aksci.oci.references import ImageRef
    from aksci.supply.release.release import Release

__all__ = ["look_and_plan", "plan_deploy"]


def plan_deploy(
    env: Environment, release: Release | ImageRef | str | None = None, *, rollback: bool = False
) -> DeployPlan:
    """Verify a release, and decide what ``deploy`` or ``rollback`` would do with each service.

    >>> plan = plan_deploy(env, env.last_release())  # doctest: +SKIP
    >>> {service.name: service.action for service in plan.services}  # doctest: +SKIP
    {'web': 'upgrade', 'worker': 'skip'}
    >>> deploy(env, plan)  # just this, or nothing  # doctest: +SKIP

    The embedded platform is started for it where it is down, but no namespace is made. The charts
    of ``plan.release`` are on disk only while the plan is made.

    :param release: in the environment's registry; a text is ``registry/repository@sha256:…``.
        With ``rollback`` it may be left out: the release before the current one.
    :param rollback: go back to an earlier release of this environment's history, without its pre
        steps. A text may then be a part of the digest, 6 digits at least.
    :raises UsageError: there is no such release, or it is in another registry.
    :raises TrustError: it is another project's, or something of it is not trusted.
    :raises ConfigError: a values file is missing, or the release lacks a service of aksci.toml.
    :raises ClusterError: the cluster can't be reached.
    """
    ref = earlier_release(env, release) if rollback else as_reference(release)
    prepare_deploy(env)
    with opened(env, ref) as found:
        planned = look_and_plan(env, found, rollback=rollback)
    env.note("plan_deploy", planned.as_json())
    return planned


def look_and_plan(env: Environment, release: OpenedRelease, *, rollback: bool) -> DeployPlan:
    """Compare an opened release with what is in the environment now."""
    with env.cluster(only_look=True) as cluster:
        return deploy_plan.plan_deploy(
            release,
            env.config.services,
            env.name,
            env.settings,
            deploy_plan.read_state(cluster, env.target.observe),
            root=env.root,
            rollback=rollback,
        )
