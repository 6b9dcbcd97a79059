"""CBOR as signature envelopes need it, and nothing else of it (RFC 8949).

Whatever can be written in two ways is read in one only, that of section 4.2.1 ("Core Deterministic
Encoding Requirements") but for the order of keys: so nobody reads something else in the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["DoubtError", "Tag", "head", "read", "write"]

_DEEPEST = 8
_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = range(7)
_SMALL = 24  # arguments below this are in the first byte
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}


class DoubtError(Exception):
    """Something is not surely valid. It may be; who can tell must be asked."""


@dataclass(frozen=True)
class Tag:
    """A tagged item: section 3.4."""

    number: int
    value: Any


def read(data: bytes) -> Any:
    """Return the one item that these bytes are.

    Arrays are tuples. Keys are numbers or texts, each once.

    :raises DoubtError: it is something else, is written in an unusual way, or more follows.
    """
    item, end = _item(data, 0, 0)
    if end != len(data):
        raise DoubtError("more follows")
    return item


def head(major: int, argument: int) -> bytes:
    """Return the first bytes of an item: its type and its number, length or count."""
    if argument < _SMALL:
        return bytes([major << 5 | argument])
    for info, width in _WIDTHS.items():
        if argument < 1 << 8 * width:
            return bytes([major << 5 | info]) + argument.to_bytes(width)
    raise DoubtError("too large a number")


def write(value: Any) -> bytes:
    """Encode what ``read`` reads, a map's keys in the order of their bytes: section 4.2.1.

    Arrays are tuples.
    """
    match value:
        case int():
            return head(_UINT, value) if value >= 0 else head(_NEGATIVE, -1 - value)
        case bytes():
            return head(_BYTES, len(value)) + value
        case str():
            return head(_TEXT, len(value.encode())) + value.encode()
        case tuple():
            return head(_ARRAY, len(value)) + b"".join(map(write, value))
        case dict():
            pairs = sorted((write(key), write(each)) for key, each in value.items())
            return head(_MAP, len(pairs)) + b"".join(key + each for key, each in pairs)
        case Tag(number, tagged):
            return head(_TAG, number) + write(tagged)
    raise TypeError(value)


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > _DEEPEST:
        raise DoubtError("too deep")
    major, argument, at = _argument(data, at)
    if major == _UINT:
        return argument, at
    if major == _NEGATIVE:
        return -1 - argument, at
    if major in {_BYTES, _TEXT}:
        return _string(major, data, at, argument)
    if major == _ARRAY:
        return _array(data, at, argument, depth)
    if major == _MAP:
        return _map(data, at, argument, depth)
    if major == _TAG:
        value, at = _item(data, at, depth + 1)
        return Tag(argument, value), at
    raise DoubtError("a simple value or a fraction")


def _argument(data: bytes, at: int) -> tuple[int, int, int]:
    if at >= len(data):
        raise DoubtError("it ends early")
    major, info = data[at] >> 5, data[at] & 31
    end = at + 1 + _WIDTHS.get(info, 0)
    argument = info if info < _SMALL else int.from_bytes(data[at + 1 : end])
    if end > len(data) or head(major, argument) != data[at:end]:
        raise DoubtError("a length of unusual form")
    return major, argument, end


def _string(major: int, data: bytes, at: int, length: int) -> tuple[bytes | str, int]:
    end = at + length
    if end > len(data):
        raise DoubtError("it ends early")
    content = data[at:end]
    try:
        return content if major == _BYTES else content.decode(), end
    except UnicodeDecodeError:
        raise DoubtError("text that is none") from None


def _array(data: bytes, at: int, count: int, depth: int) -> tuple[tuple[Any, ...], int]:
    items = []
    for _ in range(count):  # each takes a byte at least, so a wrong count ends with the data
        item, at = _item(data, at, depth + 1)
        items.append(item)
    return tuple(items), at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[int | str, Any], int]:
    items: dict[int | str, Any] = {}
    for _ in range(count):
        key, at = _item(data, at, depth + 1)
        if not isinstance(key, (int, str)) or key in items:
            raise DoubtError("a key that is twice there, or neither number nor text")
        items[key], at = _item(data, at, depth + 1)
    return items, at
