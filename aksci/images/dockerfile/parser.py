"""Read a Dockerfile into instructions and stages, after BuildKit's documented grammar.

Dockerfile reference: "Format", "Parser directives", "Escape", "Here-Documents", "FROM".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.strict_json import require_shallow
from aksci.core.text import short_line
from aksci.core.wide_text import wide_encoding
from aksci.images.dockerfile.expand import SPACE, TooMuchError, UnresolvedError, shell_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = [
    "KEYWORDS",
    "Dockerfile",
    "Instruction",
    "Stage",
    "frontend_name",
    "json_strings",
    "parse_dockerfile",
    "parse_onbuild",
    "split_blanks",
    "unwrap_onbuild",
]

KEYWORDS = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"}
    | {"MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_HEREDOC_KEYWORDS = frozenset({"ADD", "COPY", "RUN"})
# Possessive: blanks belong to one part of it only, or a long line of them is tried in many ways.
_HEREDOC_WORD = re.compile(r"\d*<<(-?)\s*+([^<]+)")
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_ASCII_SPACE = " \t\n\r\f\v"
_FRONTEND = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?::([^@]+))?(?:@.+)?")
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?(?:[.-].*)?")
_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
# docker/dockerfile 1.4 brought here-documents. To an older one, ``<<`` is a word like others.
_SINCE_HEREDOCS = (1, 4)
# BuildKit's own grammar, and tags such as ``latest``: newer than any version with a number.
_LATEST = (1, 1 << 30)


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
class Stage:
    """One stage as it is written: what its variables mean depends on target and arguments."""

    index: int
    name: str
    """In lower case, as BuildKit compares them; empty: it has none."""
    base: str
    """What FROM names: an image or an earlier stage, variables not expanded."""
    instructions: tuple[Instruction, ...]
    """FROM itself is the first."""

    @property
    def line(self) -> int:
        """Of its FROM."""
        return self.instructions[0].line

    @property
    def platform(self) -> str | None:
        """What ``--platform`` says, variables not expanded."""
        return self.instructions[0].flag("platform")


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    """A parsed Dockerfile."""

    name: str
    """For messages: its path relative to the project."""
    instructions: tuple[Instruction, ...]
    """Empty where another frontend's grammar reads it."""
    syntax: str | None
    """What ``# syntax=`` says: a frontend, and maybe words for it."""
    escape: str
    text: str
    doubts: tuple[str, ...] = ()
    """Why what was read may not be what BuildKit reads."""
    standard_frontend: bool = True
    """Whether BuildKit's own grammar reads it."""

    @cached_property
    def head(self) -> tuple[Instruction, ...]:
        """What stands before the first FROM: only ARG may."""
        return tuple(takewhile(lambda one: one.keyword != "FROM", self.instructions))

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Its stages in order, read once for all targets, platforms and arguments.

        :raises ConfigError: there is no FROM, or one is wrong.
        """
        if len(self.head) == len(self.instructions):
            raise ConfigError(f"{self.name}: the Dockerfile has no FROM.")
        groups: list[list[Instruction]] = []
        for one in self.instructions[len(self.head) :]:
            if one.keyword == "FROM":
                groups.append([])
            groups[-1].append(one)
        return tuple(_stage(self.name, index, group) for index, group in enumerate(groups))

    @property
    def frontend(self) -> str | None:
        """The image that reads it instead of BuildKit itself."""
        return self.syntax.partition(" ")[0] if self.syntax else None


def parse_dockerfile(
    content: bytes,
    *,
    name: str,
    syntax: str | None = None,
    standard_frontends: Collection[str] = (),
) -> Dockerfile:
    """Read a Dockerfile. Bytes that are not UTF-8 are kept as surrogates.

    :param syntax: a frontend that is used whatever the file says.
    :param standard_frontends: names of docker/dockerfile in mirrors, without a tag.
    :raises ConfigError: a here-document is not ended, a directive is wrong, or there is no
        instruction at all: BuildKit refuses it, too.
    """
    if wide := wide_encoding(content):
        raise ConfigError(
            f"{name}: the Dockerfile is {wide}, as PowerShell's > writes it; BuildKit reads UTF-8.",
            hint="save it as UTF-8.",
        )
    text = content.decode("utf-8-sig", "surrogateescape")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    syntax = syntax or _syntax(text, lines)
    version = _version(syntax.partition(" ")[0] if syntax else None, standard_frontends)
    if version is None:
        return Dockerfile(
            name=name,
            instructions=(),
            syntax=syntax,
            escape="\\",
            text=text,
            standard_frontend=False,
        )
    escape = _escape(lines, name)
    reader = _LineReader(lines, escape, name, heredocs=version >= _SINCE_HEREDOCS)
    instructions = tuple(reader.read())
    if not instructions:
        raise ConfigError(f"{name}: the Dockerfile has no instructions.")
    return Dockerfile(
        name=name,
        instructions=instructions,
        syntax=syntax,
        escape=escape,
        text=text,
        doubts=tuple(reader.doubts),
    )


def parse_onbuild(texts: Iterable[str], *, name: str) -> tuple[Instruction, ...]:
    """Read the instructions of an image's configuration.

    :raises ConfigError: BuildKit would refuse one.
    """
    return tuple(
        one
        for text in texts
        for one in parse_dockerfile(text.encode("utf-8", "replace"), name=name).instructions
    )


def _stage(file: str, index: int, instructions: list[Instruction]) -> Stage:
    """Read ``FROM x`` or ``FROM x AS y``."""
    one = instructions[0]
    base, *rest = split_blanks(one.text)
    name = rest[1].lower() if len(rest) == 2 and rest[0].lower() == "as" else None  # noqa: PLR2004 - AS y
    if (rest and not (name and _STAGE_NAME.fullmatch(name))) or not base:
        raise ConfigError(f"{file}, line {one.line}: FROM {short_line(one.text)!r} is wrong.")
    return Stage(index=index, name=name or "", base=base, instructions=tuple(instructions))


def unwrap_onbuild(one: Instruction) -> Instruction:
    """Return what an ONBUILD instruction makes a child do.

    BuildKit reads it anew then, always with the backslash as its escape.
    """
    keyword, flags, text = _split_line(one.text, "\\")
    return Instruction(
        keyword=keyword,
        flags=flags,
        text=text,
        heredocs=one.heredocs,
        line=one.line,
        end_line=one.end_line,
    )


def split_blanks(text: str) -> list[str]:
    """Split at blanks, as BuildKit does where quotes have no meaning."""
    return _BLANKS.split(text)


def json_strings(text: str) -> list[str] | None:
    """Return a JSON array of strings; None: BuildKit reads the text in its other form, or not."""
    if not text.startswith("["):
        return None
    found = _json(text)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        return None
    return found


def _json(text: str) -> Any:
    """Return what a text says as JSON; None where it is none, or is nested beyond reason."""
    try:
        require_shallow(text.encode("utf-8", "surrogatepass"))
        return json.loads(text)
    except ValueError:
        return None


def frontend_name(frontend: str) -> str:
    """Return a frontend's name without its tag and digest."""
    name = frontend.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def _version(frontend: str | None, standard: Collection[str]) -> tuple[int, int] | None:
    """Return the version of the grammar; None: it is not one that we know."""
    if frontend is None:
        return _LATEST
    if (name := frontend_name(frontend)) in standard:
        frontend = "docker/dockerfile" + frontend.removeprefix(name)
    match = _FRONTEND.fullmatch(frontend)
    if match is None:
        return None
    version = _VERSION.fullmatch(match.group(1) or "")
    if version is None:
        return _LATEST
    major, minor = int(version.group(1)), version.group(2)
    # ``:1`` is the newest of 1. What 2 will mean nobody knows: None makes the image opaque.
    return (major, int(minor) if minor else _LATEST[1]) if major == _LATEST[0] else None


