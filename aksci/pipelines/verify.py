"""The session ``verify``."""

from __future__ import annotations

from aksci import Environment, steps

__all__ = ["verify"]


def verify(
    env: Environment,
    *,
    words: tuple[str, ...] = (),
    format: str = "text",
    output: str | None = None,
) -> None:
    """Verify references, or all that runs in the environment, and show it before failing."""
    steps.require_showable(env, "Audit", format=format, output=output)
    audit = steps.verify(env, *words)
    steps.show(env, audit, format=format, output=output)
    audit.require()
