"""The sessions ``deploy``, ``rollback`` and ``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci import Environment, steps
from aksci.steps.deployment import verified_release

if TYPE_CHECKING:
    from aksci.oci.references import ImageRef

__all__ = ["deploy", "deploy_ref", "rollback", "status", "verified_release"]


def deploy(env: Environment, *, release: str | None = None, plan: bool = False) -> None:
    """Roll out a release: the last build's, or the one that is named."""
    if plan:
        steps.show(env, steps.plan_deploy(env, release))
    else:
        steps.deploy(env, release)


def rollback(env: Environment, *, to: str | None = None, plan: bool = False) -> None:
    """Roll out an earlier release of this environment's history again, without its pre steps."""
    if plan:
        steps.show(env, steps.plan_deploy(env, to, rollback=True))
    else:
        steps.rollback(env, to=to)


def status(env: Environment, *, format: str = "text") -> None:
    """Show the local platform's parts, and what runs in the environment. Starts nothing."""
    steps.show(env, steps.status(env), format=format)


# For cascade_environments, until that is made of steps: remove what follows then, and
# ``verified_release`` above.


def deploy_ref(env: Environment, ref: ImageRef) -> dict[str, Any]:
    """Verify a release in the environment's registry, and roll it out."""
    return steps.deploy(env, ref).as_json()
