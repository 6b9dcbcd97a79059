""".dockerignore, as BuildKit reads it.

Docker's build documentation, "Build context: .dockerignore files".
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

__all__ = ["Ignore", "parse_ignore"]


@dataclass(frozen=True)
class _Pattern:
    regex: re.Pattern[str]
    keeps: bool
    """It began with ``!``."""


@dataclass(frozen=True)
class Ignore:
    """Decide which paths of a context are not sent to BuildKit."""

    patterns: tuple[_Pattern, ...] = ()

    def ignores(self, path: str) -> bool:
        """Tell whether a path (relative, with slashes) is left out.

        The last pattern that matches decides. One that matches a folder matches what it holds.
        """
        parts = path.split("/")
        ancestors = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        ignored = False
        for pattern in self.patterns:
            if ignored == pattern.keeps and any(map(pattern.regex.fullmatch, ancestors)):
                ignored = not pattern.keeps
        return ignored

    @property
    def prunes(self) -> bool:
        """Whether an ignored folder need not be walked: nothing can be taken back into it."""
        return not any(pattern.keeps for pattern in self.patterns)


def parse_ignore(text: str) -> Ignore:
    """Read the text of a .dockerignore."""
    patterns = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#"):
            continue
        word = line.strip()
        keeps = word.startswith("!")
        word = word[1:].strip() if keeps else word
        if not word:
            continue
        cleaned = posixpath.normpath(word).lstrip("/")
        if cleaned not in {"", "."}:
            patterns.append(_Pattern(re.compile(_regex(cleaned), re.DOTALL), keeps))
    return Ignore(tuple(patterns))


def _regex(pattern: str) -> str:
    out = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            out.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            out.append(".*")
            at += 2
        elif pattern[at] == "*":
            out.append("[^/]*")
            at += 1
        elif pattern[at] == "?":
            out.append("[^/]")
            at += 1
        elif pattern[at] == "\\" and at + 1 < len(pattern):
            out.append(re.escape(pattern[at + 1]))
            at += 2
        elif pattern[at] == "[" and "]" in pattern[at + 2 :]:
            end = pattern.index("]", at + 2)
            out.append(pattern[at : end + 1].replace("\\", "\\\\"))
            at = end + 1
        else:
            out.append(re.escape(pattern[at]))
            at += 1
    return "".join(out)
