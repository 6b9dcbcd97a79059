"""JSON, read in one way or not at all: others' documents, and our own of a known shape.

What it costs is bounded before it is paid: bytes, levels, values and digits of a number (RFC 8259,
section 9, lets a reader set such limits).
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pydantic import TypeAdapter, ValidationError

__all__ = [
    "MALFORMED",
    "parse_downloaded_json",
    "parse_json",
    "read_document",
    "require_shallow",
]

MALFORMED = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What JSON of any shape can raise in code that trusts its shape: ``except MALFORMED``."""
_DEEPEST = 200
"""Levels of a document. None that means something to us has more than thirty."""
_LARGEST = 64 << 20
"""Bytes of a document, unless a caller says otherwise."""
_MOST_VALUES = 2_000_000
"""Values of a document, likewise. An empty list takes three bytes here, and 64 in memory. A verdict
on 100,000 findings has 1.5 million."""
_LONGEST_NUMBER = 100
"""Characters. Python reads an integer in more than linear time, and no double has more than 24."""
# A text without an end goes on to the document's: each byte is looked at once, whatever it is.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\(?:.|\Z)[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(
    content: bytes | str,
    *,
    exact: bool = False,
    largest: int = _LARGEST,
    most_values: int = _MOST_VALUES,
) -> Any:
    """Read JSON that others may have written.

    :param exact: also refuse what another program reads as something else: keys that differ in
        case only, which Go takes for the same, and half of a surrogate pair.
    :param largest: bytes that are read.
    :param most_values: values that are read, those in lists and objects among them.
    :raises ValueError: it is no JSON, names a key twice, is nested beyond reason, or has too many
        bytes, values, or digits of a number.
    """
    if len(content) > largest:  # of a text, before it is encoded
        raise ValueError(f"it has more than {largest >> 20} MiB")
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    _require_few(data, most_values)
    require_shallow(data)
    found = json.loads(
        data.decode("utf-8"),
        # Of a key that is there twice, Python takes the last and other programs the first: a
        # document could say one thing to us and another to who deploys it.
        object_pairs_hook=_folded if exact else _unique,
        parse_constant=_refuse,
        parse_int=_integer,
        parse_float=_number,
    )
    if exact and _SURROGATE.search(data):
        # Half a pair can't be encoded, which raises UnicodeEncodeError, a ValueError.
        json.dumps(found, ensure_ascii=False).encode()
    return found


def parse_downloaded_json(content: bytes) -> Any:
    """Read JSON of a file that a person has fetched or written: as ``parse_json`` does.

    It may be in any of Unicode's encodings, and have a byte order mark: PowerShell adds one.

    :raises ValueError: as ``parse_json`` does.
    """
    if len(content) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
    return parse_json(content.decode(json.detect_encoding(content)))


def _require_few(data: bytes, most: int) -> None:
    if _count(data) > most and _count(_TEXT.sub(b"", data)) > most:
        raise ValueError(f"it has more than {most:,} values")


def _count(data: bytes) -> int:
    """Return how many values there are at most: a comma is between two, a bracket may hold one."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def require_shallow(data: bytes) -> None:
    """Refuse JSON that is nested beyond reason, before ``json`` reads it.

    Each level costs Python a frame. A few kilobytes of brackets end in RecursionError, and not
    surely where one can catch it: what the garbage collector finalises down there meets it, too.

    :raises ValueError: it has more than 200 levels.
    """
    if data.count(b"[") + data.count(b"{") <= _DEEPEST:
        return
    left = _TEXT.sub(b"", data).translate(None, _NO_BRACKETS)
    for _ in range(_DEEPEST):  # each round takes the innermost level away
        before = left
        left = left.replace(b"[]", b"").replace(b"{}", b"")
        if left == before:
            break
    # What is left is unbalanced, and then no JSON anyway, or is deeper.
    if len(left) > _DEEPEST or b"[]" in left or b"{}" in left:
        raise ValueError("it is nested too deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _folded(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key.casefold() for key, _ in pairs}) != len(pairs):
        raise ValueError("it can be read in two ways: a key is there twice")
    return dict(pairs)


def _refuse(name: str) -> None:
    # Python's own extension: NaN and Infinity break arithmetic far away from here.
    raise ValueError(f"{name} is no number")


def _integer(text: str) -> int:
    _require_short(text)
    return int(text)


def _number(text: str) -> float:
    _require_short(text)
    found = float(text)
    if not math.isfinite(found):  # 1e999, which JSON may say and no double can hold
        raise ValueError("a number is too large")
    return found


def _require_short(text: str) -> None:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number has more than {_LONGEST_NUMBER} digits")


Kind = TypeVar("Kind")


def read_document(kind: type[Kind], content: str | bytes) -> Kind:
    """Read JSON as a dataclass: every value of exactly the type that is declared.

    Keys that it does not know are left out: a later version of aksci may have added them. It is not
    for documents with names of files, which JSON may hold and UTF-8 may not.

    :raises ValueError: the content is no JSON, or of another shape; the message is one line.
    """
    from pydantic import ValidationError

    try:  # pydantic bounds nothing, and of a key that is there twice it takes the last
        parse_json(content)
    except ValueError as error:
        raise ValueError(f"Invalid JSON: {error}") from None
    adapter: TypeAdapter[Kind] = _adapter(cast("Hashable", kind))  # mypy: no class is hashable
    try:
        return adapter.validate_json(content, strict=True)
    except ValidationError as error:
        # ``from None``: pydantic's own text repeats the content, which may hold a secret.
        raise ValueError(_first(error)) from None


# An adapter takes 40 ms to make, and a document microseconds to read with it.
@cache
def _adapter(kind: type[Kind]) -> TypeAdapter[Kind]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _first(error: ValidationError) -> str:
    """Name the first thing that is wrong and where, without the content: it may hold anything."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
