"""A verdict: the gate's decision about one digest, as a value and as JSON (``schema: 1``)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from aksci.errors import GateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aksci.registry.refs import ImageRef

__all__ = ["SEVERITIES", "Finding", "IgnoredFinding", "Verdict", "merge_verdicts"]

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN")


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One vulnerability or one secret. Every text in it has passed the sanitiser."""

    kind: Literal["vulnerability", "secret"]
    id: str
    package: str
    """The package; for a secret, the file."""
    installed: str
    fixed: str
    """Empty where no fixed version exists."""
    severity: str
    title: str
    layer: str
    """DiffID of the layer that brought it."""
    platform: str
    """``os/arch``; empty for an image of one platform."""


@dataclass(frozen=True, kw_only=True, order=True)
class IgnoredFinding:
    """A finding that would fail, and who accepts it until when."""

    finding: Finding
    owner: str
    reason: str
    expires: str
    """ISO date."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate decided. The same inputs give the same JSON: there is no time in it."""

    image: ImageRef
    passed: bool
    problems: tuple[str, ...]
    """What fails the image as a whole, such as an operating system at its end of life."""
    notes: tuple[str, ...]
    counts: Mapping[str, int]
    """All findings by severity: failing, ignored and tolerated."""
    failing: tuple[Finding, ...]
    ignored: tuple[IgnoredFinding, ...]
    scanner: str
    database: str
    """Its identity."""
    test_database: bool
    policy: str
    """Hash of the policy."""
    stored: ImageRef | None = field(default=None, compare=False)
    """The artifact in the registry that holds this verdict."""

    def document(self) -> dict[str, Any]:
        """Return the JSON document, without where it is stored."""
        return {
            "schema": 1,
            "image": f"{self.image.repository}@{self.image.digest}",
            "passed": self.passed,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "counts": dict(self.counts),
            "failing": [asdict(finding) for finding in self.failing],
            "ignored": [asdict(entry) for entry in self.ignored],
            "scanner": self.scanner,
            "database": self.database,
            "testDatabase": self.test_database,
            "policy": self.policy,
        }

    @classmethod
    def load(cls, document: Any, image: ImageRef) -> Verdict:
        """Read ``document()`` back.

        :raises ValueError: it is damaged, or about another image.
        """
        try:
            if document["schema"] != 1:
                raise ValueError(document["schema"])
            if document["image"] != f"{image.repository}@{image.digest}":
                raise ValueError(document["image"])
            verdict = cls(
                image=image,
                passed=document["passed"],
                problems=tuple(document["problems"]),
                notes=tuple(document["notes"]),
                counts={name: int(document["counts"][name]) for name in SEVERITIES},
                failing=tuple(Finding(**entry) for entry in document["failing"]),
                ignored=tuple(
                    IgnoredFinding(**{**entry, "finding": Finding(**entry["finding"])})
                    for entry in document["ignored"]
                ),
                scanner=document["scanner"],
                database=document["database"],
                test_database=document["testDatabase"],
                policy=document["policy"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(repr(error)) from None
        if verdict.passed is not (not verdict.failing and not verdict.problems):
            msg = "it contradicts itself"
            raise ValueError(msg)
        return verdict


def merge_verdicts(verdicts: Sequence[Verdict], image: ImageRef) -> Verdict:
    """Make the verdict on an index out of those on each of its platforms.

    :raises GateError: there is no platform to judge.
    """
    if not verdicts:
        raise GateError(f"{image} has no image for any platform, so it does not pass.")
    return replace(
        verdicts[0],
        image=image,
        passed=all(verdict.passed for verdict in verdicts),
        problems=_union(verdict.problems for verdict in verdicts),
        notes=_union(verdict.notes for verdict in verdicts),
        counts={name: sum(verdict.counts[name] for verdict in verdicts) for name in SEVERITIES},
        failing=tuple(finding for verdict in verdicts for finding in verdict.failing),
        ignored=tuple(entry for verdict in verdicts for entry in verdict.ignored),
    )


def _union(groups: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for group in groups for text in group))
