"""Verdicts in every format that ``scan -- --format`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import UsageError
from aksci.core.text import safe_json
from aksci.report.verdict_junit import verdicts_junit
from aksci.report.verdict_page import verdicts_page
from aksci.report.verdict_report import verdicts_document, verdicts_markdown, verdicts_table
from aksci.report.verdict_sarif import verdicts_sarif

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.supply.scan.verdict import Verdict

    Verdicts = Mapping[str, Verdict]

__all__ = ["CODE_FORMATS", "VERDICT_FORMATS", "render_verdicts"]

CODE_FORMATS = frozenset({"html", "json", "junit", "sarif"})
"""Where ``sanitise`` would change the meaning; their texts are sanitised one by one."""


def render_verdicts(verdicts: Verdicts, form: str, before: Verdicts | None = None) -> str:
    """Return verdicts in one of ``VERDICT_FORMATS``.

    :param before: the verdicts of the last release, where the format tells what changed since.
    :raises UsageError: the format is none of them.
    """
    if form not in VERDICT_FORMATS:
        known = ", ".join(VERDICT_FORMATS)
        raise UsageError(f"Verdicts can't be shown as {form!r}; there are: {known}.")
    return VERDICT_FORMATS[form](verdicts, before)


VERDICT_FORMATS: dict[str, Callable[[Verdicts, Verdicts | None], str]] = {
    "text": verdicts_table,
    "json": lambda verdicts, before: safe_json(verdicts_document(verdicts, before)),
    "markdown": verdicts_markdown,
    "sarif": lambda verdicts, _before: safe_json(verdicts_sarif(verdicts)),
    "junit": lambda verdicts, _before: verdicts_junit(verdicts),
    "html": verdicts_page,
}
