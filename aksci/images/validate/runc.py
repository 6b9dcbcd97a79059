"""Calls of runc: short ones, and those that last as long as a process in a container."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import AksciError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aksci.core.process import Result, Runner
    from aksci.local.layout import Layout

__all__ = ["Runc", "RuncCall"]

_KEPT = 2**16  # characters of output
_TIMEOUT = 30.0  # seconds for a short call


@dataclass(frozen=True, kw_only=True)
class Runc:
    """Calls runc for the container of a folder, which is its bundle and gives its name."""

    layout: Layout
    runner: Runner

    def call(self, folder: Path, *words: str | Path, timeout: float | None = _TIMEOUT) -> Result:
        """Call it; any status will do. Its log is ``<word>.log`` in the folder."""
        options: tuple[str | Path, ...] = (
            *("--root", self.layout.run / "runc-containers"),
            *("--log", folder / f"{words[0]}.log", "--log-format", "json"),
        )
        return self.runner.run(
            ["runc", *options, *words, folder.name],
            check=False,
            quiet=True,
            timeout=timeout,
            last=_KEPT,
        )

    def group(self, folder: Path) -> str:
        """Return the control group of the container."""
        return f"{self.layout.cgroup}/containers/{folder.name}"


class RuncCall(threading.Thread):
    """One call of runc that lasts, in a thread of its own."""

    def __init__(self, runc: Runc, folder: Path, *words: str | Path) -> None:
        super().__init__(name=f"runc {words[0]}", daemon=True)
        self._call: Callable[[], Result] = lambda: runc.call(folder, *words, timeout=None)
        self._result: Result | AksciError | None = None
        self.start()

    def run(self) -> None:
        """Call it to its end: what the thread does."""
        try:
            self._result = self._call()
        except AksciError as error:
            self._result = error

    @property
    def ended(self) -> bool:
        """Whether it has."""
        return self._result is not None

    @property
    def status(self) -> int:
        """Of the program; only once it has ended.

        :raises AksciError: runc itself could not be run.
        """
        if isinstance(self._result, AksciError):
            raise self._result
        return self._result.status if self._result else 0

    @property
    def output(self) -> str:
        """The end of what it has written; empty while it runs."""
        found = self._result
        return "" if found is None or isinstance(found, AksciError) else found.stdout
