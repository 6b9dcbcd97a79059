"""A cascade's report for a CI system's summary page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.report.cascade_escape import cell
from aksci.report.cascade_sections import sections_of
from aksci.report.cascade_wording import answer, is_quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aksci.cascade.cascade_report import CascadeReport
    from aksci.report.cascade_tables import Section

__all__ = ["report_markdown"]

_ROWS = 200
_BYTES = 48 * 1024
"""Of one section's lines, and of its rows: there are ten sections, and GitHub takes 1 MiB for a
step's summary ("Workflow commands", step isolation and limits)."""


def report_markdown(report: CascadeReport) -> str:
    """Return a heading, the answer, and tables."""
    title = "## Cascade plan" if report.planned else "## Cascade"
    lines = [title, "", cell(answer(report))]
    if not is_quiet(report):
        for section in sections_of(report, _ROWS):
            lines += ["", f"### {section.title}", *_lines(section)]
    return "\n".join(lines)


def _lines(section: Section) -> Iterator[str]:
    lines, lost = _fitting(f"- {cell(text)}" for text in section.lines)
    rows, cut = _fitting(f"| {' | '.join(map(cell, row))} |" for row in section.rows)
    if lines:
        yield from ("", *lines)
    if rows:
        yield from ("", f"| {' | '.join(section.columns)} |", "| --- " * len(section.columns) + "|")
        yield from rows
    if more := section.more + lost + cut:
        yield from ("", f"… and {more} more.")


def _fitting(lines: Iterable[str]) -> tuple[list[str], int]:
    """Return the first lines that there is room for, and how many there is none for."""
    shown: list[str] = []
    room, lost = _BYTES, 0
    for line in lines:
        room -= len(line.encode()) + 1
        if room >= 0:
            shown.append(line)
        else:
            lost += 1
    return shown, lost
