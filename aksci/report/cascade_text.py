"""A cascade's report for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.report.cascade_escape import one_line
from aksci.report.cascade_sections import sections_of
from aksci.report.cascade_wording import answer, is_quiet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.cascade.cascade_report import CascadeReport
    from aksci.report.cascade_tables import Section

__all__ = ["report_text"]

_ROWS = 30
_WIDEST = 48
"""Characters that a column is padded to; a longer text pushes the rest of its own line."""


def report_text(report: CascadeReport) -> str:
    """Return the answer in one line and, unless nothing moved, a paragraph a section."""
    lines = [one_line(answer(report))]
    if not is_quiet(report):
        for section in sections_of(report, _ROWS):
            lines += ["", section.title, *(f"  {line}" for line in _lines(section))]
    return "\n".join(lines)


def _lines(section: Section) -> Iterator[str]:
    yield from map(one_line, section.lines)
    cells = [[one_line(text) for text in row] for row in section.rows]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (f"{text:{width}}" for text, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()
    if section.more:
        yield f"and {section.more} more"
