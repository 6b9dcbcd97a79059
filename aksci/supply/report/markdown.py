"""Text from outside, in Markdown, as nothing but text."""

from __future__ import annotations

import re

from aksci.reporting import sanitise

__all__ = ["cell"]

_MARKS = re.compile(r"([\\`*_{}\[\]<>()|#@!~$&])")
_ADDRESS = re.compile(r"(?<=[a-z])(://)|(?<=www)(\.)", re.IGNORECASE)


def cell(text: str) -> str:
    """Return text as one line that GitHub Flavored Markdown shows as it is, also in a table.

    Its "Backslash escapes" (2.4) cover punctuation. Bare addresses become links by themselves
    ("Autolinks", 6.9): their colon is written as an entity.
    """
    line = " ".join(sanitise(text).split())
    return _ADDRESS.sub(_entity, _MARKS.sub(r"\\\1", line))


def _entity(match: re.Match[str]) -> str:
    return "&#58;//" if match[1] else "&#46;"
