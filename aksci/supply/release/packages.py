"""Which packages came, went, rose or fell between two images."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cmp_to_key
from typing import TYPE_CHECKING, Literal

from aksci.supply.release.package_versions import compare_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aksci.supply.scan.scan_evidence import Package

__all__ = ["PackageChange", "compare_packages"]


@dataclass(frozen=True, kw_only=True, order=True)
class PackageChange:
    """One package that differs."""

    name: str
    kind: str
    """Of its package URL: ``deb``, ``pypi``, ``golang``…; empty where unknown."""
    change: Literal["added", "removed", "upgraded", "downgraded", "changed"]
    old: str
    """The version; empty where it was added."""
    new: str
    """The version; empty where it was removed."""


def compare_packages(
    before: Iterable[Package], after: Iterable[Package]
) -> tuple[PackageChange, ...]:
    """Return what differs. A package may be there in several versions; equal ones cancel out."""
    old, new = _versions(before), _versions(after)
    found: list[PackageChange] = []
    for key in sorted(old.keys() | new.keys()):
        found += _changes(key, old.get(key, set()), new.get(key, set()))
    return tuple(found)


def _versions(packages: Iterable[Package]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for package in packages:
        kind = package.purl.removeprefix("pkg:").partition("/")[0] if package.purl else ""
        found[package.name, kind].add(package.version)
    return found


def _changes(key: tuple[str, str], old: set[str], new: set[str]) -> Iterator[PackageChange]:
    """Pair what went with what came, the lowest with the lowest."""
    name, kind = key

    def compare(a: str, b: str) -> int:
        return compare_versions(b, a, kind) or (a > b) - (a < b)

    order = cmp_to_key(compare)
    gone, come = sorted(old - new, key=order), sorted(new - old, key=order)
    for number in range(max(len(gone), len(come))):
        before = gone[number] if number < len(gone) else ""
        after = come[number] if number < len(come) else ""
        yield PackageChange(
            name=name, kind=kind, change=_word(before, after, kind), old=before, new=after
        )


def _word(
    before: str, after: str, kind: str
) -> Literal["added", "removed", "upgraded", "downgraded", "changed"]:
    if not before:
        return "added"
    if not after:
        return "removed"
    order = compare_versions(before, after, kind)
    return "upgraded" if order > 0 else "downgraded" if order < 0 else "changed"
