"""A cascade's report as one page of HTML that needs nothing else, not even a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.text import escape_html
from aksci.report.cascade_sections import finding_table, sections_of
from aksci.report.cascade_wording import LONGEST, answer
from aksci.report.critical_path import critical_path, earliest_starts
from aksci.report.markup import fill_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aksci.cascade.cascade_report import Cascade, ImageOutcome
    from aksci.report.cascade_sections import Section

__all__ = ["cascade_html"]

_ROWS = 1000
_TINTED = frozenset({"blocked", "deployed", "failed", "fixed", "introduced", "rebuilt"})
"""First cells whose word is a class of the style sheet as well."""
_MOST = 40
"""Bars; beyond that, those of the critical path and the longest."""
_WIDTH, _ROW, _BAR = 1000, 22, 14
_LEFT, _RIGHT = 210, 70
"""Room for names, and for seconds after the last bar."""
_LEGEND = "Each image from when it could have begun, at the earliest; the critical path is marked."
_NAME = 28
"""Characters of a name."""


def cascade_html(report: Cascade) -> str:
    """Return the page. Every text is escaped, and the page's policy lets no script run."""
    failed = any(one.action in {"failed", "blocked"} for one in report.images)
    failed |= any(one.outcome == "failed" for one in report.environments)
    kind = "Cascade plan" if report.planned else "Cascade"
    about = (report.created, f"environment {report.environment}", f"run {report.run}")
    body = [*map(_section, sections_of(report, _ROWS)), _timeline(report.images)]
    body += [_section(finding_table(report, _ROWS))] if report.findings else []
    parts = {
        "title": _html(f"{kind}: {report.project}"),
        "about": " · ".join(map(_html, about)),
        "tone": "answer bad" if failed else "answer",
        "answer": _html(answer(report)),
        "body": "\n".join(filter(None, body)),
    }
    return fill_page("cascade.html", **parts).rstrip()


def _section(section: Section) -> str:
    return "\n".join([f"<h2>{_html(section.title)}</h2>", *_parts(section)])


def _parts(section: Section) -> Iterator[str]:
    if section.lines:
        tone = ' class="failures"' if section.title == "Failures" else ""
        yield f"<ul{tone}>"
        yield from (f"<li>{_html(line)}</li>" for line in section.lines)
        yield "</ul>"
    if section.rows:
        heads = "".join(f'<th scope="col">{_html(name)}</th>' for name in section.columns)
        yield f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>'
        yield from map(_row, section.rows)
        yield "</tbody></table></div>"
    if section.more:
        yield f'<p class="more">and {section.more} more</p>'


def _row(cells: tuple[str, ...]) -> str:
    first, *rest = cells
    # Only a known word becomes a class: the cell's text may come from anywhere.
    tone = f' class="{first}"' if first in _TINTED else ""
    others = "".join(f"<td>{_html(text)}</td>" for text in rest)
    return f"<tr><td{tone}>{_html(first)}</td>{others}</tr>"


def _timeline(images: Sequence[ImageOutcome]) -> str:
    """Return a chart of the images that were made; nothing if none took any time.

    Each bar begins where the last of what the image needs ends: when it could have begun, had it
    not waited for its turn. So the chart is as wide as the critical path is long.

    :param images: parents before children.
    """
    names, seconds = critical_path(images)
    if not names:
        return ""
    starts = earliest_starts(images)
    shown = _chosen(images, frozenset(names))
    height = _ROW * len(shown) + 6
    bars = "\n".join(
        _bar(one, starts[one.image], seconds, _ROW * row, long=one.image in names)
        for row, one in enumerate(shown)
    )
    said = f"Critical path: {len(names)} of the images, {seconds:.1f} seconds"
    return "\n".join(
        [
            "<h2>Timeline</h2>",
            f'<p class="about">{_LEGEND}</p>',
            f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{said}">',
            f'<line x1="{_LEFT}" y1="0" x2="{_LEFT}" y2="{height}"/>',
            bars,
            "</svg>",
        ]
    )


def _chosen(images: Sequence[ImageOutcome], path: frozenset[str]) -> list[ImageOutcome]:
    """Return the images that have a bar, in their order."""
    made = [one for one in images if one.action == "rebuilt"]
    ranked = sorted(made, key=lambda one: (one.image not in path, -one.spent.total))
    names = {one.image for one in ranked[:_MOST]}
    return [one for one in made if one.image in names]


def _bar(one: ImageOutcome, start: float, whole: float, top: int, *, long: bool) -> str:
    scale = (_WIDTH - _LEFT - _RIGHT) / whole
    left, width = _LEFT + start * scale, max(1.0, one.spent.total * scale)
    told = f"{one.image}: {one.action}, {one.spent.make:.1f} s and {one.spent.gate:.1f} s of gates"
    base = top + _BAR - 1
    name = escape_html(one.image, _NAME)
    kind = "long" if long else "short"
    return (
        f'<g class="{kind}"><title>{_html(told)}</title>'
        f'<text x="{_LEFT - 8}" y="{base}" text-anchor="end">{name}</text>'
        f'<rect x="{left:.1f}" y="{top + 2}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
        f'<text class="soft" x="{left + width + 6:.1f}" y="{base}">{one.spent.total:.1f} s</text>'
        "</g>"
    )


def _html(text: str) -> str:
    return escape_html(text, LONGEST)
