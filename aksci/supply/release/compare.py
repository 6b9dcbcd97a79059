"""What differs between two releases: images and why, packages, findings, charts, schema, commits.

Pure: what the registry and git know is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aksci.core.errors import TrustError
from aksci.supply.release.commits import CommitRange
from aksci.supply.release.packages import PackageChange, compare_packages
from aksci.supply.release.release_evidence import ImageEvidence
from aksci.supply.scan.verdict_changes import FindingChanges, compare_verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aksci.supply.release.release import (
        Migration,
        Release,
        ReleaseBase,
        ReleaseImage,
        ReleaseService,
    )
    from aksci.supply.scan.verdict import IgnoredFinding

__all__ = [
    "BaseChange",
    "Comparison",
    "ImageChange",
    "SchemaChange",
    "ServiceChange",
    "compare_releases",
]

_NOTHING = ImageEvidence(verdict=None, packages=None)
Change = Literal["added", "removed", "changed", "renamed", "rescanned"]


@dataclass(frozen=True, kw_only=True)
class BaseChange:
    """A base whose digest differs."""

    name: str
    old: str
    """Digest; empty: it was no base."""
    new: str
    """Digest; empty: it is no base any more."""


@dataclass(frozen=True, kw_only=True)
class ImageChange:
    """One image that differs."""

    name: str
    change: Change
    """``rescanned``: the same bytes, and another verdict on them."""
    old: ReleaseImage | None
    new: ReleaseImage | None
    why: tuple[str, ...]
    """``base``, ``inputs`` (its own, as its bases are the same) or ``bytes`` (the same inputs gave
    others); empty where the digest is the same, or it came or went."""
    bases: tuple[BaseChange, ...]
    packages: tuple[PackageChange, ...] | None
    """None: not known."""
    findings: FindingChanges | None
    """None: not known."""
    ignores_added: tuple[IgnoredFinding, ...]
    ignores_lapsed: tuple[IgnoredFinding, ...]
    note: str
    """Why something is not known."""


@dataclass(frozen=True, kw_only=True)
class SchemaChange:
    """One migration that differs."""

    version: str
    change: Literal["added", "removed", "rewritten"]
    """``rewritten``: the same version, another content. Databases that ran it stay as they are."""


@dataclass(frozen=True, kw_only=True)
class ServiceChange:
    """One service that differs."""

    name: str
    change: Literal["added", "removed", "changed"]
    old: ReleaseService | None
    new: ReleaseService | None
    images: tuple[str, ...]
    """Values keys that another image is given to."""
    schema: tuple[SchemaChange, ...]

    @property
    def chart_differs(self) -> bool:
        """Whether the chart's content differs."""
        return bool(self.old and self.new and self.old.chart.digest != self.new.chart.digest)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two releases, and what differs."""

    old: Release
    new: Release
    images: tuple[ImageChange, ...]
    services: tuple[ServiceChange, ...]
    commits: CommitRange
    problems: tuple[str, ...] = ()
    """Why one of them, or both, are not verified; empty where they are."""

    @property
    def same(self) -> bool:
        """Whether they are one release."""
        return self.old.id == self.new.id

    def require(self) -> None:
        """Require that both releases are verified.

        :raises TrustError: one is not, and so what is told of it may be wrong.
        """
        if self.problems:
            lines = "".join(f"\n  - {problem}" for problem in self.problems)
            raise TrustError(f"What was compared is not verified:{lines}")


def compare_releases(
    old: Release,
    new: Release,
    *,
    evidence_before: Mapping[str, ImageEvidence],
    evidence_after: Mapping[str, ImageEvidence],
    commits: CommitRange | None = None,
    problems: tuple[str, ...] = (),
) -> Comparison:
    """Tell what differs; images of the same content, or else repository, were renamed.

    :param evidence_before: by image of the old release; what is missing is not known.
    :param problems: why a release is not verified.
    """
    pairs = _pairs(old.images, new.images)
    changes = (
        _image_change(
            before,
            after,
            evidence_before.get(before.name, _NOTHING) if before else None,
            evidence_after.get(after.name, _NOTHING) if after else None,
        )
        for before, after in pairs
    )
    return Comparison(
        old=old,
        new=new,
        images=tuple(change for change in changes if change),
        services=tuple(_service_changes(old.services, new.services)),
        commits=commits or CommitRange(note="git was not asked"),
        problems=problems,
    )


def _pairs(
    old: Mapping[str, ReleaseImage], new: Mapping[str, ReleaseImage]
) -> list[tuple[ReleaseImage | None, ReleaseImage | None]]:
    """Pair images by name; then, of the rest, those of one digest; then those of one repository."""
    pairs: list[tuple[ReleaseImage | None, ReleaseImage | None]] = [
        (old[name], new[name]) for name in old.keys() & new.keys()
    ]
    gone = [old[name] for name in sorted(old.keys() - new.keys())]
    come = [new[name] for name in sorted(new.keys() - old.keys())]
    for trait in ("digest", "repository"):
        for before in list(gone):
            alike = [one for one in come if getattr(one.ref, trait) == getattr(before.ref, trait)]
            same = [one for one in gone if getattr(one.ref, trait) == getattr(before.ref, trait)]
            if len(alike) == len(same) == 1:  # several: nobody can tell which became which
                pairs.append((before, alike[0]))
                gone.remove(before)
                come.remove(alike[0])
    pairs += [*((one, None) for one in gone), *((None, one) for one in come)]
    return sorted(pairs, key=_pair_name)


def _pair_name(pair: tuple[ReleaseImage | None, ReleaseImage | None]) -> str:
    before, after = pair
    return after.name if after else before.name if before else ""


def _image_change(
    before: ReleaseImage | None,
    after: ReleaseImage | None,
    evidence_before: ImageEvidence | None,
    evidence_after: ImageEvidence | None,
) -> ImageChange | None:
    change = _kind(before, after)
    if change is None:
        return None
    sides = [one for one in (evidence_before, evidence_after) if one]
    bases = tuple(_base_changes(before, after)) if before and after else ()
    added, lapsed = _ignore_changes(evidence_before, evidence_after)
    return ImageChange(
        name=after.name if after else before.name if before else "",
        change=change,
        old=before,
        new=after,
        why=_why(before, after, bases),
        bases=bases,
        packages=_packages(evidence_before, evidence_after),
        findings=(
            compare_verdicts(
                evidence_before.verdict if evidence_before else None,
                evidence_after.verdict if evidence_after else None,
            )
            if all(one.verdict for one in sides)
            else None
        ),
        ignores_added=added,
        ignores_lapsed=lapsed,
        note="; ".join(dict.fromkeys(one.note for one in sides if one.note)),
    )


def _kind(before: ReleaseImage | None, after: ReleaseImage | None) -> Change | None:
    if before is None or after is None:
        return "added" if before is None else "removed"
    if before.name != after.name:
        return "renamed"
    if before.ref.digest != after.ref.digest or before.ref.repository != after.ref.repository:
        return "changed"
    return "rescanned" if before.verdict != after.verdict else None


def _why(
    before: ReleaseImage | None, after: ReleaseImage | None, bases: Sequence[BaseChange]
) -> tuple[str, ...]:
    if before is None or after is None or before.ref.digest == after.ref.digest:
        return ()
    if bases:
        return ("base",)
    return ("inputs",) if before.input_key != after.input_key else ("bytes",)


def _base_changes(before: ReleaseImage, after: ReleaseImage) -> Iterator[BaseChange]:
    old, new = _bases(before.bases), _bases(after.bases)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield BaseChange(name=name, old=old.get(name, ""), new=new.get(name, ""))


def _bases(bases: Sequence[ReleaseBase]) -> dict[str, str]:
    return {base.name: base.digest for base in bases}


def _packages(
    before: ImageEvidence | None, after: ImageEvidence | None
) -> tuple[PackageChange, ...] | None:
    old = before.packages if before else ()
    new = after.packages if after else ()
    return None if old is None or new is None else compare_packages(old, new)


def _ignore_changes(
    before: ImageEvidence | None, after: ImageEvidence | None
) -> tuple[tuple[IgnoredFinding, ...], tuple[IgnoredFinding, ...]]:
    old, new = _ignores(before), _ignores(after)
    return (
        tuple(new[key] for key in sorted(new.keys() - old.keys())),
        tuple(old[key] for key in sorted(old.keys() - new.keys())),
    )


def _ignores(evidence: ImageEvidence | None) -> dict[tuple[str, str], IgnoredFinding]:
    verdict = evidence.verdict if evidence else None
    entries = verdict.ignored if verdict else ()
    return {(entry.finding.id, entry.finding.package): entry for entry in entries}


def _service_changes(
    old: Mapping[str, ReleaseService], new: Mapping[str, ReleaseService]
) -> Iterator[ServiceChange]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        schema = _schema_changes(
            before.migrations if before else (), after.migrations if after else ()
        )
        given = [service.images if service else {} for service in (before, after)]
        keys = sorted(given[0].keys() | given[1].keys())
        change = ServiceChange(
            name=name,
            change="added" if before is None else "removed" if after is None else "changed",
            old=before,
            new=after,
            images=tuple(key for key in keys if given[0].get(key) != given[1].get(key)),
            schema=tuple(schema),
        )
        if change.change != "changed" or change.chart_differs or change.images or change.schema:
            yield change


def _schema_changes(old: Sequence[Migration], new: Sequence[Migration]) -> Iterator[SchemaChange]:
    before = {migration.version: migration.digest for migration in old}
    after = {migration.version: migration.digest for migration in new}
    for version in dict.fromkeys([*before, *after]):
        if version not in after:
            yield SchemaChange(version=version, change="removed")
        elif version not in before:
            yield SchemaChange(version=version, change="added")
        elif before[version] != after[version]:
            yield SchemaChange(version=version, change="rewritten")
