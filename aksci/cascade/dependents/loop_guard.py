"""Keep projects from asking each other in a circle.

A request carries the names of the projects that have asked each other so far. Who gets it adds its
own, and asks nobody who is among them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aksci.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["chain_of", "extended", "may_ask"]

_LONGEST = 8192
"""Characters. GitHub takes 65,535 of a ``client_payload``."""
# A host and the name of a project, as aksci.toml has it.
_NAME = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?/[a-z](?:[a-z0-9-]{0,51}[a-z0-9])?"
)


def chain_of(text: str) -> tuple[str, ...]:
    """Read the projects that have asked each other, ``registry/project``, by commas; may be empty.

    It comes with a request, so from anybody who may send one.

    :raises UsageError: it is anything else.
    """
    if not text.strip():
        return ()
    # Cut before it is split: it comes from anybody, of any length.
    names = tuple(name.strip() for name in text[: _LONGEST + 1].split(","))
    if len(text) <= _LONGEST and all(_NAME.fullmatch(name) for name in names):
        return names
    raise UsageError(
        f"The list of the projects that asked for this, {text[:80]!r}, is not one.",
        hint="it is written as registry/project,registry/project, the first that asked first.",
    )


def may_ask(chain: Sequence[str], me: str, target: str, depth: int) -> str | None:
    """Return why a project may not be asked, as a clause; None: it may be.

    :param depth: the most projects that may ask each other in a row.
    """
    if target == me:
        return "it would ask itself"
    if me in chain:
        return f"this project has asked already, in {_drawn([*chain, me])}"
    if target in chain:
        return f"that would go in a circle: {_drawn([*chain, me, target])}"
    if len(chain) + 1 > depth:
        return f"{len(chain)} projects have asked each other already, and {depth} may"
    return None


def extended(chain: Sequence[str], me: str) -> str:
    """Return the list to send with a request: those who have asked so far, and this project."""
    return ",".join([*chain, me])


def _drawn(names: Sequence[str]) -> str:
    return " → ".join(names)
