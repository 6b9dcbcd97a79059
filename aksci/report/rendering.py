"""Which formats a value can be shown in: by its type, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from aksci.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CODE_FORMATS", "formats_of", "render", "require_format"]

CODE_FORMATS = frozenset({"json", "html", "sarif", "junit"})
"""For programs: ``sanitise`` would change the meaning; each escapes what it shows itself."""

_TABLES = {
    "Audit": "audit_report:AUDIT_FORMATS",
    "BuildPlan": "plan_report:PLAN_FORMATS",
    "Cascade": "cascade_formats:CASCADE_FORMATS",
    "CheckedRelease": "release_report:RELEASE_FORMATS",
    "Comparison": "release_comparison:COMPARISON_FORMATS",
    "DeployPlan": "deploy_report:DOCUMENT_FORMATS",
    "DeployResult": "deploy_report:RESULT_FORMATS",
    "Drawing": "graph_formats:DRAWING_FORMATS",
    "EnvironmentStatus": "deploy_report:DOCUMENT_FORMATS",
    "Explanation": "why_report:WHY_FORMATS",
    "Graph": "graph_formats:GRAPH_FORMATS",
    "LintReport": "lint_report:LINT_FORMATS",
    "Matrices": "plan_report:MATRIX_FORMATS",
    "PlanComparison": "plan_report:COMPARISON_FORMATS",
    "PromotionPlan": "deploy_report:DOCUMENT_FORMATS",
    "ReleaseList": "release_report:RELEASE_LIST_FORMATS",
    "UndecidedError": "plan_report:UNDECIDED_FORMATS",
    "Verdicts": "verdict_formats:VERDICT_FORMATS",
}
"""A type's name, of which there is one only -> where the functions of its formats are."""


def formats_of(value: object) -> Mapping[str, Callable[[object], str]]:
    """Return format -> what makes a text of the value.

    :raises UsageError: nothing shows such a value.
    """
    if isinstance(value, str):
        return {"text": str}
    return _formats(type(value).__name__)


def _formats(kind: str) -> Mapping[str, Callable[[object], str]]:
    place = _TABLES.get(kind)
    if place is None:
        raise UsageError(
            f"A value of the type {kind!r} can't be shown.",
            hint=f"These can: str, {', '.join(_TABLES)}.",
        )
    module, name = place.split(":")
    found: Mapping[str, Callable[[object], str]]
    found = getattr(import_module(f"aksci.report.{module}"), name)
    return found


def render(value: object, name: str) -> str:
    """Return a value as text in a format.

    :raises UsageError: it has no such format.
    """
    known = formats_of(value)
    _require(known, name, type(value).__name__)
    return known[name](value)


def require_format(kind: str, name: str) -> None:
    """Refuse a format before there is a value to show.

    :param kind: the value's type.
    :raises UsageError: such a value has no such format.
    """
    _require(_formats(kind), name, kind)


def _require(known: Mapping[str, object], name: str, kind: str) -> None:
    if name not in known:
        formats = ", ".join(known)
        raise UsageError(f"{kind} can't be shown as {name!r}; it takes --format {formats}.")
