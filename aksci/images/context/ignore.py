""".dockerignore, as BuildKit reads it.

Docker's build documentation, "Build context: .dockerignore files"; and where that is silent, what
BuildKit's client does (its modules patternmatcher and fsutil), odd as some of it is.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from aksci.core.wildcards import (
    ANY,
    NOT_NEWLINE,
    NOT_SLASH,
    Folders,
    Item,
    Many,
    One,
    Place,
    Wildcards,
    char_class,
)
from aksci.images.dockerfile.expand import SPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "NOTHING",
    "PLAIN_CLASS",
    "RANGE",
    "Ignore",
    "Matches",
    "compile_patterns",
    "parse_ignore",
]

# Possessive: a class that has no end is looked at once.
PLAIN_CLASS = re.compile(r"\[\^?(?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_.,+@%=:! ])++\]")
"""The character classes that mean the same in every dialect."""
RANGE = re.compile(r"[A-Za-z0-9]-[A-Za-z0-9]")
_REMEMBERED = 200
_SHORT = 1 << 14
_GLOB = frozenset("*[]?^\\")


class _DoubtError(ValueError):
    """A pattern may mean something else to BuildKit than to us."""


@dataclass(frozen=True)
class Matches:
    """What is known of a folder for what it holds."""

    place: Place | None = None
    """Where its path has led in the patterns; None: at the top."""
    patterns: tuple[int, ...] = ()
    """Numbers of the patterns that matched it, in order."""


NOTHING = Matches()
"""At the top of a context."""


@dataclass(frozen=True)
class _Pattern:
    sequences: tuple[tuple[Item, ...], ...]
    """It matches a path if one of them does."""
    keeps: bool
    """It began with ``!``."""
    text: str
    depth: int | None
    """How many slashes a path that it matches has; None: any number."""


@dataclass(frozen=True)
class Ignore:
    """Decide which paths of a context are not sent to BuildKit."""

    patterns: tuple[_Pattern, ...] = ()
    doubt: str | None = None
    """The whole text, when a pattern in it can't be read for sure: then nothing is ignored here,
    and the text itself must count."""

    def decide(self, path: str, parent: Matches = NOTHING) -> tuple[bool, Matches]:
        """Tell whether a path (relative, with slashes) is left out, and what that says of it.

        :param parent: what this method said about the folder that holds it.
        """
        if parent.place is None:
            place = self._wildcards.start.after(path)
        else:
            place = parent.place.after(path[path.rindex("/") :])
        # Most entries of a folder have come to the same place: what that means is known.
        key = id(place), id(parent)
        known = self._decided.get(key)
        if known is None:
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()
            # With what the key is made of, which so stays what it is.
            known = self._decided[key] = place, parent, self._decide(place, parent)
        return known[2]

    def _decide(self, place: Place, parent: Matches) -> tuple[bool, Matches]:
        if not self.takes_back:
            # All patterns count as one: what it ignores is not entered.
            return place.ended, Matches(place)
        ignored = False
        matched = []
        above = frozenset(parent.patterns)
        here = place.matching
        for number in sorted(above.union(here)) if above else here:
            keeps = self.patterns[number].keeps
            # A pattern that could change nothing is not tried, and so is no match for what a folder
            # holds: ``*``, ``!*/x``, ``a`` send ``a/x``, as in patternmatcher.
            if number in above or keeps == ignored:
                matched.append(number)
                ignored = not keeps
        return ignored, Matches(place, tuple(matched))

    def ignores(self, path: str) -> bool:
        """Tell whether a path is left out, from its name alone."""
        parts = path.split("/")
        ignored, matches = False, NOTHING
        for count in range(1, len(parts) + 1):
            ignored, matches = self.decide("/".join(parts[:count]), matches)
            if ignored and not self.takes_back:
                return True
        return ignored

    def enters(self, folder: str) -> bool:
        """Tell whether an ignored folder must be walked: something may be taken back into it."""
        # As fsutil does: a plain path, which may end in a glob, tells where it is taken back. Any
        # other ``!`` may do so anywhere.
        if self._kept is None:
            return True
        at = bisect_left(self._kept, f"{folder}/")
        return at < len(self._kept) and self._kept[at].startswith(f"{folder}/")

    def reaches(self, depth: int) -> bool:
        """Tell whether any pattern can match a path with that many slashes."""
        return self.takes_back or None in self._depths or depth in self._depths

    @cached_property
    def _decided(self) -> dict[tuple[int, int], tuple[Place, Matches, tuple[bool, Matches]]]:
        return {}

    @cached_property
    def takes_back(self) -> bool:
        """Whether a pattern begins with ``!``."""
        return any(pattern.keeps for pattern in self.patterns)

    @cached_property
    def _depths(self) -> frozenset[int | None]:
        return frozenset(pattern.depth for pattern in self.patterns)

    @cached_property
    def _kept(self) -> list[str] | None:
        """Paths that are taken back, with a slash at their end, sorted; None: it may be any."""
        kept = [pattern.text for pattern in self.patterns if pattern.keeps]
        bare = [text.removesuffix("/**").removesuffix("/*") for text in kept]
        return None if any(map(_GLOB.intersection, bare)) else sorted(f"{one}/" for one in bare)

    @cached_property
    def _wildcards(self) -> Wildcards:
        return Wildcards(pattern.sequences for pattern in self.patterns)


def parse_ignore(text: str) -> Ignore:
    """Read the text of a .dockerignore."""
    # Most contexts of a project have the same: what is found out for one serves the next.
    return _parse_again(text) if len(text) < _SHORT else _parse(text)


@lru_cache(maxsize=16)
def _parse_again(text: str) -> Ignore:
    return _parse(text)


def _parse(text: str) -> Ignore:
    patterns = []
    try:
        for line in text.removeprefix("\ufeff").split("\n"):
            # Before blanks are taken off: `` #a`` is a pattern.
            if line.startswith("#"):
                continue
            word = line.strip(SPACE)
            keeps = word.startswith("!")
            word = word.removeprefix("!").strip(SPACE) if keeps else word
            if word:
                word = "/" + posixpath.normpath(word).lstrip("/")
                patterns.append(_compile(f"!{word[1:]}" if keeps else word[1:] or word))
    except _DoubtError:
        return Ignore(doubt=text)
    return Ignore(tuple(patterns))


def compile_patterns(patterns: Iterable[str]) -> Ignore:
    """Read patterns as patternmatcher takes them, which are no lines of a file."""
    words = [word for one in patterns if (word := one.strip(SPACE))]
    try:
        return Ignore(tuple(_compile(word) for word in words))
    except _DoubtError as error:
        return Ignore(doubt=str(error))


def _compile(line: str) -> _Pattern:
    """Translate a pattern, as patternmatcher does: some are compared as text, others are globs."""
    text = posixpath.normpath(line.strip(SPACE))  # once more, with its exclamation mark
    keeps = text.startswith("!")
    text = text.removeprefix("!") if keeps else text
    kind = "exact"
    out: list[Item] = []
    at = 0
    while at < len(text):
        start = at
        char = text[at]
        if text.startswith("**", at):
            at += 3 if text.startswith("/", at + 2) else 2
            at_end = at >= len(text)
            out.append(Many(NOT_NEWLINE) if at_end else Folders(NOT_NEWLINE))
            kind = "prefix" if at_end and kind == "exact" else "glob"
            kind = "suffix" if start == 0 else kind
            continue
        at += 1
        if char in "*?":
            out.append(Many(NOT_SLASH) if char == "*" else One(NOT_SLASH))
            kind = "glob"
        elif char == "[":
            word = _char_class(text, start)
            out.append(One(char_class(word[1:-1], negations="^")))
            at = start + len(word)
            kind = "glob"
        elif char == "\\":
            out.append(_escaped(text, at))
            at += 1
            kind = "glob"
        else:
            out.append(char)
            kind = "glob" if char == "]" else kind
    if kind == "glob" and re.search(r"(?<!\[)\^", text):
        raise _DoubtError(text)  # an anchor there, in the middle of a path
    # A negated class matches a slash, too.
    depth = None if "**" in text or "[^" in text else text.count("/")
    return _Pattern(_sequences(kind, text, tuple(out)), keeps, text, depth)


def _sequences(kind: str, text: str, glob: tuple[Item, ...]) -> tuple[tuple[Item, ...], ...]:
    if kind == "prefix":
        return ((*text[:-2], Many(ANY)),)
    if kind == "suffix":
        anywhere = (Many(ANY), *text[2:])
        return (anywhere, tuple(text[3:])) if text.startswith("**/") else (anywhere,)
    return (glob,)


def _char_class(text: str, start: int) -> str:
    """Return the character class that begins there."""
    match = PLAIN_CLASS.match(text, start)
    if match is None or any(word[0] > word[2] for word in RANGE.findall(match.group())):
        raise _DoubtError(text)
    return match.group()


def _escaped(text: str, at: int) -> str:
    """Return what a backslash before that place stands for; before a letter, a class of Go's."""
    if at >= len(text) or (text[at].isascii() and text[at].isalnum()):
        raise _DoubtError(text)
    return text[at]
