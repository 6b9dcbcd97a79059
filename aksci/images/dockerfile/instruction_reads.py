"""What an instruction reads: other stages and images, and paths of the build context.

Dockerfile reference: "COPY", "ADD", "RUN --mount".
"""

from __future__ import annotations

import csv
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.images.dockerfile.parser import json_strings, split_blanks
from aksci.images.dockerfile.recipe import PartOf

if TYPE_CHECKING:
    from aksci.images.dockerfile.parser import Instruction
    from aksci.images.dockerfile.recipe import Sources
    from aksci.images.dockerfile.variables import Scope

__all__ = [
    "CopySource",
    "Login",
    "context_paths",
    "copied_words",
    "copy_sources_of",
    "logins_of",
    "unpinned_sources",
]

_HEREDOC = re.compile(r"\d*<<[^<]+")
# Narrow: what is taken for a URL here counts in no key. _REMOTE is wide: what it takes makes the
# image opaque. So an error of either costs a build, and never hides a change.
_NETWORK = ("http://", "https://", "git://", "ssh://")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[\w.-]+@[\w.-]+:")
_COMMIT = re.compile(
    r"(?:(?:git|ssh)://[^#]+|[\w.-]+@[\w.-]+:[^#]+|https?://[^#?]+\.git)"
    r"#(?:[0-9a-f]{40}|[0-9a-f]{64})(?::.*)?"
)
"""A git repository at a commit."""
_WILDCARDS = frozenset("*?[")
_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST_PATH = 4096
"""Characters: no file can be called so on Linux (PATH_MAX)."""


@dataclass(frozen=True, kw_only=True)
class CopySource:
    """A stage or an image that an instruction takes files from."""

    name: str
    mount: bool
    """RUN --mount knows names only; COPY --from indexes, too."""
    line: int

    @property
    def unclear(self) -> bool:
        """Whether it holds a variable: BuildKit refuses those so far."""
        return "$" in self.name


@dataclass(frozen=True, order=True, kw_only=True)
class Login:
    """A secret or an ssh agent that a RUN mounts."""

    kind: str
    """``secret`` or ``ssh``."""
    id: str
    required: bool
    """BuildKit refuses to go on without it."""


def copy_sources_of(one: Instruction) -> list[CopySource]:
    """Return what COPY --from and RUN --mount=…,from= name."""
    if one.keyword in {"COPY", "ADD"}:
        source = one.flag("from")
        return [CopySource(name=source, mount=False, line=one.line)] if source else []
    if one.keyword != "RUN" or not one.flags:
        return []
    names = [fields["from"] for fields in _mounts(one) if fields.get("from")]
    return [CopySource(name=name, mount=True, line=one.line) for name in names]


def context_paths(one: Instruction, scope: Scope) -> Sources:
    """Return the paths and patterns of the build context that an instruction reads.

    None: all of it, or nobody knows.
    """
    if one.keyword in {"COPY", "ADD"}:
        return _paths(one, _copied(one), scope)
    if one.keyword == "RUN" and one.flags:
        return _mounted(one, scope)
    return frozenset()


def logins_of(one: Instruction) -> list[Login]:
    """Return the secrets and ssh agents that a RUN mounts, but for those that a variable names.

    As BuildKit's ``convert_secrets.go`` and ``convert_ssh.go`` find their ids.
    """
    if one.keyword != "RUN" or not one.flags:
        return []
    found = []
    for fields in _mounts(one):
        kind = fields.get("type", "").lower()
        if kind == "secret":
            # Without an id, its target's name is meant.
            target = posixpath.basename(fields.get("target", "").rstrip("/"))
            name = fields.get("source") or fields.get("id") or target
        elif kind == "ssh":
            name = fields.get("id") or "default"
        else:
            continue
        if name and "$" not in name:
            # "true", or the word alone.
            required = fields.get("required", "false").lower() in {"", "1", "t", "true"}
            found.append(Login(kind=kind, id=name, required=required))
    return found


