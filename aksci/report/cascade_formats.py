"""A cascade's report in every format that ``cascade -- --format`` takes, and as a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from aksci.core.text import escape_markdown, one_line, safe_json
from aksci.report.cascade_page import cascade_html
from aksci.report.cascade_sections import sections_of
from aksci.report.cascade_wording import LONGEST, answer, is_quiet, moved
from aksci.report.critical_path import critical_path
from aksci.report.markup import markdown_row, markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from aksci.cascade.cascade_report import Cascade, EnvironmentOutcome, FindingMove, ImageOutcome
    from aksci.cascade.drift import EdgeDrift
    from aksci.core.work_folder import WorkFolder
    from aksci.report.cascade_sections import Section

__all__ = [
    "CASCADE_FORMATS",
    "cascade_document",
    "cascade_json",
    "cascade_markdown",
    "cascade_text",
    "save_cascade_report",
]

_TEXT_ROWS = 30
_WIDEST = 48
"""Characters that a column is padded to; a longer text pushes the rest of its own line."""
_MARKDOWN_ROWS = 200
_MARKDOWN_BYTES = 48 * 1024
"""Of one section's lines, and of its rows: there are ten sections, and GitHub takes 1 MiB for a
step's summary ("Workflow commands", step isolation and limits)."""
_MOST = 2000
"""Entries of a list that others make long: edges, findings, tags, images elsewhere."""
_TEXT = 1000
"""Characters of a text."""
_ENTRIES = 100
"""Entries of a list inside one image's entry, such as the files of a reason."""
_T = TypeVar("_T")


def save_cascade_report(work: WorkFolder, report: Cascade) -> Path:
    """Write ``cascade.json`` into a project's ``.aksci``, atomically; return its path."""
    return work.write("cascade.json", cascade_json(report) + "\n")


def cascade_text(report: Cascade) -> str:
    """Return the answer in one line and, unless nothing moved, a paragraph a section."""
    lines = [one_line(answer(report), LONGEST)]
    if not is_quiet(report):
        for section in sections_of(report, _TEXT_ROWS):
            lines += ["", section.title, *(f"  {line}" for line in _text_lines(section))]
    return "\n".join(lines)


def _text_lines(section: Section) -> Iterator[str]:
    yield from (one_line(line, LONGEST) for line in section.lines)
    cells = [[one_line(text, LONGEST) for text in row] for row in section.rows]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (f"{text:{width}}" for text, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()
    if section.more:
        yield f"and {section.more} more"


def cascade_markdown(report: Cascade) -> str:
    """Return a heading, the answer, and tables."""
    title = "## Cascade plan" if report.planned else "## Cascade"
    lines = [title, "", escape_markdown(answer(report), LONGEST)]
    if not is_quiet(report):
        for section in sections_of(report, _MARKDOWN_ROWS):
            lines += ["", f"### {section.title}", *_markdown_lines(section)]
    return "\n".join(lines)


def _markdown_lines(section: Section) -> Iterator[str]:
    lines, lost = _fitting(f"- {escape_markdown(text, LONGEST)}" for text in section.lines)
    rows, cut = _fitting(markdown_row(row, LONGEST) for row in section.rows)
    if lines:
        yield from ("", *lines)
    if rows:
        yield from (*markdown_table(section.columns, ()), *rows)
    if more := section.more + lost + cut:
        yield from ("", f"… and {more} more.")


def _fitting(lines: Iterable[str]) -> tuple[list[str], int]:
    """Return the first lines that there is room for, and how many there is none for."""
    shown: list[str] = []
    room, lost = _MARKDOWN_BYTES, 0
    for line in lines:
        room -= len(line.encode()) + 1
        if room >= 0:
            shown.append(line)
        else:
            lost += 1
    return shown, lost


def cascade_json(report: Cascade) -> str:
    """Return the document of schemas/cascade.schema.json as text."""
    return safe_json(cascade_document(report))


def cascade_document(report: Cascade) -> dict[str, Any]:
    """Return the whole report; edges that are as recorded are only counted."""
    names, seconds = critical_path(report.images)
    return {
        "schema": 1,
        "project": report.project,
        "environment": report.environment,
        "run": report.run,
        "created": report.created,
        "planned": report.planned,
        "answer": one_line(answer(report), LONGEST),
        "moved": len(moved(report.drift, "drifted")),
        "actions": dict(Counter(one.action for one in report.images)),
        "drift": {
            "counts": dict(Counter(one.state for one in report.drift)),
            **_bounded([one for one in report.drift if one.state != "same"], _edge),
        },
        "images": [_image(one) for one in report.images],
        "findings": {
            "counts": _counts(report.findings),
            **_bounded(report.findings, asdict),
        },
        "tags": _bounded(report.tags, asdict),
        "release": {
            "before": _plain(report.release_before) or None,
            "after": _plain(report.release_after) or None,
        },
        "environments": [_environment(one) for one in report.environments],
        "dependents": _bounded(report.dependents, asdict),
        "steps": dict(report.steps),
        "seconds": report.seconds,
        "criticalPath": {"images": list(names), "seconds": seconds},
    }


def _bounded(found: Sequence[_T], entry: Callable[[_T], dict[str, Any]]) -> dict[str, Any]:
    """Return the first entries, and how many more there are."""
    shown = [_plain(entry(one)) for one in found[:_MOST]]
    return {"listed": shown, "more": len(found) - len(shown)}


def _plain(value: Any) -> Any:
    """Return a value with no text and no list in it that is too long."""
    if isinstance(value, str):
        return value if len(value) <= _TEXT else value[: _TEXT - 1] + "…"
    if isinstance(value, Mapping):
        return {str(_plain(str(name))): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value[:_ENTRIES]]
    return value


def _edge(one: EdgeDrift) -> dict[str, Any]:
    return {
        "image": one.image,
        "reference": one.reference,
        "type": one.type,
        "parent": one.parent or None,
        "recorded": one.recorded,
        "current": one.current,
        "state": one.state,
        "policy": {
            "update": one.policy.update,
            "digest": one.policy.digest,
            "tags": one.policy.tags,
            "rule": one.policy.rule,
        },
        "tag": one.tag or None,
        "note": one.note,
    }


def _image(one: ImageOutcome) -> dict[str, Any]:
    return {
        "image": one.image,
        "action": one.action,
        "reasons": _plain(one.reasons),
        "needs": list(one.needs),
        "before": one.before,
        "after": one.after,
        "seconds": {"make": one.spent.make, "gate": one.spent.gate},
        "error": _plain(one.error),
        "blockedBy": list(one.blocked_by),
        "withheld": one.withheld,
    }


def _counts(findings: Sequence[FindingMove]) -> dict[str, dict[str, int]]:
    """Return how many of each severity came and went, an image at a time."""
    return {
        change: dict(Counter(_plain(one.severity) for one in findings if one.change == change))
        for change in ("fixed", "introduced")
    }


def _environment(one: EnvironmentOutcome) -> dict[str, Any]:
    return {**asdict(one), "detail": _plain(one.detail), "services": list(one.services)}


CASCADE_FORMATS: dict[str, Callable[[Cascade], str]] = {
    "text": cascade_text,
    "json": cascade_json,
    "markdown": cascade_markdown,
    "html": cascade_html,
}
