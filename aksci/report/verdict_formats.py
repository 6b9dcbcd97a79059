"""Verdicts in every format that ``scan -- --format`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.text import safe_json
from aksci.report.verdict_junit import verdicts_junit
from aksci.report.verdict_page import verdicts_page
from aksci.report.verdict_report import verdicts_document, verdicts_markdown, verdicts_table
from aksci.report.verdict_sarif import verdicts_sarif

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.supply.scan.verdicts import Verdicts

__all__ = ["VERDICT_FORMATS"]

VERDICT_FORMATS: dict[str, Callable[[Verdicts], str]] = {
    "text": lambda verdicts: verdicts_table(verdicts, verdicts.before),
    "json": lambda verdicts: safe_json(verdicts_document(verdicts, verdicts.before)),
    "markdown": lambda verdicts: verdicts_markdown(verdicts, verdicts.before),
    "sarif": lambda verdicts: safe_json(verdicts_sarif(verdicts)),
    "junit": verdicts_junit,
    "html": lambda verdicts: verdicts_page(verdicts, verdicts.before),
}
