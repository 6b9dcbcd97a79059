"""The sessions ``up`` and ``down`` of the embedded local platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci import steps

if TYPE_CHECKING:
    from aksci import Environment

__all__ = ["down", "up"]


def up(env: Environment) -> None:
    """Start or repair the embedded local platform, whatever the environment itself is."""
    steps.up(env)


def down(env: Environment, *, purge: bool = False) -> None:
    """Stop what ``up`` started."""
    steps.down(env, purge=purge)