def _read_directives(lines: list[str], comment: str) -> dict[str, list[str]]:
    """Read directives: only at the top, before any other comment, blank line or instruction."""
    pattern = re.compile(rf"{comment}\s*([A-Za-z][A-Za-z0-9]*)\s*=(.+)", re.ASCII)
    found: dict[str, list[str]] = {}
    for line in lines:
        match = pattern.fullmatch(line)
        if match is None or match.group(1).lower() not in _DIRECTIVES:
            break
        value = match.group(2)
        value = value.strip(_ASCII_SPACE) or value[-1]
        found.setdefault(match.group(1).lower(), []).append(value)
    return found


def _syntax(text: str, lines: list[str]) -> str | None:
    """Find the frontend: after ``#``, after ``//``, or in JSON; a first line ``#!`` is passed."""
    if lines and lines[0].startswith("#!"):
        lines = lines[1:]
        text = text.partition("\n")[2]
    for comment in ("#", "//"):
        if found := _read_directives(lines, comment).get("syntax"):
            return found[0]
    if text.lstrip().startswith("{"):
        document = _json(text)
        value = document.get("syntax") if isinstance(document, dict) else None
        return value if isinstance(value, str) and value else None
    return None


def _escape(lines: list[str], name: str) -> str:
    """Return the escape character. Blanks may stand before this directive, unlike the syntax."""
    # One line more than there are directives: if all of them hold one, one is there twice.
    found = _read_directives([line.lstrip(SPACE) for line in lines[: len(_DIRECTIVES) + 1]], "#")
    for directive, values in found.items():
        if len(values) > 1:
            raise ConfigError(f"{name}: the directive {directive} stands there more than once.")
    escape = found.get("escape", ["\\"])[0]
    if escape not in {"\\", "`"}:
        raise ConfigError(f"{name}: the escape directive must be \\ or `, not {escape!r}.")
    return escape


