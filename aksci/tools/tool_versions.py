"""Compare versions of command-line tools, as Semantic Versioning 2.0.0 orders them."""

from __future__ import annotations

import re
from functools import total_ordering

__all__ = ["Version", "matches"]

_VERSION = re.compile(r"v?(\d+(?:\.\d+){0,3})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$")
_CLAUSE = re.compile(r"\s*(>=|<=|==|>|<)\s*(\S+)\s*$")


@total_ordering
class Version:
    """Hold one version; build metadata is ignored, a pre-release sorts before its release.

    :raises ValueError: the text is not a version.
    """

    def __init__(self, text: str) -> None:
        match = _VERSION.match(text.strip())
        if not match:
            raise ValueError(f"{text!r} is not a version")
        numbers = [int(part) for part in match[1].split(".")]
        self.text = text.strip()
        # 1.2 is 1.2.0; some tools have four numbers.
        self._numbers = tuple(numbers + [0] * (4 - len(numbers)))
        self._pre = match[2]

    @property
    def _key(self) -> tuple[object, ...]:
        if self._pre is None:
            # Semantic Versioning, 11.3 and 11.4: a release is newer than its pre-releases, and a
            # word than a number.
            return (self._numbers, 1, ())
        parts = tuple(
            (0, int(part), "") if part.isdigit() else (1, 0, part) for part in self._pre.split(".")
        )
        return (self._numbers, 0, parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"Version({self.text!r})"


def matches(version: str, accepted: str) -> bool:
    """Say whether a version lies in a range such as ``>=4.0,<5``; what is no version never does.

    :raises ValueError: the range itself is wrong.
    """
    # First: a range with a mistake in it is an error even where the version is none.
    clauses = [_clause(part, accepted) for part in accepted.split(",")]
    try:
        have = Version(version)
    except ValueError:
        return False
    return all(_holds(have, operator, bound) for operator, bound in clauses)


def _clause(part: str, accepted: str) -> tuple[str, Version]:
    match = _CLAUSE.match(part)
    if not match:
        raise ValueError(
            f"{accepted!r} is not a range: {part!r} needs >=, <=, ==, > or < and a version"
        )
    return match[1], Version(match[2])


def _holds(have: Version, operator: str, bound: Version) -> bool:
    return {
        ">=": have >= bound,
        "<=": have <= bound,
        "==": have == bound,
        ">": have > bound,
        "<": have < bound,
    }[operator]
