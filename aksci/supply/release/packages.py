"""Which packages came, went, rose or fell between two images, by the rules of their kinds."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import takewhile, zip_longest
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aksci.supply.scan.scan_evidence import Package

__all__ = ["PackageChange", "compare_packages", "compare_versions"]


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


_DEBIAN = frozenset({"deb", "rpm", "apk", "alpm"})
_TOKEN = re.compile(r"[0-9]+|[a-z]+")
_AFTER = frozenset({"post", "p", "pl", "sp", "patch", "r", "rev"})
_DEV, _WORD, _END, _POST, _NUMBER = range(5)
"""The order of what may stand at one place."""


def compare_versions(old: str, new: str, kind: str) -> int:
    """Return 1 where the new version is later, -1 where it is earlier, 0 where they are as good.

    :param kind: the type of its package URL. Distributions' packages follow Debian Policy 5.6.12,
        "Version"; all others the habit that ``1.0-rc1`` comes before ``1.0`` (Semantic Versioning
        2.0, 11; PEP 440), which nothing depends on.
    """
    if kind in _DEBIAN:
        return _debian(new, old)
    before, after = _tokens(old), _tokens(new)
    return (after > before) - (after < before)


def _tokens(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return what sorts: a word before the end, the end before a number; 1.0.0 is 1."""
    text = version.lower().partition("+")[0].removeprefix("v")
    tokens = [_token(word) for word in _TOKEN.findall(text)]
    numbers = list(takewhile(lambda token: token[0] == _NUMBER, tokens))
    rest = tokens[len(numbers) :]
    while numbers and not numbers[-1][1]:
        numbers.pop()
    return (*numbers, *rest, (_END, 0, ""))


def _token(word: str) -> tuple[int, int, str]:
    if word.isdecimal():
        return _NUMBER, int(word), ""
    return (_POST if word in _AFTER else _DEV if word == "dev" else _WORD), 0, word


def _debian(left: str, right: str) -> int:
    """Compare as dpkg does: epoch, upstream version, revision."""
    for a, b in zip(_debian_parts(left), _debian_parts(right), strict=True):
        found = _debian_part(a, b)
        if found:
            return found
    return 0


def _debian_parts(version: str) -> tuple[str, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdecimal():
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, rest, "0")


def _debian_part(left: str, right: str) -> int:
    """Compare texts and numbers in turn; ``~`` is before the end, letters before the rest."""
    for a, b in zip_longest(_runs(left), _runs(right), fillvalue=("", 0)):
        first, second = ([_weight(char) for char in run[0]] + [0] for run in (a, b))
        if first != second:
            return 1 if first > second else -1
        if a[1] != b[1]:
            return 1 if a[1] > b[1] else -1
    return 0


def _runs(text: str) -> list[tuple[str, int]]:
    """Return pairs of what is no digit and the number after it."""
    return [
        (word, int(digits or 0))
        for word, digits in re.findall(r"([^0-9]*)([0-9]*)", text)
        if word or digits
    ]


def _weight(char: str) -> int:
    if char == "~":
        return -1
    return ord(char) if char.isascii() and char.isalpha() else ord(char) + 256