class _LineReader:
    """Turn lines into instructions."""

    def __init__(self, lines: list[str], escape: str, name: str, *, heredocs: bool) -> None:
        self._lines = lines
        self._name = name
        self._at = 0
        self._escape = escape
        self._with_heredocs = heredocs
        self.doubts: list[str] = []

    def read(self) -> list[Instruction]:
        found = []
        lines = self._lines
        while self._at < len(lines):
            line = lines[self._at].strip(SPACE)
            self._at += 1
            if not line or line[0] == "#":
                continue
            start = self._at
            # From the line as it is written: only blanks and tabs may follow the escape. Any other
            # white space, which strip has taken off, makes it an ordinary character.
            if line[-1] == self._escape:
                line = self._continued(lines[start - 1].rstrip("\r").lstrip(SPACE)).strip(SPACE)
            if line:
                found.append(self._instruction(line, start))
        return found

    def _continued(self, line: str) -> str:
        """Join continuation lines; comments and blank lines between them are skipped."""
        piece, more = self._piece(line)
        pieces = [piece]
        while more and self._at < len(self._lines):
            line = self._lines[self._at].rstrip("\r")
            self._at += 1
            bare = line.lstrip(SPACE)
            if bare and bare[0] != "#":
                piece, more = self._piece(line)
                pieces.append(piece)
        return "".join(pieces)

    def _piece(self, line: str) -> tuple[str, bool]:
        """Return a line without its escape, and whether the next one continues it.

        An escaped escape does not; blanks may follow.
        """
        shortened = line.rstrip(" \t")
        if not shortened.endswith(self._escape) or shortened[-2:-1] == self._escape:
            return line, False
        return shortened[:-1], True

    def _instruction(self, line: str, start: int) -> Instruction:
        keyword, flags, text = _split_line(line, self._escape)
        if keyword == "ONBUILD" and text.upper().split(maxsplit=1)[:1] == ["ONBUILD"]:
            raise ConfigError(
                f"{self._name}, line {start}: ONBUILD ONBUILD is no instruction: BuildKit refuses "
                "a trigger that sets another one."
            )
        bodies: tuple[str, ...] = ()
        if "<<" in line and self._may_have_heredocs(keyword, text):
            bodies = self._heredocs(line, start)
        return Instruction(
            keyword=keyword,
            flags=flags,
            text=text,
            heredocs=bodies,
            line=start,
            end_line=self._at,
        )

    def _may_have_heredocs(self, keyword: str, text: str) -> bool:
        if keyword == "ONBUILD":
            keyword, _, text = _split_line(text, self._escape)
        # In the JSON form, ``<<`` is a word like others.
        return keyword in _HEREDOC_KEYWORDS and json_strings(text) is None

    def _heredocs(self, line: str, start: int) -> tuple[str, ...]:
        if not self._with_heredocs:
            self.doubts.append(f"line {start}: << means nothing to so old a docker/dockerfile")
            return ()
        try:
            words = shell_words(line, raw=True)
        except TooMuchError as error:
            self.doubts.append(f"line {start}: {error.why}")
            return ()
        except UnresolvedError:
            return ()  # as BuildKit does
        ends = [end for word in words if (end := _heredoc_end(word)) is not None]
        return tuple(self._body(end, chomp, start) for end, chomp in ends)

    def _body(self, end: str, chomp: bool, start: int) -> str:
        body: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            line = line.lstrip("\t") if chomp else line
            if line.rstrip("\r") == end:
                return "".join(f"{kept}\n" for kept in body)
            body.append(line)
        raise ConfigError(
            f"{self._name}, line {start}: the here-document <<{short_line(end)} has no closing "
            "line."
        )


