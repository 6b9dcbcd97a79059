"""The chain of images that no cascade could be faster than."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.cascade.cascade_report import ImageOutcome

__all__ = ["critical_path", "earliest_starts"]

_Chain = tuple[float, tuple[str, ...]]


def critical_path(images: Sequence[ImageOutcome]) -> tuple[tuple[str, ...], float]:
    """Return the longest chain of images that were made, parents first, and its seconds.

    A chain leads through images that took no part as well: they cost nothing and aren't named. Of
    equal chains, it is the one of fewer images, then the first by their names.

    :param images: parents before children.
    """
    chains: dict[str, _Chain] = {}
    best: _Chain = (0.0, ())
    for one in images:
        seconds, names = min(
            (chains[need] for need in one.needs if need in chains), key=_rank, default=(0.0, ())
        )
        if _seconds(one) > 0:
            seconds, names = seconds + _seconds(one), (*names, one.image)
        chains[one.image] = (seconds, names)
        best = min(best, chains[one.image], key=_rank)
    return best[1], best[0]


def earliest_starts(images: Sequence[ImageOutcome]) -> dict[str, float]:
    """Return when each image could have begun, in seconds, had nothing waited for its turn.

    :param images: parents before children.
    """
    ends: dict[str, float] = {}
    starts: dict[str, float] = {}
    for one in images:
        starts[one.image] = max((ends[need] for need in one.needs if need in ends), default=0.0)
        ends[one.image] = starts[one.image] + _seconds(one)
    return starts


def _rank(chain: _Chain) -> tuple[float, int, tuple[str, ...]]:
    seconds, names = chain
    return (-seconds, len(names), names)


def _seconds(one: ImageOutcome) -> float:
    # What was there already took no time, whatever it took to find that out.
    return one.spent.total if one.action == "rebuilt" else 0.0
