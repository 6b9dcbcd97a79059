"""Figures of repeated runs: median, spread, and the ratio of two."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Figures", "Goal", "ratio", "summarise"]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What several runs of one command took."""

    runs: int
    median: float
    """Seconds of wall-clock time, as ``low`` and ``high``."""
    low: float
    high: float
    cpu: float
    """Median of its processor time, user and system, in seconds."""
    memory: float
    """Peak of its largest process over all runs, in MB (10^6 bytes)."""

    def document(self) -> dict[str, Any]:
        """Return it for JSON, rounded to what can be told apart."""
        return {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }


def summarise(
    seconds: Sequence[float], *, cpu: Sequence[float], memory: Sequence[float]
) -> Figures:
    """Summarise runs.

    :raises ValueError: there were none.
    """
    if not seconds:
        message = "there is nothing to summarise"
        raise ValueError(message)
    return Figures(
        runs=len(seconds),
        median=statistics.median(seconds),
        low=min(seconds),
        high=max(seconds),
        cpu=statistics.median(cpu),
        memory=max(memory),
    )


def ratio(ours: Figures, peer: Figures) -> float:
    """Return how many times as long as the peer we took: below 1 we were faster."""
    return ours.median / peer.median


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What one contender must reach against another: ``ours <= times * peer + plus``.

    With ``times`` 0 it must reach that alone, whatever the other takes.
    """

    ours: str
    peer: str
    times: float = 1.0
    plus: float = 0.0
    """Seconds."""

    def reached(self, ours: Figures, peer: Figures) -> bool:
        """Compare two medians."""
        return ours.median <= self.times * peer.median + self.plus

    def text(self) -> str:
        """Say it as people read it."""
        if not self.times:
            return f"{self.ours} <= {self.plus:g} s"
        parts = [f"{self.times:g}x" if self.times != 1 else "", self.peer]
        plus = f" + {self.plus:g} s" if self.plus else ""
        return f"{self.ours} <= {' '.join(filter(None, parts))}{plus}"
