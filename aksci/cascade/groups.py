"""Groups of images that need each other, directly or not: their tags may move only together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["groups_of", "withheld"]


def groups_of(parents: Mapping[str, Collection[str]]) -> tuple[frozenset[str], ...]:
    """Return the connected components of a graph, by their first names."""
    neighbours: dict[str, set[str]] = {name: set() for name in parents}
    for name, needed in parents.items():
        for parent in needed:
            neighbours[name].add(parent)
            neighbours[parent].add(name)
    seen: set[str] = set()
    found = []
    for name in sorted(neighbours):
        if name in seen:
            continue
        group, waiting = {name}, [name]
        while waiting:
            fresh = neighbours[waiting.pop()] - group
            group |= fresh
            waiting += fresh
        seen |= group
        found.append(frozenset(group))
    return tuple(found)


def withheld(parents: Mapping[str, Collection[str]], failed: Collection[str]) -> frozenset[str]:
    """Return all images of the groups in which one has failed."""
    groups = [group for group in groups_of(parents) if not group.isdisjoint(failed)]
    return frozenset().union(*groups)
