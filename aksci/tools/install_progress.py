"""Show that a long installation is alive: its start, a heartbeat, and its end."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.core.reporting import Reporter

__all__ = ["Activity", "watch"]

_DOWNLOADING = "go: downloading "


class Activity:
    """What one installation does at the moment; the heartbeat reads it."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.packages = 0
        """How many packages there are to compile, at most: Go's cache may hold some."""
        self._modules = 0
        self._compiled = 0
        self._received = ""

    def begin(self, doing: str) -> None:
        """Name the next phase."""
        self.doing = doing

    def fetched(self, line: str) -> None:
        """Count the modules that Go says it downloads."""
        if line.startswith(_DOWNLOADING):
            self._modules += 1

    def compiled(self, line: str) -> None:
        """Count the packages that Go says it compiles."""
        if " " not in line:
            self._compiled += 1

    def received(self, done: int, total: int | None) -> None:
        """Note how many bytes of a download have arrived."""
        whole = f" of {total / 1e6:.1f}" if total else ""
        self._received = f"{done / 1e6:.1f}{whole} MB"

    @property
    def detail(self) -> str:
        """Say how much has been done so far."""
        parts = [self.doing]
        if self._modules:
            parts.append(f"{self._modules} modules downloaded")
        if self._compiled:
            parts.append(f"{self._compiled} of {self.packages} packages compiled")
        if self._received:
            parts.append(self._received)
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class _Label:
    what: str
    step: int
    steps: int

    def __str__(self) -> str:
        return f"[{self.step}/{self.steps}] {self.what}" if self.steps > 1 else self.what


@contextmanager
def watch(
    reporter: Reporter, *, what: str, doing: str, step: int = 1, steps: int = 1, every: float = 15
) -> Iterator[Activity]:
    """Report one installation: its start, a line each ``every`` seconds, and how long it took."""
    label = _Label(what=what, step=step, steps=steps)
    activity = Activity(doing)
    reporter.line(f"{label}: {doing}")
    started = time.monotonic()
    done = threading.Event()
    beat = threading.Thread(
        target=_beat, args=(reporter, label, activity, started, done, every), daemon=True
    )
    beat.start()
    try:
        yield activity
    except BaseException:
        _stop(beat, done)
        raise
    _stop(beat, done)
    reporter.line(f"{label}: ready after {time.monotonic() - started:.0f} s")


def _beat(
    reporter: Reporter,
    label: _Label,
    activity: Activity,
    started: float,
    done: threading.Event,
    every: float,
) -> None:
    while not done.wait(every):
        reporter.line(f"{label}: {time.monotonic() - started:.0f} s, {activity.detail}")


def _stop(beat: threading.Thread, done: threading.Event) -> None:
    done.set()
    beat.join()
