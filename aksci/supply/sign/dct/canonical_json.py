"""JSON that is signed: read strictly, and written in its one canonical form.

The form is OLPC's "Canonical JSON", which TUF 1.0 and Notary sign: keys sorted, no white space,
integers only, and in texts nothing escaped but the quotation mark and the backslash.
"""

from __future__ import annotations

from typing import Any

from aksci.core.strict_json import parse_json

__all__ = ["encode", "parse"]

_LARGEST = 2**53  # beyond it Notary's client, which reads numbers as doubles, sees another number
_DEEPEST = 32


def parse(data: bytes) -> Any:
    """Read JSON.

    :raises ValueError: it is none, or could be read in two ways: a key twice, a fraction, a number
        that not everybody can hold, half of a surrogate pair.
    """
    value = parse_json(data)
    encode(value)
    return value


def encode(value: Any) -> bytes:
    """Write a value in canonical form.

    :raises ValueError: it has none.
    """
    return _text(value, _DEEPEST).encode("utf-8")


def _text(value: Any, depth: int) -> str:
    if not depth:
        raise ValueError("it is nested too deeply")
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        if abs(value) > _LARGEST:
            raise ValueError(f"{value} is too large a number")
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(_text(item, depth - 1) for item in value) + "]"
    if isinstance(value, dict):
        pairs = sorted(value.items())  # by code point, which is UTF-8's own order
        return "{" + ",".join(f"{_quoted(k)}:{_text(v, depth - 1)}" for k, v in pairs) + "}"
    raise ValueError(f"{type(value).__name__} has no canonical form")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
