"""The session ``promote``: copy a release from the environment before, and deploy it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci import Environment, steps
from aksci.steps.plan_promote_step import gate_refusals as _gate_refusals

if TYPE_CHECKING:
    from aksci.oci.references import ImageRef

__all__ = ["gate_refusals", "previous", "promote", "promote_ref"]


def promote(env: Environment, *, release: str | None = None, plan: bool = False) -> None:
    """Bring a release from the environment that ``promote_from`` names, and deploy it."""
    before = env.promoted_from
    planned = steps.plan_promote(before, env, release)
    if plan:
        steps.show(env, planned)
        return
    steps.deploy(env, steps.promote(before, env, planned))


# For cascade_environments, until that is made of steps: remove what follows then.


def previous(env: Environment) -> Environment:
    """Return ``env.promoted_from``."""
    return env.promoted_from


def gate_refusals(env: Environment, ref: ImageRef) -> tuple[str, ...]:
    """Ask the environment's gates alone."""
    return _gate_refusals(env.promoted_from, env, ref)


def promote_ref(env: Environment, ref: ImageRef) -> dict[str, Any]:
    """Promote and deploy."""
    promoted = steps.promote(env.promoted_from, env, ref)
    return {"deploy": steps.deploy(env, promoted).as_json()}
