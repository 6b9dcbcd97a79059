"""Narration for a person at a terminal, or for a log file."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, TextIO

from aksci.ci.task_lines import PlainTask
from aksci.core.secret import Concealer
from aksci.core.text import encodable, sanitise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.core.reporting import Task

__all__ = ["ConsoleReporter"]

_BOLD, _RED, _YELLOW, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[0m"


class ConsoleReporter:
    """Write sanitised lines to one stream; safe from several threads."""

    def __init__(self, stream: TextIO, *, colour: bool = False) -> None:
        self._stream = stream
        self._colour = colour
        # Reentrant: reporters that draw or fold print while they hold it.
        self._lock = threading.RLock()
        self._masked = Concealer()

    def line(self, text: str) -> None:
        """Print one line, or several."""
        self._write(sanitise(text))

    def warning(self, text: str) -> None:
        """Print a warning."""
        self._write(self._paint(_YELLOW, "warning: ") + sanitise(text))

    def error(self, text: str) -> None:
        """Print an error."""
        self._write(self._paint(_RED, "error: ") + sanitise(text))

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Print a heading; what follows until the next one belongs to it."""
        self._write(self._paint(_BOLD, f"── {sanitise(title)}"))
        yield

    def task(self, name: str) -> Task:
        """Print what a task tells as it comes, each line with the task's name."""
        return PlainTask(self, name)

    def conceal(self, secret: str) -> None:
        """Replace a value by ``***`` in all later output, without telling the CI system."""
        self._masked.learn_shown(secret)

    def mask(self, secret: str) -> None:
        """Replace a value by ``***`` in all later output."""
        self.conceal(secret)

    def output(self, name: str, value: str) -> None:
        """Do nothing: there is no later job."""

    def summary(self, markdown: str) -> None:
        """Do nothing: a terminal has no summary page."""

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour else text

    def _write(self, text: str) -> None:
        with self._lock:
            self._stream.write(self._printable(text) + "\n")
            # At once: a log is read while the run goes on, and is what remains of one that is
            # killed.
            self._stream.flush()

    def _command(self, text: str) -> None:
        """Write a command to the CI system as it is: what it is to hide must be known whole."""
        with self._lock:
            self._stream.write(encodable(text, self._stream) + "\n")
            self._stream.flush()

    def _printable(self, text: str) -> str:
        """Hide what is masked, and replace what the stream's encoding lacks."""
        text = self._masked.hide(text)
        # A CI log in ASCII must not end the run at the first arrow.
        return encodable(text, self._stream)
