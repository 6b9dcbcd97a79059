"""Which entries of a build context a Dockerfile's sources name.

Dockerfile reference: "COPY", "ADD", "RUN --mount=type=bind"; patterns as Go's ``filepath.Match``
reads them. Where more than what is named might be read, more is.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EVERYTHING", "Wanted", "parse_sources"]

_CLASS = re.compile(r"\[\^?(?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_.,+@%=:! ])+\]")

_Rest = tuple[re.Pattern[str], ...]


class _DoubtError(ValueError):
    """A pattern may mean something else to BuildKit than to us."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of one folder."""

    rests: frozenset[_Rest] | None
    """Patterns, one for each part of a path below the folder; None: all that it holds."""

    def step(self, name: str) -> Wanted | None:
        """Return what is wanted of an entry, and of what it holds; None: nothing."""
        if self.rests is None:
            return self
        found = [rest[1:] for rest in self.rests if rest[0].fullmatch(name)]
        if not found:
            return None
        return Wanted(frozenset(found)) if all(found) else EVERYTHING


EVERYTHING = Wanted(None)


def parse_sources(sources: Iterable[str] | None) -> Wanted:
    """Read the sources of COPY, ADD and bind mounts, relative to the context.

    :param sources: None: nobody knows, so everything is wanted.
    """
    if sources is None:
        return EVERYTHING
    rests = [_parts(source) for source in sources]
    return Wanted(frozenset(rest for rest in rests if rest)) if all(rests) else EVERYTHING


def _parts(source: str) -> _Rest:
    """Return a pattern for each part of a path; fewer where the rest is not clear."""
    cleaned = posixpath.normpath(f"/{source}").lstrip("/")
    found: list[re.Pattern[str]] = []
    for part in cleaned.split("/") if cleaned else []:
        try:
            found.append(re.compile(_regex(part), re.DOTALL))
        except (_DoubtError, re.error):
            break
    return tuple(found)


def _regex(part: str) -> str:
    if "**" in part or "\\" in part:  # COPY --parents and plain paths read these in other ways
        raise _DoubtError(part)
    out = []
    at = 0
    while at < len(part):
        char = part[at]
        match = _CLASS.match(part, at)
        if char == "[" and match is None:
            raise _DoubtError(part)
        at = match.end() if match else at + 1
        out.append(match.group() if match else {"*": ".*", "?": "."}.get(char, re.escape(char)))
    return "".join(out)
