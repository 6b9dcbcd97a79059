"""A cascade's report as the JSON document of schemas/cascade.schema.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from aksci.report.cascade_escape import one_line
from aksci.report.cascade_wording import answer, moved
from aksci.report.critical_path import critical_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aksci.cascade.cascade_report import (
        CascadeReport,
        EnvironmentOutcome,
        FindingMove,
        ImageOutcome,
    )
    from aksci.cascade.drift import EdgeDrift

__all__ = ["report_document"]

_MOST = 2000
"""Entries of a list that others make long: edges, findings, tags, images elsewhere."""
_TEXT = 1000
"""Characters of a text."""
_ENTRIES = 100
"""Entries of a list inside one image's entry, such as the files of a reason."""
_T = TypeVar("_T")


def report_document(report: CascadeReport) -> dict[str, Any]:
    """Return the whole report; edges that are as recorded are only counted."""
    names, seconds = critical_path(report.images)
    return {
        "schema": 1,
        "project": report.project,
        "environment": report.environment,
        "run": report.run,
        "created": report.created,
        "planned": report.planned,
        "answer": one_line(answer(report)),
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
