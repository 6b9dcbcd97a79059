"""Patterns in ``${NAME#pattern}`` and its like: ``*`` and ``?``, matched in one pass over a value.

Dockerfile reference, "Environment replacement". BuildKit (frontend/dockerfile/shell) makes regular
expressions of them in which ``.`` is not a line break, for an engine that never goes back. What
stands between two stars is looked for once here, in one direction: the first place where it is
found leaves most for the rest, so that no other has to be tried.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LONGEST", "ShellPattern"]

LONGEST = 256
"""Characters of a pattern. Those that people write have about ten."""


class _Run:
    """What stands between two stars: characters, and ``?`` for any one (None)."""

    def __init__(self, characters: list[str | None]) -> None:
        self.length = len(characters)
        self.text = None if None in characters else "".join(map(str, characters))
        words = ["." if one is None else re.escape(one) for one in characters]
        self._regex = None if self.text is not None else re.compile("".join(words))
        self._last = None if self._regex is None else re.compile(f".*({self._regex.pattern})")

    def first(self, line: str, at: int) -> int:
        """Return where it stands first from a place on; -1: nowhere."""
        if self._regex is None:
            return line.find(self.text or "", at)
        found = self._regex.search(line, at)
        return found.start() if found else -1

    def last(self, line: str, at: int) -> int:
        """Return where it stands last from a place on; -1: nowhere."""
        if self._last is None:
            return line.rfind(self.text or "", at)
        found = self._last.match(line, at)
        return found.start(1) if found else -1

    def stands(self, line: str, at: int) -> bool:
        """Tell whether it stands at a place."""
        if self._regex is None:
            return line.startswith(self.text or "", at)
        return self._regex.match(line, at) is not None


class ShellPattern:
    """A pattern.

    :raises ValueError: it is too long, or holds a line break: in Dockerfiles as people write them,
        none does.
    """

    def __init__(self, pattern: str) -> None:
        if len(pattern) > LONGEST or "\n" in pattern:
            raise ValueError("the pattern is too long, or has a line break")
        self._written = _runs(pattern)
        self._runs = [_Run(run) for run in self._written]
        self.cost = 1 + 8 * sum(run.text is None for run in self._runs)
        """How many times as long as to copy a text it takes to look through it."""

    def without_prefix(self, value: str, *, longest: bool) -> str:
        """Take the shortest or longest beginning that matches off a value."""
        line = value.partition("\n")[0]
        end = self._end(line, 0, longest=longest) if self._runs[0].stands(line, 0) else None
        return value if end is None else value[end:]

    def without_suffix(self, value: str, *, longest: bool) -> str:
        """Take the shortest or longest end that matches off a value."""
        # As BuildKit does: from the other side, an end is a beginning.
        turned = ShellPattern("")
        turned._runs = [_Run(run[::-1]) for run in reversed(self._written)]
        return turned.without_prefix(value[::-1], longest=longest)[::-1]

    def matches(self, value: str) -> Iterator[tuple[int, int]]:
        """Yield where it matches, from left to right, each match as long as it can be.

        An empty match right after another one is none (Go, package regexp).
        """
        offset = 0
        for line in value.split("\n"):
            for start, end in self._matches_in_line(line):
                yield offset + start, offset + end
            offset += len(line) + 1

    def _matches_in_line(self, line: str) -> Iterator[tuple[int, int]]:
        at, before = 0, -1
        while at <= len(line) and (start := self._runs[0].first(line, at)) >= 0:
            end = self._end(line, start, longest=True)
            if end is None:
                break  # what is nowhere after this place is nowhere after a later one, either
            if end > start or start != before:
                yield start, end
                before = end
            at = end if end > start else start + 1

    def _end(self, line: str, start: int, *, longest: bool) -> int | None:
        """Return where a match ends whose first run stands at a place; None: there is none."""
        at = start + self._runs[0].length
        if len(self._runs) == 1:
            return at
        *between, final = self._runs[1:]
        for run in between:
            found = run.first(line, at)
            if found < 0:
                return None
            at = found + run.length
        found = final.last(line, at) if longest else final.first(line, at)
        return None if found < 0 else found + final.length


def _runs(pattern: str) -> list[list[str | None]]:
    """Split a pattern at its stars."""
    runs: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for char in characters:
        if char == "*":
            runs.append([])
        elif char == "?":
            runs[-1].append(None)
        elif following := next(characters, "") if char == "\\" else char:
            runs[-1].append(following)
    # A star after another one adds nothing.
    return [runs[0], *(run for run in runs[1:-1] if run), *runs[1:][-1:]]
