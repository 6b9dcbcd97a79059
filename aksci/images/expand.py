"""Variables in Dockerfiles: ``$X``, ``${X}`` and the modifiers that BuildKit documents.

Dockerfile reference, "Environment replacement" and "Parser directives: escape".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UnresolvedError", "expand"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODIFIER = re.compile(r":?[-+?]|##?|%%?|//?")


class UnresolvedError(Exception):
    """A variable has no value where one is needed, or an expression can't be read."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name
        self.why = why


def expand(text: str, values: Mapping[str, str], *, escape: str = "\\") -> str:
    """Expand one word as BuildKit's shell does, quotes removed.

    :raises UnresolvedError: a variable has no value and no default.
    """
    return _Expander(values, escape).word(text)


class _Expander:
    def __init__(self, values: Mapping[str, str], escape: str) -> None:
        self._values = values
        self._escape = escape

    def word(self, text: str) -> str:
        out: list[str] = []
        at = 0
        quoted = False
        while at < len(text):
            char = text[at]
            if char == "'" and not quoted:
                end = _closing(text, at, "'")
                out.append(text[at + 1 : end])
                at = end + 1
            elif char == '"':
                quoted = not quoted
                at += 1
            elif char == self._escape and at + 1 < len(text):
                out.append(text[at + 1])
                at += 2
            elif char == "$":
                value, at = self._variable(text, at)
                out.append(value)
            else:
                out.append(char)
                at += 1
        return "".join(out)

    def _variable(self, text: str, at: int) -> tuple[str, int]:
        """Expand the variable whose ``$`` is at ``at``; return it and the index after it."""
        if text.startswith("${", at):
            end = _matching_brace(text, at + 1)
            return self._braced(text[at + 2 : end]), end + 1
        match = _NAME.match(text, at + 1)
        if match is None:
            return "$", at + 1
        return self._plain(match.group()), match.end()

    def _plain(self, name: str) -> str:
        if name not in self._values:
            raise UnresolvedError(name, "it has no value")
        return self._values[name]

    def _braced(self, inside: str) -> str:
        match = _NAME.match(inside)
        if match is None:
            raise UnresolvedError(inside, "it is not the name of a variable")
        name, rest = match.group(), inside[match.end() :]
        if not rest:
            return self._plain(name)
        modifier = _MODIFIER.match(rest)
        if modifier is None:
            raise UnresolvedError(name, f"the modifier {rest!r} is not known")
        return self._modified(name, modifier.group(), rest[modifier.end() :])

    def _modified(self, name: str, modifier: str, word: str) -> str:
        value = self._values.get(name)
        present = bool(value) if modifier.startswith(":") else value is not None
        if modifier.endswith("-"):
            return value or "" if present else self.word(word)
        if modifier.endswith("+"):
            return self.word(word) if present else ""
        if modifier.endswith("?"):
            if not present:
                raise UnresolvedError(name, self.word(word) or "it has no value")
            return value or ""
        return _patterned(self._plain(name), modifier, self.word(word))


def _patterned(value: str, modifier: str, word: str) -> str:
    """Apply ``#``, ``##``, ``%``, ``%%``, ``/`` or ``//`` with a glob of ``*`` and ``?``."""
    if modifier.startswith("/"):
        pattern, _, replacement = word.partition("/")
        count = 0 if modifier == "//" else 1
        return re.sub(_glob(pattern, greedy=True), lambda _: replacement, value, count=count)
    greedy = len(modifier) > 1
    glob = _glob(word, greedy=greedy)
    if modifier.startswith("#"):
        return re.sub(rf"\A(?:{glob})", "", value, count=1)
    starts = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    for start in starts:
        if re.fullmatch(glob, value[start:]):
            return value[:start]
    return value


def _glob(pattern: str, *, greedy: bool) -> str:
    star = ".*" if greedy else ".*?"
    return "".join({"*": star, "?": "."}.get(char, re.escape(char)) for char in pattern)


def _closing(text: str, at: int, quote: str) -> int:
    end = text.find(quote, at + 1)
    return len(text) if end < 0 else end


def _matching_brace(text: str, at: int) -> int:
    """Return the index of the brace that closes the one at ``at``."""
    depth = 0
    for index in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise UnresolvedError(text[at + 1 :], "its closing brace is missing")
