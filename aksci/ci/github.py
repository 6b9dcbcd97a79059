"""Narration in the dialect of GitHub Actions ("Workflow commands for GitHub Actions")."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import ClassVar, TextIO

from aksci.ci.groups import GroupingReporter
from aksci.core.text import sanitise

__all__ = ["GitHubReporter"]


class GitHubReporter(GroupingReporter):
    """Use groups, annotations and masks; append to the step summary."""

    END: ClassVar[str] = "::endgroup::"

    def __init__(
        self, stream: TextIO, *, summary_file: str | None = None, output_file: str | None = None
    ) -> None:
        super().__init__(stream)
        self._summary_file = Path(summary_file) if summary_file else None
        self._output_file = Path(output_file) if output_file else None

    def warning(self, text: str) -> None:
        """Print a warning annotation."""
        self._write(f"::warning::{self._escaped(text)}")

    def error(self, text: str) -> None:
        """Print an error annotation."""
        self._write(f"::error::{self._escaped(text)}")

    def _heading(self, title: str) -> str:
        return f"::group::{self._escaped(title)}"

    def mask(self, secret: str) -> None:
        """Ask the runner to hide a value, line by line as it compares."""
        for line in filter(None, secret.splitlines()):
            self._command(f"::add-mask::{_escape_data(line)}")
        super().mask(secret)

    def _escaped(self, text: str) -> str:
        # Hidden before it is escaped, when a secret would be spelt otherwise.
        return _escape_data(sanitise(self._masked.hide(text)))

    def output(self, name: str, value: str) -> None:
        """Set a step output, with a delimiter that the value cannot know."""
        if self._output_file:
            delimiter = f"aksci-{secrets.token_hex(16)}"
            with self._output_file.open("a", encoding="utf-8") as file:
                file.write(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")

    def summary(self, markdown: str) -> None:
        """Append to the step's summary page."""
        if self._summary_file:
            # Appended: all that a step runs shares this file.
            with self._summary_file.open("a", encoding="utf-8") as file:
                file.write(self._masked.hide(sanitise(markdown)) + "\n")


def _escape_data(text: str) -> str:
    """Escape a command's data; ``%`` first, or the others would be escaped twice."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
