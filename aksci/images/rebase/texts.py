"""JSON as Go writes and reads it, so that what is the same has the same bytes.

Go, package encoding/json: ``<``, ``>`` and ``&`` are escaped, maps have sorted keys.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["DamagedError", "go_json", "strict_json"]

_ESCAPED = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


class DamagedError(Exception):
    """What a registry has is not what it should be; the text says how, as a clause."""


def go_json(document: Any, *, indent: int | None = None) -> bytes:
    """Encode a document as Go does. Its keys keep their order."""
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(document, ensure_ascii=False, indent=indent, separators=separators)
    return text.translate(_ESCAPED).encode()


def strict_json(content: bytes) -> dict[str, Any]:
    """Read an object. What two programs could read in two ways is refused.

    :raises DamagedError: it is no JSON object, names a key twice, or holds what is no text.
    """
    try:
        text = content.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        go_json(found)  # half of a surrogate pair can be read, and not written
    except RecursionError:
        raise DamagedError("it is nested too deep") from None
    except ValueError as error:
        raise DamagedError(f"it is no JSON that all read alike ({error})"[:200]) from None
    if not isinstance(found, dict):
        raise DamagedError("it is no JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
