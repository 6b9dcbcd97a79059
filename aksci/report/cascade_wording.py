"""A cascade in words: the line that answers, and words that more than one section uses."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from aksci.images.reason_wording import short_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aksci.cascade.base_policy import EdgePolicy
    from aksci.cascade.cascade_report import Cascade, FindingMove
    from aksci.cascade.drift import EdgeDrift

__all__ = [
    "LONGEST",
    "answer",
    "by_severity",
    "chain",
    "counted",
    "is_quiet",
    "listed",
    "move",
    "moved",
    "policy_text",
    "worst_first",
]

_AGAIN = {"rebuilt": "rebuilt", "rebuild": "rebuilt"}
"""What counts as made again, done or planned, in words."""
_OTHERS = ("reused", "kept", "failed", "blocked")
_RANKS = {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 2, "LOW": 3, "UNKNOWN": 4}
LONGEST = 400
"""Characters of one text, wherever it is shown."""
_FEW = 5
"""Names in a list."""


def answer(report: Cascade) -> str:
    """Return one line that says what moved and what came of it."""
    actions: Counter[str] = Counter(one.action for one in report.images)
    count = sum(actions[name] for name in _AGAIN)
    split = [f"{actions[name]} {word}" for name, word in _AGAIN.items() if actions[name]]
    verb = "would be made again" if report.planned else "made again"
    told = [
        f"{counted(count, 'image')} {verb} ({', '.join(split)})" if count else f"nothing {verb}"
    ]
    told += [f"{actions[name]} {name}" for name in _OTHERS if actions[name]]
    withheld = sum(one.withheld for one in report.images)
    told += [f"stable tags of {withheld} withheld"] if withheld else []
    failed = [one.name for one in report.environments if one.outcome == "failed"]
    told += [f"deployment to {listed(failed)} failed"] if failed else []
    return f"{_bases(report)}: {', '.join(told)}"


def is_quiet(report: Cascade) -> bool:
    """Tell whether there is nothing to say beyond the answer."""
    return not (
        any(one.action not in {"kept", "reused"} for one in report.images)
        or any(one.state != "same" for one in report.drift)
        or any(one.outcome != "unchanged" for one in report.environments)
        or report.findings
        or report.tags
        or report.dependents
        or report.release_after not in {"", report.release_before}
    )


def moved(drift: Iterable[EdgeDrift], *states: str) -> set[str]:
    """Return the references to images from outside that mean another digest now."""
    return {one.reference for one in drift if not one.parent and one.state in states}


def policy_text(policy: EdgePolicy) -> str:
    """Return what aksci.toml says of an edge, and where; empty: nothing."""
    if policy.rule == "default":
        return ""
    told: list[str] = [policy.update]
    told += [f"pinned to {short_digest(policy.digest)}"] if policy.digest else []
    told += [f"tags {policy.tags}"] if policy.tags else []
    return f"{', '.join(told)} by {policy.rule}"


def counted(count: int, noun: str) -> str:
    """Return ``1 image``, ``2 images``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Sequence[str], few: int = _FEW) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - few} more" if len(names) > few else ""
    return ", ".join(names[:few]) + more


def move(old: str | None, new: str | None) -> str:
    """Return two digests as people compare them; only one where they are the same."""
    before, after = short_digest(old), short_digest(new)
    return before if before == after else f"{before} → {after}"


def chain(names: Sequence[str]) -> str:
    """Return ``a → b → c``, without the middle where that is long."""
    shown = [*names[:_FEW], "…", *names[-_FEW:]] if len(names) > 2 * _FEW else names
    return " → ".join(shown)


def by_severity(findings: Iterable[FindingMove]) -> str:
    """Return ``2 critical, 1 high``."""
    counts = Counter(one.severity for one in worst_first(findings))
    return ", ".join(f"{count} {name.lower()}" for name, count in counts.items())


def worst_first(findings: Iterable[FindingMove]) -> list[FindingMove]:
    """Return findings in the order of their severities; unknown ones come last."""
    return sorted(findings, key=lambda one: (_RANKS.get(one.severity, len(_RANKS)), one.severity))


def _bases(report: Cascade) -> str:
    taken = moved(report.drift, "drifted")
    batched = moved(report.drift, "batched") - taken
    ignored = moved(report.drift, "ignored") - taken - batched
    left = [f"{len(batched)} batched"] if batched else []
    left += [f"{len(ignored)} ignored"] if ignored else []
    count = len(taken | batched | ignored)
    told = f"{counted(count, 'base')} moved" if count else "No base moved"
    return told + (f" ({', '.join(left)})" if left else "")
