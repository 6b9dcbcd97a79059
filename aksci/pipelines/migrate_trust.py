"""The session ``migrate-trust``: from Docker Content Trust to the signers that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci import steps

if TYPE_CHECKING:
    from aksci import Environment

__all__ = ["migrate_trust"]


def migrate_trust(env: Environment, *, words: tuple[str, ...] = (), plan: bool = False) -> None:
    """Sign by today's signers what Docker Content Trust has signed; ``--plan`` only shows it.

    :param words: repositories; without any, those of the project's images, charts and releases.
    """
    steps.migrate_trust(env, words, plan=plan)
