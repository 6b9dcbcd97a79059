"""Which tag is the newest in a range of versions: ``3.12.10-slim`` for ``3.12.x``.

The ranges are npm's (node-semver, "Ranges"), less ``||`` and ``1.2 - 1.4``; a comma may stand for
the space. Which tags are versions of the same thing is what Renovate's documentation says under
"Docker Versioning": those with as many numbers, the same suffix and the same prefix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_range", "newest_tag"]

_Numbers = tuple[int, ...]

_NUMBER = "[0-9]{1,18}"
"""A registry may name any tag; int() would be slow with very many digits, or refuse them."""
_NUMBERS = rf"{_NUMBER}(?:\.{_NUMBER}){{0,5}}"
_TAG = re.compile(
    rf"(?P<prefix>v?)(?P<numbers>{_NUMBERS})(?![0-9]|\.[0-9])"
    r"(?:(?:[.-]?(?P<word>alpha|beta|preview|pre|rc)[.-]?|(?P<letter>[ab])(?=[0-9]))"
    r"(?P<count>[0-9]{0,9})(?![A-Za-z0-9]))?"
    r"(?P<suffix>[\w.-]{0,128})",
    re.ASCII | re.IGNORECASE,
)
_STAGES = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "pre": 2, "preview": 2, "rc": 3}
_FINAL = (4, 0)
_OPERATOR = re.compile(r"(>=|<=|[><=~^])\s+")
_SEPARATOR = re.compile(r"\s*,\s*|\s+")
_TERM = re.compile(rf"(>=|<=|[><=~^])?v?({_NUMBERS})(?:\.[xX*])*")
_ALL = frozenset({"x", "X", "*"})
_FORMS = "3.12.x, 3.12.*, ~3.12, ~3.12.4, ^1.4, 3.12.4, >=1.4, and several at once: >=1.4 <2."


@dataclass(frozen=True)
class _Range:
    """Versions from ``low`` on and below ``high``; None: there is no end."""

    low: _Numbers = ()
    high: _Numbers | None = None

    def has(self, numbers: _Numbers) -> bool:
        version = _stripped(numbers)
        return self.low <= version and (self.high is None or version < self.high)

    def cut(self, other: _Range) -> _Range:
        """Return what is in both."""
        ends = [one.high for one in (self, other) if one.high is not None]
        return _Range(max(self.low, other.low), min(ends, default=None))

    @property
    def empty(self) -> bool:
        return self.high is not None and self.low >= self.high


@dataclass(frozen=True)
class _Version:
    """A tag that is a version."""

    numbers: _Numbers
    stage: tuple[int, int]
    """Of a pre-release, its kind and number; ``_FINAL`` is later than each."""
    shape: tuple[str, str, int, int]
    """What versions of the same thing have in common: prefix, suffix, how many numbers, and how
    many digits the first one has. A year, a date or the number of a build is no version 3."""


def check_range(text: str) -> None:
    """Refuse what is no range of versions.

    :raises ConfigError: it is none, or no version can be in it.
    """
    _range(text)


def newest_tag(tags: Iterable[str], span: str, like: str) -> str | None:
    """Return the newest tag in a range, among versions of the same thing as a tag; None: no such.

    As many numbers count as ``like`` has: who writes ``3.12`` is led to ``3.13`` and never to
    ``3.12.4``. A pre-release (alpha, beta, rc…) is led to only from one. What a tag leaves out of
    a version is zero.

    :param span: the range, such as ``3.12.x`` or ``>=1.4 <2``.
    :param like: the tag in use; no version (``latest``): there is nothing to compare with.
    :raises ConfigError: it is no range.
    """
    versions = _range(span)
    own = _version(like)
    if own is None:
        return None
    found = [
        # Of tags that are the same version (1.2, 01.2), the one in use stays.
        (version.numbers, version.stage, tag == like, tag)
        for tag in tags
        if (version := _version(tag)) is not None
        and version.shape == own.shape
        # Who is on a final version has not asked for release candidates.
        and (version.stage == _FINAL or own.stage != _FINAL)
        and versions.has(version.numbers)
    ]
    return max(found)[-1] if found else None


def _version(tag: str) -> _Version | None:
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    parts = match["numbers"].split(".")
    word = match["word"] or match["letter"]
    return _Version(
        numbers=tuple(map(int, parts)),
        stage=(_STAGES[word.lower()], int(match["count"] or 0)) if word else _FINAL,
        # Up to three digits are one shape, so that 9 leads to 10 and to 100; a year is another one.
        shape=(match["prefix"], match["suffix"], len(parts), max(3, len(parts[0]))),
    )


@lru_cache(maxsize=256)
def _range(text: str) -> _Range:
    found = _Range()
    for term in _SEPARATOR.split(_OPERATOR.sub(r"\1", text.strip())):
        found = found.cut(_term(term, text))
    if found.empty:
        raise ConfigError(f"No version can be in the range {text!r}.", hint=f"ranges are {_FORMS}")
    return found


def _term(term: str, text: str) -> _Range:
    if term in _ALL:
        return _Range()
    match = _TERM.fullmatch(term)
    if match is None:
        raise ConfigError(f"{text!r} is no range of versions.", hint=f"ranges are {_FORMS}")
    operator, numbers = match[1], tuple(map(int, match[2].split(".")))
    low, after = _stripped(numbers), _following(numbers)
    return {
        ">=": _Range(low),
        ">": _Range(after),
        "<": _Range((), low),
        "<=": _Range((), after),
        "~": _Range(low, _following(numbers[:2])),
        "^": _Range(low, _following(numbers[: _first_that_counts(numbers)])),
    }.get(operator, _Range(low, after))  # 3.12 is all that begins so, as npm has it


def _first_that_counts(numbers: _Numbers) -> int:
    """Return how many numbers ``^`` holds: up to the first that is not zero, or all."""
    return next((place for place, one in enumerate(numbers, 1) if one), len(numbers))


def _following(numbers: _Numbers) -> _Numbers:
    """Return the first version that does not begin with some numbers."""
    return (*numbers[:-1], numbers[-1] + 1)


def _stripped(numbers: _Numbers) -> _Numbers:
    """Leave zeros at the end out, so that 3.12 is 3.12.0."""
    while numbers and not numbers[-1]:
        numbers = numbers[:-1]
    return numbers
