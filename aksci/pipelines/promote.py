"""The session ``promote``: copy a release from the environment before, and deploy it."""

from __future__ import annotations

from aksci import Environment, steps

__all__ = ["promote"]


def promote(env: Environment, *, release: str | None = None, plan: bool = False) -> None:
    """Bring a release from the environment that ``promote_from`` names, and deploy it."""
    before = env.promoted_from
    if plan:
        steps.show(env, steps.plan_promote(before, env, release))
    else:
        steps.deploy(env, steps.promote(before, env, release))
