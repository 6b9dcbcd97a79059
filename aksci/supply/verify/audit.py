"""What an audit has found: a row for each thing that was looked at. Values only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import TrustError
from aksci.core.text import one_line
from aksci.supply.verify.judge import Outcome

if TYPE_CHECKING:
    from aksci.supply.verify.judge import Judgement

__all__ = ["Audit", "Row", "origin_of", "row_of"]

_TOLD = 501
"""Characters of any one text that are shown."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that was looked at. Every text in it is one harmless line."""

    kind: str
    """``release``, ``chart``, ``image``, ``service``; ``pod`` and ``workload`` for a container."""
    where: str
    """Such as ``Pod/web-5c4f, container main``."""
    image: str = ""
    """The reference, as it stands there."""
    digest: str = ""
    """What was judged; for a pod, what really runs."""
    outcome: Outcome
    reason: str = ""
    warnings: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    commit: str = ""
    run: str = ""
    verdict: str = ""
    policy: str = ""

    def __post_init__(self) -> None:
        for name in ("where", "image", "reason", "commit", "run", "verdict", "policy"):
            object.__setattr__(self, name, one_line(getattr(self, name), _TOLD))
        for name in ("warnings", "by"):
            object.__setattr__(
                self, name, tuple(one_line(text, _TOLD) for text in getattr(self, name))
            )

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "kind": self.kind,
            "where": self.where,
            "image": self.image,
            "digest": self.digest,
            "outcome": str(self.outcome),
            "verified": self.outcome is Outcome.VERIFIED,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "signedBy": list(self.by),
            "commit": self.commit,
            "run": self.run,
            "verdict": self.verdict,
            "policy": self.policy,
        }


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All that was looked at."""

    environment: str
    registry: str
    release: str = ""
    """The release that the environment says it runs; empty when references were named."""
    namespace: str = ""
    """Which one was looked into, and no other; empty when references were named."""
    rows: tuple[Row, ...]

    @property
    def offenders(self) -> tuple[Row, ...]:
        """What is not verified and not allowed."""
        return tuple(row for row in self.rows if row.outcome.bad)

    @property
    def passed(self) -> bool:
        """Whether there is something, and nothing offends."""
        return bool(self.rows) and not self.offenders

    @property
    def counts(self) -> dict[str, int]:
        """How often each outcome occurs, in their order."""
        found = Counter(row.outcome for row in self.rows)
        return {str(outcome): found[outcome] for outcome in Outcome if found[outcome]}

    def as_json(self) -> dict[str, Any]:
        """Return it for machines: report/schemas/verify.schema.json describes it."""
        return {
            "schema": 1,
            "environment": self.environment,
            "registry": self.registry,
            "release": one_line(self.release, _TOLD),
            "passed": self.passed,
            "counts": self.counts,
            "rows": [row.as_json() for row in self.rows],
        }

    def require(self) -> None:
        """Raise what is wrong, each offender by name.

        :raises TrustError: something is not verified, or there was nothing to verify.
        """
        if self.passed:
            return
        lines = "\n".join(
            f"  - {row.outcome}  {row.where}: {row.image or row.digest}"
            + (f" ({row.reason})" if row.reason else "")
            for row in self.offenders
        )
        count = len(self.offenders)
        noun = "thing is" if count == 1 else "things are"
        raise TrustError(
            f"{count} {noun} not verified in {self.environment!r}:\n{lines}"
            if lines
            else f"There is nothing to verify in {self.environment!r}."
        )


def row_of(judgement: Judgement, *, where: str) -> Row:
    """Return the row of something that was judged by its digest."""
    ref = judgement.subject.ref
    return Row(
        kind=judgement.subject.kind,
        where=where,
        image=str(ref),
        digest=ref.digest,
        outcome=judgement.outcome,
        reason=judgement.reason,
        **origin_of(judgement),
    )


def origin_of(judgement: Judgement) -> dict[str, Any]:
    """Return what a judgement says of who signed, and where it comes from, for a row."""
    names = ("by", "commit", "run", "verdict", "policy")
    return {name: getattr(judgement, name) for name in names}
