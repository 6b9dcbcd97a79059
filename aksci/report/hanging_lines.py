"""Lines of text that stay readable on a terminal of 80 columns, and in a log."""

from __future__ import annotations

import textwrap

__all__ = ["hang"]

_WIDTH = 80
_ROOM = 30
"""Characters that a text gets at least, however far it is indented."""


def hang(head: str, text: str, *, indent: int | None = None) -> list[str]:
    """Return a text behind a head, and its further lines below it.

    Names and digests stay whole, so that they can be searched for and copied.

    :param indent: columns before the further lines. Default: the head's width.
    """
    indent = len(head) if indent is None else indent
    return textwrap.wrap(
        text,
        max(_WIDTH, indent + _ROOM),
        initial_indent=head,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]
