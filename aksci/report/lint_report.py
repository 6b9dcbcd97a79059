"""What lint found, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.deploy.lint.lint_project import LintReport

__all__ = ["LINT_FORMATS", "lint_text"]


def lint_text(report: LintReport) -> str:
    """Return one line a finding."""
    return "\n".join(map(str, report.findings))


LINT_FORMATS: dict[str, Callable[[LintReport], str]] = {"text": lint_text}
