"""What a step may tell its user while it works: the ``Reporter`` protocol.

The implementations are in ``aksci.ci``; the edge chooses one and passes it in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, TextIO, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

__all__ = ["Annotating", "Concealing", "Reporter", "ReporterContext", "Task"]


class Task(Protocol):
    """Tell of one of several things that are being done at once, such as an image's build.

    What is told is sanitised. Safe to use from several threads.
    """

    def step(self, text: str) -> None:
        """Say what is being done now."""

    def line(self, text: str) -> None:
        """Tell one line of a program's output."""

    def warning(self, text: str) -> None:
        """Tell what a person should see even when all ends well."""

    def done(self, text: str) -> None:
        """Say how it ended, as the last call."""


class Reporter(Protocol):
    """Narrate to a person. Everything goes to stderr; stdout is for data."""

    def line(self, text: str) -> None:
        """Print one line of narration or of a program's output, sanitised."""

    def warning(self, text: str) -> None:
        """Print a warning, as an annotation where the CI system has them."""

    def error(self, text: str) -> None:
        """Print an error, as an annotation where the CI system has them."""

    def group(self, title: str) -> AbstractContextManager[None]:
        """Fold what is printed inside under a title."""

    def task(self, name: str) -> Task:
        """Begin to tell of something that is done beside others."""

    def mask(self, secret: str) -> None:
        """Ask the CI system to hide a value in all later output."""

    def output(self, name: str, value: str) -> None:
        """Hand a value to later CI jobs, where the CI system can."""

    def summary(self, markdown: str) -> None:
        """Append Markdown to the run's summary page, where the CI system has one."""


@runtime_checkable
class Concealing(Protocol):
    """What those reporters can do, too, that ``Environment.open`` chooses."""

    def conceal(self, secret: str) -> None:
        """Hide a value in all later output, without a word about it to the CI system."""


@runtime_checkable
class Annotating(Protocol):
    """What the reporters of CI systems are, whose warnings are shown on the run's page."""

    ANNOTATES: ClassVar[bool]


@dataclass(frozen=True, kw_only=True)
class ReporterContext:
    """What the factory of a reporter of one's own is called with."""

    name: str
    """Under which ``AKSCI_REPORTER`` asks for it."""
    stream: TextIO
    """stderr: stdout is for data."""
    variables: Mapping[str, str] = field(repr=False)
    """The process's environment variables."""
    usual: Reporter
    """Who would narrate without it: one that only adds something passes the rest on."""
