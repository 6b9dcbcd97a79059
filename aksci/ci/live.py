"""Narration on a terminal, with one line for each running task that is drawn again in place.

The cursor is moved as ECMA-48 says (CUU, EL); nothing else of the terminal is changed, so a
process that is killed leaves it as it was.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import unicodedata
from typing import TYPE_CHECKING, TextIO

from aksci.ci.console import ConsoleReporter
from aksci.core.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.core.reporting import Task

__all__ = ["LiveReporter", "fit"]

_REFRESH = 0.1
"""Seconds between two looks at what has changed."""
_NAME = 32
"""Columns for a task's name, at most."""
_HOUR = 3600


class LiveReporter(ConsoleReporter):
    """Print lines above the lines of the running tasks."""

    def __init__(self, stream: TextIO, *, colour: bool = False) -> None:
        super().__init__(stream, colour=colour)
        self._tasks: list[LiveTask] = []
        self._drawn: list[str] = []

    def task(self, name: str) -> Task:
        """Add a line for a task; it goes when the task is done."""
        task = LiveTask(self, name)
        with self._lock:
            self._tasks.append(task)
            if len(self._tasks) == 1:
                # A daemon: it must not keep an interrupted process from ending.
                threading.Thread(target=self._refresh, name="live-lines", daemon=True).start()
        return task

    def end(self, task: LiveTask, text: str) -> None:
        """Replace a task's line by a lasting one."""
        with self._lock:
            # Under one lock: between the two, the refresh would show neither line.
            self._tasks.remove(task)
            self.line(f"[{task.name}] {text}")

    def _refresh(self) -> None:
        # Nobody is left to read it, which is no reason to end the run.
        with contextlib.suppress(OSError, ValueError):  # the terminal is gone, or closed
            while self._tasks:
                with self._lock:
                    lines = self._live_lines()
                    if lines != self._drawn:
                        self._draw("", lines)
                time.sleep(_REFRESH)

    def _write(self, text: str) -> None:
        with self._lock:
            self._draw(self._printable(text) + "\n", self._live_lines())

    def _draw(self, above: str, lines: list[str]) -> None:
        """Write lasting text and the live lines below it, in one go so that nothing flickers."""
        columns, _ = self._size()
        # Terminals wrap lines that were drawn when they were wider.
        rows = sum(max(1, -(-_width(line) // columns)) for line in self._drawn)
        up = f"\x1b[{rows}A\r" if rows else ""
        if above or len(lines) != rows:
            # Row by row: tmux keeps a copy of what it is told to erase from the top of its screen.
            up += "\x1b[K\n" * rows + up
        text = "".join(f"{line}\x1b[K\n" for line in lines)
        self._stream.write(f"{up}{above}{text}")
        self._stream.flush()
        self._drawn = lines

    def _live_lines(self) -> list[str]:
        columns, rows = self._size()
        # The cursor can't go up past the screen's first row. Two are for the count and the cursor.
        tasks = self._tasks[: max(1, rows - 2)]
        name = min(_NAME, max((_width(task.name) for task in tasks), default=0))
        now = time.monotonic()
        lines = []
        for task in tasks:
            shown = fit(self._printable(task.name), name)
            shown += " " * (name - _width(shown))
            step = self._printable(task.now)
            # One column less: some terminals wrap as soon as the last one is filled.
            lines.append(fit(f"  {shown} {_elapsed(now - task.began):>7}  {step}", columns - 1))
        if len(tasks) < len(self._tasks):
            lines.append(fit(f"  and {len(self._tasks) - len(tasks)} more", columns - 1))
        return lines

    def _size(self) -> tuple[int, int]:
        """Return columns and rows, as they are now."""
        try:
            # Asked each time: a resized terminal sends a signal, which is the main thread's alone.
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            columns, rows = 0, 0
        # A terminal over a serial line may say that it has 0.
        return columns or 80, rows or 24


class LiveTask:
    """One line that says what is being done, and for how long."""

    def __init__(self, reporter: LiveReporter, name: str) -> None:
        self._reporter = reporter
        self.name = name
        self.began = time.monotonic()
        self.now = ""

    def step(self, text: str) -> None:
        """Show what is being done now."""
        self.now = _one_line(text)

    def line(self, text: str) -> None:
        """Do nothing: a failure's message ends in the output that matters."""

    def warning(self, text: str) -> None:
        """Print a warning above the live lines."""
        self._reporter.warning(f"[{self.name}] {text}")

    def done(self, text: str) -> None:
        """Replace the line by a lasting one."""
        self._reporter.end(self, text)


def fit(text: str, columns: int) -> str:
    """Cut text to what is at most so many columns wide, ``...`` at its end where it was cut."""
    if _width(text) <= columns:
        return text
    dots = "..."[: max(0, columns)]
    room, kept = columns - len(dots), 0
    for index, character in enumerate(text):
        kept += _width(character)
        if kept > room:
            return text[:index] + dots
    return text


def _width(text: Sequence[str]) -> int:
    """Return how many columns a terminal takes for text without control characters.

    Unicode Standard Annex 11, "East Asian Width"; marks that combine take none.
    """
    return sum(
        0
        if unicodedata.category(one) in {"Mn", "Me"}
        else 1 + (unicodedata.east_asian_width(one) in {"W", "F"})
        for one in text
    )


def _one_line(text: str) -> str:
    """Make text one line whose width is known: no tabs, no direction marks, no joiners.

    Variation selectors go, too: some terminals make an emoji wider for them, some don't.
    """
    words = one_line(text)
    return "".join(
        one
        for one in words
        if not unicodedata.category(one).startswith("C") and not "\ufe00" <= one <= "\ufe0f"
    )


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    if seconds >= _HOUR:
        return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"
