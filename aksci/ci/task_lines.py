"""Tasks where lines can't be drawn again: a log file, and a CI system's groups."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.core.reporting import Reporter

__all__ = ["GroupedTask", "PlainTask"]

_KEPT = 10_000
"""Lines: what a task tells is held in memory until it ends."""


class PlainTask:
    """Print everything at once, each line with the task's name."""

    def __init__(self, reporter: Reporter, name: str) -> None:
        self._reporter = reporter
        self._name = name

    def step(self, text: str) -> None:
        """Print what is being done now."""
        self._print(text)

    def line(self, text: str) -> None:
        """Print one line of output, indented."""
        self._print(f"  {text}")

    def warning(self, text: str) -> None:
        """Print a warning."""
        self._reporter.warning(f"[{self._name}] {text}")

    def done(self, text: str) -> None:
        """Print how it ended."""
        self._print(text)

    def _print(self, text: str) -> None:
        self._reporter.line(f"[{self._name}] {text}")


class Blocks(Protocol):
    """What a grouped task needs of its reporter."""

    def line(self, text: str) -> None:
        """Print one line."""

    def warning(self, text: str) -> None:
        """Print a warning."""

    def block(self, title: str, lines: Sequence[str]) -> None:
        """Print a whole group at once, so that nothing comes between its lines."""


class GroupedTask:
    """Keep what is told, and print it as one group at the end: tasks don't mix."""

    def __init__(self, reporter: Blocks, name: str) -> None:
        self._reporter = reporter
        self._name = name
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._told = 0

    def step(self, text: str) -> None:
        """Keep what is being done; the first is printed, as a sign of life."""
        if not self._told:
            self._reporter.line(f"[{self._name}] {text}")
        self._keep(text)

    def line(self, text: str) -> None:
        """Keep one line of output, indented."""
        self._keep(f"  {text}")

    def warning(self, text: str) -> None:
        """Print a warning now: it is an annotation of the run."""
        self._reporter.warning(f"[{self._name}] {text}")

    def done(self, text: str) -> None:
        """Print the group, its title saying how it ended."""
        # The end is kept: that is where a failure says why.
        lost = self._told - len(self._lines)
        head = [f"({lost} lines before these are left out)"] if lost else []
        self._reporter.block(f"{self._name}: {text}", [*head, *self._lines])

    def _keep(self, text: str) -> None:
        self._told += 1
        self._lines.append(text)
