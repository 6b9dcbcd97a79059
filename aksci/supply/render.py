"""Verdicts for people: a table for the terminal and Markdown for a run's summary page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aksci.supply.verdict import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.supply.verdict import Finding, Verdict

__all__ = ["verdicts_document", "verdicts_markdown", "verdicts_table"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#@!~])")


def verdicts_document(verdicts: Mapping[str, Verdict]) -> dict[str, object]:
    """Return the JSON document of a whole scan, by image name."""
    return {
        "schema": 1,
        "passed": all(verdict.passed for verdict in verdicts.values()),
        "images": {
            name: {
                **verdict.document(),
                "verdict": str(verdict.stored) if verdict.stored else None,
            }
            for name, verdict in sorted(verdicts.items())
        },
    }


def verdicts_table(verdicts: Mapping[str, Verdict]) -> str:
    """Return one line an image, and below each that failed, what failed it."""
    width = max((len(name) for name in verdicts), default=0)
    lines = []
    for name, verdict in sorted(verdicts.items()):
        word = "pass" if verdict.passed else "FAIL"
        lines.append(f"{word}  {name:<{width}}  {_counts(verdict)}")
        lines += [f"      {text}" for text in (*verdict.problems, *verdict.notes)]
        lines += [f"      {_line(finding)}" for finding in verdict.failing]
        lines += [
            f"      ignored until {entry.expires}: {entry.finding.id} in {entry.finding.package} "
            f"({entry.owner}: {entry.reason})"
            for entry in verdict.ignored
        ]
    return "\n".join(lines)


def verdicts_markdown(verdicts: Mapping[str, Verdict]) -> str:
    """Return a table of images, and one of what failed them."""
    lines = ["| image | verdict | findings |", "| --- | --- | --- |"]
    for name, verdict in sorted(verdicts.items()):
        word = "pass" if verdict.passed else "**fail**"
        lines.append(f"| {_escape(name)} | {word} | {_counts(verdict)} |")
    failed = {name: verdict for name, verdict in sorted(verdicts.items()) if not verdict.passed}
    if failed:
        lines += ["", "| image | finding | severity | package | fixed in | title |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
    for name, verdict in failed.items():
        lines += [f"| {_escape(name)} | {_escape(text)} | | | | |" for text in verdict.problems]
        lines += [f"| {_escape(name)} | {_cells(finding)} |" for finding in verdict.failing]
    if any(verdict.test_database for verdict in verdicts.values()):
        lines += ["", "Scanned with a small test database: not a statement about these images."]
    return "\n".join(lines) + "\n"


def _counts(verdict: Verdict) -> str:
    parts = [
        f"{verdict.counts[name]} {name.lower()}" for name in SEVERITIES if verdict.counts[name]
    ]
    return ", ".join(parts) or "none"


def _line(finding: Finding) -> str:
    where = f"{finding.package} {finding.installed}"
    platform = f" [{finding.platform}]" if finding.platform else ""
    fix = f", fixed in {finding.fixed}" if finding.fixed else ""
    return f"{finding.severity:<8} {finding.id} in {where}{fix}{platform}: {finding.title}"


def _cells(finding: Finding) -> str:
    package = f"{finding.package} {finding.installed}"
    cells = (finding.id, finding.severity, package, finding.fixed, finding.title)
    return " | ".join(_escape(cell) for cell in cells)


def _escape(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
