"""Text that others wrote, as a cascade's report shows it: one line of bounded length."""

from __future__ import annotations

from aksci.core import text as core

__all__ = ["cell", "element_text", "one_line"]

_LONGEST = 400
"""Characters of one text."""


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Return text as one harmless line of at most so many characters."""
    return core.one_line(text, longest)


def cell(text: str) -> str:
    """Return text as one line that GitHub Flavored Markdown shows as it is, also in a table."""
    return core.escape_markdown(text, _LONGEST)


def element_text(text: str) -> str:
    """Return text as one line that HTML shows as it is, in an element or in an attribute."""
    return core.escape_html(text, _LONGEST)
