"""gzip that others may have written, unpacked to a limit."""

from __future__ import annotations

import zlib

__all__ = ["unpack_gzip"]

_RATIO = 64
"""How many times larger than the packed bytes. Reports and lists pack 10 to 30 times smaller;
deflate can pack zeros 1,032 times smaller (zlib's "Maximum Compression Factor")."""
_ALWAYS = 4 << 20
"""Bytes that are unpacked whatever the ratio: a small file may be one line many times."""
_PIECE = 1 << 20
_GZIP = 31  # zlib's wbits for the format of RFC 1952


def unpack_gzip(packed: bytes, *, largest: int, alone: bool = False) -> bytes:
    """Return what gzip has packed, one member or several.

    A few kilobytes can hold gigabytes: no more is unpacked than their size makes credible.

    :param largest: bytes of the content.
    :param alone: refuse further members, which not all programs read.
    :raises ValueError: it is damaged, cut off, or unpacks to more.
    """
    limit = min(largest, max(_ALWAYS, len(packed) * _RATIO))
    found = bytearray()
    rest = packed
    while rest:
        reader = zlib.decompressobj(wbits=_GZIP)
        try:
            while not reader.eof:
                piece = reader.decompress(rest, _PIECE)
                if not piece and not reader.eof and not reader.unconsumed_tail:
                    raise ValueError("it is cut off")
                found += piece
                if len(found) > limit:
                    raise ValueError(f"it unpacks to more than {limit >> 20} MiB")
                rest = reader.unconsumed_tail
        except zlib.error:
            raise ValueError("it is no gzip, or damaged") from None
        rest = reader.unused_data
        if rest and alone:
            raise ValueError("something follows it")
    return bytes(found)
