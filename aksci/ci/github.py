"""Narration in the dialect of GitHub Actions ("Workflow commands for GitHub Actions")."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import ClassVar, TextIO

from aksci.ci.groups import GroupingReporter, require_output_name
from aksci.core.text import sanitise

__all__ = ["GitHubReporter"]

_LARGEST = 1 << 20
"""Bytes of a step's summary ("Adding a job summary", "Step isolation and limits")."""
_CUT = b"\n\nThe rest is left out: GitHub shows 1 MiB of a step.\n"


class GitHubReporter(GroupingReporter):
    """Use groups, annotations and masks; append to the step summary."""

    ANNOTATES: ClassVar[bool] = True
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
        require_output_name(name)
        if self._output_file:
            delimiter = f"aksci-{secrets.token_hex(16)}"
            # JSON can hold half a surrogate pair, which UTF-8 can't.
            with self._output_file.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")

    def summary(self, markdown: str) -> None:
        """Append to the step's summary page."""
        if self._summary_file:
            # Appended: all that a step runs shares this file.
            with self._summary_file.open("ab") as file:
                hidden = self._masked.hide(sanitise(markdown))
                text = f"{hidden}\n".encode("utf-8", "replace")
                fitting = _fitting(text, _LARGEST - file.seek(0, os.SEEK_END))
                file.write(fitting)
            if fitting != text:
                self.warning("The step's summary is cut: GitHub shows 1 MiB of it.")


def _fitting(text: bytes, room: int) -> bytes:
    """Cut a text at the end of a line, and say so: of a larger file, GitHub shows nothing."""
    if len(text) <= room:
        return text
    kept = text[: max(room - len(_CUT), 0)].rpartition(b"\n")[0]
    return kept + _CUT if kept else b""


def _escape_data(text: str) -> str:
    """Escape a command's data; ``%`` first, or the others would be escaped twice."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
