"""JSON from the network, read in one way or not at all."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["parse_json"]

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(content: bytes | str, *, exact: bool = False) -> Any:
    """Read JSON that a stranger may have written.

    :param exact: also refuse what another program reads as something else: keys that differ in
        case only, which Go takes for the same, and half of a surrogate pair.
    :raises ValueError: it is no JSON, names a key twice, or is nested beyond reason.
    """
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    try:
        found = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_folded if exact else _unique,
            parse_constant=_refuse,
        )
        if exact and _SURROGATE.search(data):
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        # Each level costs Python a frame: a few kilobytes of brackets would end the program.
        raise ValueError("it is nested too deep") from None
    return found


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
