"""A team's own reporter, wrapped: what it gets has passed the sanitiser, and holds no secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.core.secret import Concealer
from aksci.core.text import sanitise

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from aksci.core.reporting import Reporter, Task

__all__ = ["OwnReporter"]


@dataclass(frozen=True)
class OwnReporter:
    """Sanitise text from programs and clusters before a reporter gets it."""

    reporter: Reporter
    _hidden: Concealer = field(default_factory=Concealer, repr=False)

    def conceal(self, secret: str) -> None:
        """Replace a value by ``***`` in all that is passed on from now on."""
        self._hidden.learn_shown(secret)

    def line(self, text: str) -> None:
        """Pass on."""
        self.reporter.line(self._clean(text))

    def warning(self, text: str) -> None:
        """Pass on."""
        self.reporter.warning(self._clean(text))

    def error(self, text: str) -> None:
        """Pass on."""
        self.reporter.error(self._clean(text))

    def group(self, title: str) -> AbstractContextManager[None]:
        """Pass on."""
        return self.reporter.group(self._clean(title))

    def task(self, name: str) -> Task:
        """Pass on, and so all that the task tells."""
        return _OwnTask(self.reporter.task(self._clean(name)), self._clean)

    def mask(self, secret: str) -> None:
        """Pass on as it is: what is to be hidden must be known whole."""
        self.conceal(secret)
        self.reporter.mask(secret)

    def output(self, name: str, value: str) -> None:
        """Pass on as it is: a later job reads it."""
        self.reporter.output(name, value)

    def summary(self, markdown: str) -> None:
        """Pass on."""
        self.reporter.summary(self._clean(markdown))

    def _clean(self, text: str) -> str:
        return self._hidden.hide(sanitise(text))


@dataclass(frozen=True)
class _OwnTask:
    task: Task
    clean: Callable[[str], str]

    def step(self, text: str) -> None:
        self.task.step(self.clean(text))

    def line(self, text: str) -> None:
        self.task.line(self.clean(text))

    def warning(self, text: str) -> None:
        self.task.warning(self.clean(text))

    def done(self, text: str) -> None:
        self.task.done(self.clean(text))
