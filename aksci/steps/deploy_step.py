"""The step ``deploy``: pre steps, Helm, rollout, post steps, for each service of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.deploy.deploy_plan import DeployPlan
from aksci.deploy.deploy_plan_changes import require_same_plan
from aksci.deploy.deploy_release import deploy_release
from aksci.oci.references import ImageRef
from aksci.steps.deployment import as_reference, opened, prepare_deploy
from aksci.steps.plan_deploy_step import look_and_plan

if TYPE_CHECKING:
    from aksci.deploy.deploy_release import DeployResult
    from aksci.environment import Environment
    from aksci.supply.release.release import Release

__all__ = ["deploy", "roll_out_release"]


def deploy(
    env: Environment, release_or_plan: Release | ImageRef | str | DeployPlan | None
) -> DeployResult:
    """Verify a release, and roll out what differs from it, in the order of ``needs``.

    >>> result = deploy(env, release)  # doctest: +SKIP
    >>> {each.service: each.action for each in result.services}  # doctest: +SKIP
    {'web': 'upgrade', 'worker': 'skip'}

    It rolls back a service that fails, and only that one. With nothing to do, it takes no lock.

    :param release_or_plan: a release as ``plan_deploy`` takes it, or its plan, which is applied
        exactly or not at all. ``env.last_release()`` is the last build's. None, which ``publish``
        returns for a partial build, is refused.
    :raises PlanChangedError: the plan does not hold any more; the message says why. Nothing was
        changed.
    :raises UsageError: there is no such release, or it is in another registry.
    :raises TrustError: something of the release is not trusted, or a chart runs what is not in it.
    :raises LockError: another run deploys here, and does not end.
    :raises StepError: a pre or post step failed.
    :raises RolloutError: a service did not become healthy; the message holds the diagnosis.
    :raises DeployError: Helm or Kubernetes refused it.
    """
    if isinstance(release_or_plan, DeployPlan):
        plan = release_or_plan
        ref = ImageRef.parse(plan.release.reference)
        result = roll_out_release(env, ref, rollback=plan.rollback, planned=plan)
    else:
        ref = as_reference(release_or_plan)
        result = roll_out_release(env, ref)
    env.note("deploy", result.as_json())
    return result


def roll_out_release(
    env: Environment, ref: ImageRef, *, rollback: bool = False, planned: DeployPlan | None = None
) -> DeployResult:
    """Verify a release in the environment's registry and roll it out.

    :param planned: do this and nothing else.
    """
    prepare_deploy(env)
    with opened(env, ref) as release:
        # First by a look alone: to connect as who deploys may make the namespace.
        if planned is not None:
            require_same_plan(planned, look_and_plan(env, release, rollback=rollback))
        with env.cluster() as cluster:
            result = deploy_release(
                release,
                env.config.services,
                env.name,
                env.settings,
                root=env.root,
                cluster=cluster,
                target=env.target,
                reporter=env.reporter,
                now=env.now,
                run_id=env.run_id,
                rollback=rollback,
                planned=planned,
            )
    _tell(env, ref, result)
    return result


def _tell(env: Environment, ref: ImageRef, result: DeployResult) -> None:
    reporter = env.reporter
    if result.changed:
        reporter.line(f"deployed {ref} to {env.name!r} in {result.seconds:.1f} s")
    else:
        reporter.line(f"{env.name!r} is up to date: nothing to do")
    for label, address in env.settings.urls.items():
        reporter.line(f"{label} answers at {address}")
