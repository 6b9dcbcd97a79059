"""How a later Compose file changes what an earlier one says.

Compose specification, "Merge Compose files": mappings are merged, sequences are appended, other
values are replaced; ``!reset`` and ``!override`` make exceptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.images.discovery.sources.documents import Override, Reset

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["merge_services"]


def merge_services(
    base: Mapping[str, dict[str, Any]], changes: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return services with what a later file says of them."""
    merged = dict(base)
    for name, change in changes.items():
        if change.get("x-reset"):
            merged.pop(name, None)
        else:
            merged[name] = _merge(base.get(name, {}), change)
    return merged


def _merge(base: Any, change: Any) -> Any:
    if isinstance(change, Override):
        return _plain(change.value)
    if isinstance(base, dict) and isinstance(change, dict):
        merged = dict(base)
        for key, value in change.items():
            if isinstance(value, Reset):
                merged.pop(key, None)
            else:
                merged[key] = _merge(base.get(key), value)
        return merged
    if isinstance(base, list) and isinstance(change, list):
        return [*base, *(one for one in change if one not in base)]
    return _plain(change)


def _plain(value: Any) -> Any:
    """Take the tags off a value that nothing is merged with."""
    if isinstance(value, Override):
        return _plain(value.value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if not isinstance(one, Reset)}
    return value
