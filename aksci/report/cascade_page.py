"""A cascade's report as one page of HTML that needs nothing else, not even a script."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from aksci.report.cascade_escape import element_text
from aksci.report.cascade_sections import finding_table, sections_of
from aksci.report.cascade_timeline import timeline_svg
from aksci.report.cascade_wording import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.cascade.cascade_report import CascadeReport
    from aksci.report.cascade_tables import Section

__all__ = ["report_html"]

_ROWS = 1000
_TINTED = frozenset({"blocked", "deployed", "failed", "fixed", "introduced", "rebuilt"})
"""First cells whose word is a class of the style sheet as well."""


def report_html(report: CascadeReport) -> str:
    """Return the page. Every text is escaped, and the page's policy lets no script run."""
    template = files("aksci.report").joinpath("cascade.html")
    page = template.read_text(encoding="utf-8").rstrip()
    failed = any(one.action in {"failed", "blocked"} for one in report.images)
    failed |= any(one.outcome == "failed" for one in report.environments)
    kind = "Cascade plan" if report.planned else "Cascade"
    about = (report.created, f"environment {report.environment}", f"run {report.run}")
    body = [*map(_section, sections_of(report, _ROWS)), timeline_svg(report.images)]
    body += [_section(finding_table(report, _ROWS))] if report.findings else []
    parts = {
        "title": element_text(f"{kind}: {report.project}"),
        "about": " · ".join(map(element_text, about)),
        "tone": "answer bad" if failed else "answer",
        "answer": element_text(answer(report)),
        "body": "\n".join(filter(None, body)),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)


def _section(section: Section) -> str:
    return "\n".join([f"<h2>{element_text(section.title)}</h2>", *_parts(section)])


def _parts(section: Section) -> Iterator[str]:
    if section.lines:
        tone = ' class="failures"' if section.title == "Failures" else ""
        yield f"<ul{tone}>"
        yield from (f"<li>{element_text(line)}</li>" for line in section.lines)
        yield "</ul>"
    if section.rows:
        heads = "".join(f'<th scope="col">{element_text(name)}</th>' for name in section.columns)
        yield f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>'
        yield from map(_row, section.rows)
        yield "</tbody></table></div>"
    if section.more:
        yield f'<p class="more">and {section.more} more</p>'


def _row(cells: tuple[str, ...]) -> str:
    first, *rest = cells
    tone = f' class="{first}"' if first in _TINTED else ""
    others = "".join(f"<td>{element_text(text)}</td>" for text in rest)
    return f"<tr><td{tone}>{element_text(first)}</td>{others}</tr>"
