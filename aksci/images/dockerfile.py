"""Read a Dockerfile into instructions, after BuildKit's documented grammar.

Dockerfile reference: "Format", "Parser directives", "Escape", "Here-Documents".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aksci.errors import ConfigError

__all__ = ["Dockerfile", "Instruction", "parse_dockerfile"]

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_HEREDOC_WORD = re.compile(r"\d*<<(-?)(\"|')?([^<\"'\s]+)(?(2)\2)$")
_HEREDOC_KEYWORDS = frozenset({"ADD", "COPY", "RUN"})
_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+""")
_FLAG = re.compile(r"--([a-z][a-z0-9-]*)(?:=(.*))?$", re.DOTALL)
_STANDARD_FRONTEND = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?:[:@].*)?$")


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction, its continuation lines joined."""

    keyword: str
    """Upper case: ``FROM``, ``RUN``…"""
    flags: tuple[tuple[str, str], ...]
    """``(("from", "build"),)``; a flag without a value has the value ``true``."""
    text: str
    """What follows keyword and flags."""
    heredocs: tuple[str, ...] = ()
    """The bodies of here-documents, in order."""
    line: int
    """Of its first line, from 1."""
    end_line: int = 0
    """Of its last line, here-documents included; 0: not known."""

    def flag(self, name: str) -> str | None:
        """Return the last value of a flag."""
        return next((value for key, value in reversed(self.flags) if key == name), None)


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    """A parsed Dockerfile."""

    name: str
    """For messages: its path relative to the project."""
    instructions: tuple[Instruction, ...]
    syntax: str | None
    """What ``# syntax=`` says: a frontend, and maybe words for it."""
    escape: str
    text: str

    @property
    def frontend(self) -> str | None:
        """The image that reads it instead of BuildKit itself."""
        return self.syntax.split()[0] if self.syntax else None

    @property
    def standard_frontend(self) -> bool:
        """Whether BuildKit's own grammar reads it."""
        return self.frontend is None or bool(_STANDARD_FRONTEND.fullmatch(self.frontend))


def parse_dockerfile(content: bytes, *, name: str) -> Dockerfile:
    """Read a Dockerfile. Bytes that are not UTF-8 are kept as surrogates.

    :raises ConfigError: a here-document is not ended, or it has no instruction at all.
    """
    text = content.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")
    lines = text.split("\n")
    directives = _directives(lines)
    escape = directives.get("escape", "\\")
    if escape not in {"\\", "`"}:
        raise ConfigError(f"{name}: the escape directive must be \\ or `, not {escape!r}.")
    instructions = tuple(_Reader(lines, escape, name).read())
    if not instructions:
        raise ConfigError(f"{name}: the Dockerfile has no instructions.")
    return Dockerfile(
        name=name,
        instructions=instructions,
        syntax=directives.get("syntax"),
        escape=escape,
        text=text,
    )


def _directives(lines: list[str]) -> dict[str, str]:
    """Read the directives: only at the top, before any other comment, blank line or instruction."""
    found: dict[str, str] = {}
    for number, line in enumerate(lines):
        if number == 0 and line.startswith("#!"):
            continue
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None or match.group(1).lower() not in _DIRECTIVES:
            break
        found.setdefault(match.group(1).lower(), match.group(2))
    return found


class _Reader:
    """Turn lines into instructions."""

    def __init__(self, lines: list[str], escape: str, name: str) -> None:
        self._lines = lines
        self._name = name
        self._at = 0
        mark = re.escape(escape)
        # An escaped escape at the end of a line does not continue it.
        self._continued = re.compile(rf"(?:(?<=[^{mark}])|^){mark}[ \t]*$")

    def read(self) -> list[Instruction]:
        found = []
        while self._at < len(self._lines):
            start = self._at + 1
            line = self._logical_line()
            if line.strip():
                found.append(self._instruction(line.strip(), start))
        return found

    def _logical_line(self) -> str:
        """Join continuation lines; comments and blank lines between them are skipped."""
        parts: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            stripped = line.lstrip()
            if stripped.startswith("#") or (parts and not stripped):
                if parts:
                    continue
                return ""
            shortened = self._continued.sub("", line if parts else stripped, count=1)
            parts.append(shortened)
            if shortened == (line if len(parts) > 1 else stripped):
                break
        return "".join(parts)

    def _instruction(self, line: str, start: int) -> Instruction:
        keyword, rest = _split_keyword(line)
        inner = _split_keyword(rest)[0] if keyword == "ONBUILD" else keyword
        bodies = self._heredocs(rest, start) if inner in _HEREDOC_KEYWORDS else ()
        flags, text = _split_flags(rest)
        return Instruction(keyword=keyword, flags=flags, text=text, heredocs=bodies, line=start)

    def _heredocs(self, line: str, start: int) -> tuple[str, ...]:
        bodies = []
        for word in _WORD.findall(line):
            match = _HEREDOC_WORD.fullmatch(word)
            if match:
                bodies.append(self._body(match.group(3), match.group(1) == "-", start))
        return tuple(bodies)

    def _body(self, end: str, chomp: bool, start: int) -> str:
        body: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            line = line.lstrip("\t") if chomp else line
            if line == end:
                return "".join(f"{kept}\n" for kept in body)
            body.append(line)
        raise ConfigError(
            f"{self._name}, line {start}: the here-document <<{end} has no closing {end}."
        )


def _split_keyword(line: str) -> tuple[str, str]:
    keyword, _, rest = line.partition(" ") if " " in line else line.partition("\t")
    if "\t" in keyword:
        keyword, _, more = line.partition("\t")
        rest = more
    return keyword.upper(), rest.strip()


def _split_flags(text: str) -> tuple[tuple[tuple[str, str], ...], str]:
    flags = []
    while text.startswith("--"):
        match = _WORD.match(text)
        if match is None:
            break
        flag = _FLAG.fullmatch(match.group())
        if flag is None:
            break
        flags.append((flag.group(1), "true" if flag.group(2) is None else flag.group(2)))
        text = text[match.end() :].lstrip()
    return tuple(flags), text
