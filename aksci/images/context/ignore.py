""".dockerignore, as BuildKit reads it.

Docker's build documentation, "Build context: .dockerignore files"; and where that is silent, what
BuildKit's client does (its modules patternmatcher and fsutil), odd as some of it is.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from aksci.images.dockerfile.expand import SPACE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PLAIN_CLASS", "Ignore", "Matches", "parse_ignore"]

PLAIN_CLASS = re.compile(r"\[\^?(?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_.,+@%=:! ])+\]")
"""The character classes that mean the same in every dialect."""
_GLOB = frozenset("*[]?^\\")

Matches = tuple[bool, ...]
"""Which patterns matched a folder, in their order."""


class _DoubtError(ValueError):
    """A pattern may mean something else to BuildKit than to us."""


@dataclass(frozen=True)
class _Pattern:
    regex: re.Pattern[str]
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

    def decide(self, path: str, parent: Matches = ()) -> tuple[bool, Matches]:
        """Tell whether a path (relative, with slashes) is left out, and which patterns matched it.

        :param parent: what this method said about the folder that holds it; empty at the top.
        """
        if self._all is not None:
            return self._all(path) is not None, ()
        ignored = False
        matches = []
        for index, pattern in enumerate(self.patterns):
            match = bool(parent) and parent[index]
            # A pattern that could change nothing is not tried, and so is no match for what a folder
            # holds: ``*``, ``!*/x``, ``a`` send ``a/x``, as in patternmatcher.
            if not match and pattern.keeps == ignored:
                match = pattern.regex.fullmatch(path) is not None
            matches.append(match)
            if match:
                ignored = not pattern.keeps
        return ignored, tuple(matches)

    def ignores(self, path: str) -> bool:
        """Tell whether a path is left out, from its name alone."""
        parts = path.split("/")
        ignored, matches = False, Matches()
        for count in range(1, len(parts) + 1):
            ignored, matches = self.decide("/".join(parts[:count]), matches)
            if ignored and self._all is not None:
                return True
        return ignored

    def enters(self, folder: str) -> bool:
        """Tell whether an ignored folder must be walked: something may be taken back into it."""
        # As fsutil does: a plain path, which may end in a glob, tells where it is taken back. Any
        # other ``!`` may do so anywhere.
        kept = [pattern.text for pattern in self.patterns if pattern.keeps]
        bare = [text.removesuffix("/**").removesuffix("/*") for text in kept]
        if any(_GLOB.intersection(text) for text in bare):
            return True
        return any(f"{text}/".startswith(f"{folder}/") for text in bare)

    def reaches(self, depth: int) -> bool:
        """Tell whether any pattern can match a path with that many slashes."""
        if self._all is None:
            return True
        return any(one.depth is None or one.depth == depth for one in self.patterns)

    @cached_property
    def _all(self) -> Callable[[str], object] | None:
        """All patterns as one, where none takes anything back: what it ignores is not entered."""
        if any(pattern.keeps for pattern in self.patterns):
            return None
        regex = "|".join(f"(?:{pattern.regex.pattern})" for pattern in self.patterns)
        return re.compile(regex or r"(?!)").fullmatch


def parse_ignore(text: str) -> Ignore:
    """Read the text of a .dockerignore."""
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
    except (_DoubtError, re.error):
        return Ignore(doubt=text)
    return Ignore(tuple(patterns))


def _compile(line: str) -> _Pattern:
    """Translate a pattern, as patternmatcher does: some are compared as text, others are globs."""
    text = posixpath.normpath(line.strip(SPACE))  # once more, with its exclamation mark
    keeps = text.startswith("!")
    text = text.removeprefix("!") if keeps else text
    kind = "exact"
    out = []
    at = 0
    while at < len(text):
        start = at
        char = text[at]
        if text.startswith("**", at):
            at += 3 if text.startswith("/", at + 2) else 2
            at_end = at >= len(text)
            out.append(".*" if at_end else "(?:.*/)?")
            kind = "prefix" if at_end and kind == "exact" else "glob"
            kind = "suffix" if start == 0 else kind
            continue
        at += 1
        if char in "*?":
            out.append("[^/]*" if char == "*" else "[^/]")
            kind = "glob"
        elif char == "[":
            out.append(word := _char_class(text, start))
            at = start + len(word)
            kind = "glob"
        elif char == "\\":
            out.append(_escaped(text, at))
            at += 1
            kind = "glob"
        else:
            out.append(re.escape(char))
            kind = "glob" if char == "]" else kind
    if kind == "glob" and re.search(r"(?<!\[)\^", text):
        raise _DoubtError(text)  # an anchor there, in the middle of a path
    # A negated class matches a slash, too.
    depth = None if "**" in text or "[^" in text else text.count("/")
    return _Pattern(re.compile(_regex(kind, text, "".join(out))), keeps, text, depth)


def _regex(kind: str, text: str, glob: str) -> str:
    return {
        "exact": re.escape(text),
        "prefix": f"{re.escape(text[:-2])}(?s:.*)",
        "suffix": f"(?s:.*){re.escape(text[2:])}"
        + (f"|{re.escape(text[3:])}" if text.startswith("**/") else ""),
        "glob": glob,
    }[kind]


def _char_class(text: str, start: int) -> str:
    """Return the character class that begins there."""
    match = PLAIN_CLASS.match(text, start)
    if match is None:
        raise _DoubtError(text)
    return match.group()


def _escaped(text: str, at: int) -> str:
    """Return what a backslash before that place stands for; before a letter, a class of Go's."""
    if at >= len(text) or (text[at].isascii() and text[at].isalnum()):
        raise _DoubtError(text)
    return re.escape(text[at])
