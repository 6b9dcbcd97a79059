"""The sessions ``deploy``, ``rollback`` and ``status``."""

from __future__ import annotations

from aksci import Environment, steps

__all__ = ["deploy", "rollback", "status"]


def deploy(env: Environment, *, release: str | None = None, plan: bool = False) -> None:
    """Roll out a release: the last build's, or the one that is named."""
    chosen = release or env.last_release()
    if plan:
        steps.show(env, steps.plan_deploy(env, chosen))
    else:
        steps.deploy(env, chosen)


def rollback(env: Environment, *, to: str | None = None, plan: bool = False) -> None:
    """Roll out an earlier release of this environment's history again, without its pre steps."""
    if plan:
        steps.show(env, steps.plan_deploy(env, to, rollback=True))
    else:
        steps.rollback(env, to=to)


def status(env: Environment, *, format: str = "text") -> None:
    """Show the local platform's parts, and what runs in the environment. Starts nothing."""
    steps.require_showable(env, "EnvironmentStatus", format=format)
    steps.show(env, steps.status(env), format=format)
