"""The step ``rollback``: an earlier release again, without its pre steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.steps.deploy_step import roll_out_release
from aksci.steps.deployment import earlier_release

if TYPE_CHECKING:
    from aksci.deploy.deploy_release import DeployResult
    from aksci.environment import Environment
    from aksci.oci.references import ImageRef
    from aksci.supply.release.release import Release

__all__ = ["rollback"]


def rollback(env: Environment, *, to: Release | ImageRef | str | None = None) -> DeployResult:
    """Roll out an earlier release of this environment's history; migrations never go backwards.

    >>> rollback(env, to="sha256:3f2a91").plan.release.reference  # doctest: +SKIP
    'registry.example/shop/release@sha256:3f2a91…'

    A rollback that has not ended well is continued. ``deploy(env, plan_deploy(env,
    rollback=True))`` is the same by a plan.

    :param to: a text is a reference, a digest, or at least its first 6 digits. Default: the release
        before the current one.
    :raises UsageError: the history has no such release.
    :raises TrustError: something of the release is not trusted any more.
    :raises DeployError: as ``deploy``.
    """
    result = roll_out_release(env, earlier_release(env, to), rollback=True)
    env.note("rollback", result.as_json())
    return result
