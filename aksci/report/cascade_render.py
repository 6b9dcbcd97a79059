"""A cascade's report in every format that ``cascade -- --format`` takes, and as a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aksci.core.files import write_atomically
from aksci.report.cascade_document import report_document
from aksci.report.cascade_markdown import report_markdown
from aksci.report.cascade_page import report_html
from aksci.report.cascade_text import report_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aksci.cascade.cascade_report import CascadeReport

__all__ = ["REPORT_FORMATS", "report_json", "save_report"]


def report_json(report: CascadeReport) -> str:
    """Return the document as JSON that no CI system takes for a command of its own.

    ``##`` is in strings only, where the second may be written as an escape.
    """
    return json.dumps(report_document(report), indent=2).replace("##", "#\\u0023")


def save_report(work: Path, report: CascadeReport) -> Path:
    """Write ``cascade.json`` into a project's ``.aksci``, atomically; return its path."""
    work.mkdir(exist_ok=True)
    path = work / "cascade.json"
    write_atomically(path, report_json(report) + "\n", mode=0o666)
    return path


REPORT_FORMATS: dict[str, Callable[[CascadeReport], str]] = {
    "text": report_text,
    "json": report_json,
    "markdown": report_markdown,
    "html": report_html,
}
