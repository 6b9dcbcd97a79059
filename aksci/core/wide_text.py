"""Text files in an encoding of two or four bytes a character, as PowerShell's > writes them."""

from __future__ import annotations

import codecs

__all__ = ["wide_encoding"]

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_LOOKED_AT = 256
"""Bytes from the beginning, where a file has no mark."""


def wide_encoding(content: bytes) -> str:
    """Return ``UTF-16`` or ``UTF-32`` where a text is that, marked or not; else nothing.

    Without a mark, it is told by its zero bytes: UTF-8 has none, but for the character U+0000.
    """
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name
    start = content[:_LOOKED_AT]
    if b"\0" not in start:
        return ""
    # Of Latin letters, half or three quarters of the bytes are zero, always in the same place.
    for width, name in ((4, "UTF-32"), (2, "UTF-16")):
        columns = [start[at::width] for at in range(width)]
        zeros = [column.count(0) for column in columns]
        little, big = zeros[1:], zeros[:-1]
        letters = len(start) // width
        for others, own in ((little, zeros[0]), (big, zeros[-1])):
            if letters and own == 0 and min(others) * 2 > letters:
                return name
    return ""
