"""Which findings came and which went between two verdicts on what should be the same image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.supply.scan.verdict import Finding, Verdict

__all__ = ["FindingChanges", "all_findings", "changes_since", "compare_verdicts"]


@dataclass(frozen=True, kw_only=True)
class FindingChanges:
    """What differs in the findings of one image."""

    introduced: tuple[Finding, ...]
    fixed: tuple[Finding, ...]
    same_image: bool
    """The digest is the same: only what is known of it differs."""


def all_findings(verdict: Verdict) -> Iterator[Finding]:
    """Yield every finding: what fails, what is ignored, and what the policy tolerates."""
    yield from verdict.failing
    yield from (entry.finding for entry in verdict.ignored)
    yield from verdict.tolerated


def compare_verdicts(before: Verdict | None, after: Verdict | None) -> FindingChanges:
    """Return which findings came and which went; a finding on two platforms is one.

    :param before: None: there was no such image. ``after`` likewise.
    """
    old, new = _by_name(before), _by_name(after)
    return FindingChanges(
        introduced=tuple(new[key] for key in sorted(new.keys() - old.keys())),
        fixed=tuple(old[key] for key in sorted(old.keys() - new.keys())),
        same_image=before is not None
        and after is not None
        and before.image.digest == after.image.digest,
    )


def changes_since(
    before: Mapping[str, Verdict], after: Mapping[str, Verdict]
) -> dict[str, FindingChanges]:
    """Return what differs in each image of ``after``, by name; images without change are left out.

    What only ``before`` has is left out: a scan need not be of all images.
    """
    found = {
        name: compare_verdicts(before.get(name), verdict) for name, verdict in sorted(after.items())
    }
    return {name: one for name, one in found.items() if one.introduced or one.fixed}


def _by_name(verdict: Verdict | None) -> dict[tuple[str, str, str], Finding]:
    """Return findings by what they are, whatever the version and the layer."""
    found: dict[tuple[str, str, str], Finding] = {}
    for finding in all_findings(verdict) if verdict else ():
        found.setdefault((finding.kind, finding.id, finding.package), finding)
    return found
