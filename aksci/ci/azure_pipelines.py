"""Narration in the dialect of Azure Pipelines ("Logging commands")."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import ClassVar, TextIO

from aksci.ci.groups import GroupingReporter, require_output_name
from aksci.core.text import sanitise

__all__ = ["AzurePipelinesReporter"]


class AzurePipelinesReporter(GroupingReporter):
    """Use groups, log issues and secret variables; attach summaries to the run."""

    ANNOTATES: ClassVar[bool] = True
    END: ClassVar[str] = "##[endgroup]"

    def __init__(self, stream: TextIO, *, summary_folder: str | None = None) -> None:
        super().__init__(stream)
        self._summary_folder = Path(summary_folder) if summary_folder else None
        self._summaries = itertools.count(1)

    def warning(self, text: str) -> None:
        """Log a warning on the run."""
        self._write(f"##vso[task.logissue type=warning]{self._escaped(text)}")

    def error(self, text: str) -> None:
        """Log an error on the run."""
        self._write(f"##vso[task.logissue type=error]{self._escaped(text)}")

    def _heading(self, title: str) -> str:
        return f"##[group]{self._escaped(title)}"

    def mask(self, secret: str) -> None:
        """Ask the agent to hide a value, line by line as it compares."""
        for number, line in enumerate(filter(None, secret.splitlines())):
            name = f"AKSCI_MASK_{number}"
            self._command(f"##vso[task.setvariable variable={name};issecret=true]{_escape(line)}")
        super().mask(secret)

    def _escaped(self, text: str) -> str:
        # Hidden before it is escaped, when a secret would be spelt otherwise.
        return _escape(sanitise(self._masked.hide(text)))

    def output(self, name: str, value: str) -> None:
        """Set an output variable of the step."""
        require_output_name(name)
        self._write(f"##vso[task.setvariable variable={name};isOutput=true]{_escape(value)}")

    def summary(self, markdown: str) -> None:
        """Attach one more Markdown file to the run's summary page."""
        if self._summary_folder:
            path = self._summary_folder / f"aksci-summary-{next(self._summaries)}.md"
            # A file each: what an earlier summary attached must not change under it.
            # JSON can hold half a surrogate pair, which UTF-8 can't.
            text = self._masked.hide(sanitise(markdown)) + "\n"
            path.write_text(text, encoding="utf-8", errors="replace")
            self._write(f"##vso[task.uploadsummary]{path}")


def _escape(text: str) -> str:
    """Escape a command's message; ``%`` first, as ``%AZP25`` ("Formatting commands")."""
    return text.replace("%", "%AZP25").replace("\r", "%0D").replace("\n", "%0A")
