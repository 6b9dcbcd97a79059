"""Text that others wrote, as one line that is nothing but text wherever it is shown."""

from __future__ import annotations

import html
import re

from aksci.core.reporting import markdown_cell, sanitise

__all__ = ["cell", "element_text", "one_line"]

_LONGEST = 400
"""Characters of one text."""
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What changes the direction of all that follows it in the line (Unicode, UAX #9, section 2)."""


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Return text as one harmless line of at most so many characters."""
    known = text.encode("utf-8", "replace").decode()  # JSON can hold half a surrogate pair
    line = " ".join(sanitise(_TURNS.sub("", known)).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def cell(text: str) -> str:
    """Return text as one line that GitHub Flavored Markdown shows as it is, also in a table."""
    return markdown_cell(one_line(text))


def element_text(text: str) -> str:
    """Return text as one line that HTML shows as it is, in an element or in an attribute."""
    return html.escape(one_line(text))
