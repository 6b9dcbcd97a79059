"""A reporter that remembers what it was told: ``RecordingReporter``."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from aksci.core.reporting import Reporter, Task

__all__ = ["RecordingReporter"]


class RecordingReporter(Reporter):
    """Keeps all that a step tells, as it was told: nothing is sanitised or masked.

    Several threads may use it.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        """Lines, warnings, errors, titles and ends of tasks, in order."""
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self.masked: list[str] = []
        self.outputs: dict[str, str] = {}
        self.summaries: list[str] = []

    @property
    def text(self) -> str:
        """Everything that was told, as lines."""
        return "\n".join(self.told)

    def line(self, text: str) -> None:
        """Remember a line."""
        self.lines.append(text)
        self.told.append(text)

    def warning(self, text: str) -> None:
        """Remember a warning."""
        self.warnings.append(text)
        self.told.append(text)

    def error(self, text: str) -> None:
        """Remember an error."""
        self.errors.append(text)
        self.told.append(text)

    def group(self, title: str) -> AbstractContextManager[None]:
        """Remember a title, as a line."""
        self.line(title)
        # What is told inside follows in ``told``.
        return nullcontext()

    def task(self, name: str) -> Task:
        """Return what remembers here, each line with the task's name."""
        return _RecordedTask(self, name)

    def mask(self, secret: str) -> None:
        """Remember what is to be hidden."""
        self.masked.append(secret)

    def output(self, name: str, value: str) -> None:
        """Remember a value for later jobs."""
        self.outputs[name] = value

    def summary(self, markdown: str) -> None:
        """Remember a piece of the summary."""
        self.summaries.append(markdown)


class _RecordedTask(Task):
    def __init__(self, reporter: RecordingReporter, name: str) -> None:
        self._reporter = reporter
        self._name = name

    def step(self, text: str) -> None:
        self.line(text)

    def line(self, text: str) -> None:
        self._reporter.line(f"{self._name}: {text}")

    def warning(self, text: str) -> None:
        self._reporter.warning(f"{self._name}: {text}")

    def done(self, text: str) -> None:
        self.line(text)