def _heredoc_end(word: str) -> tuple[str, bool] | None:
    """Return the line that ends a here-document, and whether leading tabs are taken off."""
    match = _HEREDOC_WORD.fullmatch(word)
    if match is None:
        return None
    try:
        names = shell_words(match.group(2), raw=False)
    except UnresolvedError:
        return None
    return (names[0], match.group(1) == "-") if len(names) == 1 else None


def _split_line(line: str, escape: str) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """Return keyword, flags and what follows."""
    keyword, *rest = _BLANKS.split(line, maxsplit=1)
    text = rest[0].strip(SPACE) if rest else ""
    flags: tuple[tuple[str, str], ...] = ()
    if text.startswith("--"):
        flags, text = _split_flags(text, escape)
    # upper() makes an S of the long s (U+017F): to BuildKit, such a word is no keyword.
    return keyword.upper() if keyword.isascii() else keyword, flags, text


def _split_flags(text: str, escape: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """Take the words that begin with ``--`` off a text, without quotes and escapes.

    A word ``--`` alone ends them.
    """
    mark = re.escape(escape)
    word = re.compile(rf"""(?:"(?:{mark}.|[^"{mark}])*"?|'(?:{mark}.|[^'{mark}])*'?"""
                      rf"""|{mark}.?|[^\s"'{mark}])+""", re.DOTALL)  # fmt: skip
    flags = []
    while text.startswith("--"):
        match = word.match(text)
        if match is None:  # pragma: no cover - it begins with --
            break
        text = text[match.end() :].lstrip(SPACE)
        flag = _unquote(match.group(), escape)
        if flag == "--":
            break
        key, equals, value = flag[2:].partition("=")
        flags.append((key, value if equals else "true"))
    return tuple(flags), text


def _unquote(word: str, escape: str) -> str:
    """Take quotes and escapes off a flag; escapes count in single quotes, too, there."""
    if escape not in word and "'" not in word and '"' not in word:
        return word
    out: list[str] = []
    quote = ""
    characters = iter(word)
    for char in characters:
        if char == escape:
            out.append(next(characters, ""))
        elif quote:
            quote = "" if char == quote else quote
            out.append("" if not quote else char)
        elif char in "'\"":
            quote = char
        else:
            out.append(char)
    return "".join(out)
