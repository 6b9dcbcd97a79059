"""Put images that depend on each other into the order in which they can be rebuilt."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.cascade.dependents.survey_result import Found
    from aksci.oci.references import ImageRef

__all__ = ["in_order"]


def in_order(found: Mapping[ImageRef, Found]) -> tuple[tuple[Found, ...], tuple[ImageRef, ...]]:
    """Return parents before children, and the images that had to go before one of theirs.

    Images may need each other in a circle: each was built from an earlier version of the other.
    One of them then goes first, and takes what comes later as it is now.
    """
    waiting = {ref: set(one.parents) for ref, one in found.items()}
    children: dict[ImageRef, list[ImageRef]] = defaultdict(list)
    for ref, parents in waiting.items():
        for parent in parents:
            children[parent].append(ref)
    ready = [ref for ref, parents in waiting.items() if not parents]
    heapq.heapify(ready)
    done: dict[ImageRef, Found] = {}
    circular = []
    while waiting:
        if not ready:
            first = _in_a_circle(waiting)
            circular.append(first)
            waiting[first].clear()
            ready.append(first)
        ref = heapq.heappop(ready)
        del waiting[ref]
        done[ref] = _after(found[ref], done)
        for child in children[ref]:
            if waiting.get(child):
                waiting[child].discard(ref)
                if not waiting[child]:
                    heapq.heappush(ready, child)
    return tuple(done.values()), tuple(circular)


def _in_a_circle(waiting: Mapping[ImageRef, set[ImageRef]]) -> ImageRef:
    """Return one image of a circle: who goes from parent to parent ends in one."""
    ref = min(waiting)
    passed: set[ImageRef] = set()
    while ref not in passed:
        passed.add(ref)
        ref = min(waiting[ref])
    return ref


def _after(one: Found, done: Mapping[ImageRef, Found]) -> Found:
    """Leave an image those parents that were made before it."""
    moves = (move if move.parent in done else replace(move, parent=None) for move in one.moves)
    return replace(one, moves=tuple(moves))
