"""A team's own reporter, wrapped: what it gets has passed the sanitiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.text import sanitise

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from aksci.core.reporting import Reporter, Task

__all__ = ["OwnReporter"]


@dataclass(frozen=True)
class OwnReporter:
    """Sanitise text from programs and clusters before a reporter gets it."""

    reporter: Reporter

    def line(self, text: str) -> None:
        """Pass on."""
        self.reporter.line(sanitise(text))

    def warning(self, text: str) -> None:
        """Pass on."""
        self.reporter.warning(sanitise(text))

    def error(self, text: str) -> None:
        """Pass on."""
        self.reporter.error(sanitise(text))

    def group(self, title: str) -> AbstractContextManager[None]:
        """Pass on."""
        return self.reporter.group(sanitise(title))

    def task(self, name: str) -> Task:
        """Pass on, and so all that the task tells."""
        return _OwnTask(self.reporter.task(sanitise(name)))

    def mask(self, secret: str) -> None:
        """Pass on as it is: what is to be hidden must be known whole."""
        self.reporter.mask(secret)

    def output(self, name: str, value: str) -> None:
        """Pass on as it is: a later job reads it."""
        self.reporter.output(name, value)

    def summary(self, markdown: str) -> None:
        """Pass on."""
        self.reporter.summary(sanitise(markdown))


@dataclass(frozen=True)
class _OwnTask:
    task: Task

    def step(self, text: str) -> None:
        self.task.step(sanitise(text))

    def line(self, text: str) -> None:
        self.task.line(sanitise(text))

    def warning(self, text: str) -> None:
        self.task.warning(sanitise(text))

    def done(self, text: str) -> None:
        self.task.done(sanitise(text))
