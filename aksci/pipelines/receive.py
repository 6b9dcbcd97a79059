"""The session ``receive``: wait for webhooks of registries, and start cascades."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci import steps

if TYPE_CHECKING:
    from aksci import Environment

__all__ = ["receive"]


def receive(env: Environment) -> None:
    """Receive until Ctrl-C or SIGTERM, which is how a receiver ends well."""
    steps.receive(env)