def unpinned_sources(one: Instruction, scope: Scope) -> list[str]:
    """Return what ADD takes from the network, as written, if that may be another thing tomorrow.

    ``--checksum`` pins it, and so does the full id of a git commit. What nobody can expand may be
    on the network.
    """
    if one.keyword != "ADD" or scope.expand(one.flag("checksum") or ""):
        return []
    expanded = {word: scope.expand(word) for word in _copied(one)}
    return [
        word
        for word, source in expanded.items()
        if source is None or (_REMOTE.match(source) and not _COMMIT.fullmatch(source))
    ]


def copied_words(one: Instruction) -> list[str]:
    """Return the sources and the destination of COPY or ADD, as they are written."""
    words = json_strings(one.text)
    # What is not JSON, BuildKit reads as words, a bracket at its beginning or not.
    return split_blanks(one.text) if words is None else words


def _copied(one: Instruction) -> list[str]:
    """Return the sources of COPY or ADD from the context, as they are written."""
    if one.flag("from"):
        return []
    # The last word is the destination. A here-document is a part of the Dockerfile, no file.
    return [word for word in copied_words(one)[:-1] if not _HEREDOC.fullmatch(word)]


def _paths(one: Instruction, words: list[str], scope: Scope) -> Sources:
    found: set[str | PartOf] = set()
    for word in words:
        source = scope.expand(word)
        if source is None:
            return None
        if one.keyword == "ADD" and source.startswith(_NETWORK):
            continue
        part = _part(one, source)
        if part is None or part == PartOf(path=""):
            return None
        found.add(part if part.included or part.excluded else part.path)
    return frozenset(found)


def _part(one: Instruction, source: str) -> PartOf | None:
    """Return what COPY or ADD reads of a source; None: nobody knows."""
    excluded = tuple(value for key, value in one.flags if key == "exclude")
    if one.flag("parents") != "true":
        path = _relative(source)
        return None if path is None else PartOf(path=path, excluded=excluded)
    # What stands before the pivot is a source like others (BuildKit: convert_copy.go).
    first, pivot, rest = source.partition("/./")
    path, included = _relative(first if pivot else ""), _relative(rest if pivot else source)
    # An exclamation mark would turn the pattern round.
    if path is None or included is None or included.startswith("!"):
        return None
    return PartOf(path=path, included=included or None, excluded=excluded)


def _mounted(one: Instruction, scope: Scope) -> Sources:
    found: set[str | PartOf] = set()
    for fields in _mounts(one):
        kind = scope.expand(fields.get("type", "bind"))
        # A type that nobody can expand may be ``bind``, which reads the context.
        if fields.get("from") or (kind is not None and kind.lower() in {*_NO_CONTEXT}):
            continue
        source = scope.expand(fields.get("source", ""))
        path = _relative(source) if source else None
        if not path or not _WILDCARDS.isdisjoint(path):  # here they mean themselves
            return None
        found.add(path)
    return frozenset(found)


_SHORT = {"src": "source", "dst": "target", "destination": "target"}
_NO_CONTEXT = ("cache", "tmpfs", "secret", "ssh")


def _mounts(one: Instruction) -> list[dict[str, str]]:
    """Read the fields of each --mount, comma-separated values with keys in any case."""
    found = []
    for key, value in one.flags:
        if key != "mount":
            continue
        try:
            row = next(csv.reader([value]), []) if '"' in value else value.split(",")
        except csv.Error:
            row = value.split(",")
        fields = (field.partition("=") for field in row)
        known = ((_SHORT.get(key.lower(), key.lower()), value) for key, _, value in fields)
        found.append(dict(known))  # the last one of a name holds
    return found


def _relative(source: str) -> str | None:
    """Bring a path into one form; empty: the context itself; None: nobody knows."""
    if not source.isascii() and not source.isprintable():
        return None
    # A backslash may escape, as in patterns, or part folders, as on Windows: nobody knows which.
    if "\\" in source or _DRIVE.match(source) or "\0" in source:
        return None
    if len(source) > _LONGEST_PATH:
        return None
    return posixpath.normpath(f"/{source}").lstrip("/")
