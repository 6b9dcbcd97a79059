"""What a step may tell its user while it works: the ``Reporter`` protocol and ``sanitise``.

The implementations are in ``aksci.ci``; the edge chooses one and passes it in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["Reporter", "Task", "markdown_cell", "sanitise"]

# CSI and OSC sequences as ECMA-48 defines them, then any other two-character escape.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
# Azure Pipelines obeys ``##vso[`` anywhere in a line; GitHub obeys ``##[`` anywhere.
_HASH_COMMAND = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)
# GitHub obeys ``::command::`` at the line's start, white space aside.
_COLON_COMMAND = re.compile(r"^(\s*)::", re.MULTILINE)
_MARKS = re.compile(r"([\\`*_{}\[\]<>()|#@!~$&])")
_ADDRESS = re.compile(r"(?<=[a-z])(://)|(?<=www)(\.)", re.IGNORECASE)


def sanitise(text: str) -> str:
    """Make text from a program or a cluster harmless to a terminal and to both CI systems.

    ANSI escapes and control characters go; a lone carriage return becomes a line break; ``##vso[``
    and ``##[`` become ``# #vso[`` and ``# #[``, and ``::cmd::`` at a line's start becomes ``:
    :cmd::``, so that they stay readable and are not obeyed.

    Sources: Azure Pipelines "Logging commands"; GitHub Actions "Workflow commands".
    """
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub("", text)
    text = _HASH_COMMAND.sub("# #", text)
    return _COLON_COMMAND.sub(r"\1: :", text)


def markdown_cell(text: str) -> str:
    """Return text as one line that GitHub Flavored Markdown shows as it is, also in a table.

    Its "Backslash escapes" (2.4) cover punctuation. Bare addresses become links by themselves
    ("Autolinks", 6.9): their colon is written as an entity.
    """
    line = " ".join(sanitise(text).split())
    return _ADDRESS.sub(_entity, _MARKS.sub(r"\\\1", line))


def _entity(match: re.Match[str]) -> str:
    return "&#58;//" if match[1] else "&#46;"


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
