"""Walk the part of a build context that a build reads: what COPY, ADD and bind mounts name.

Dockerfile reference: "COPY", "ADD", "RUN --mount=type=bind"; patterns as Go's ``filepath.Match``
reads them. Where more than what is named might be read, more is.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import takewhile
from operator import itemgetter
from typing import TYPE_CHECKING

from aksci.core.wildcards import ANY, Item, Many, One, Wildcards, char_class
from aksci.images.context.filters import filter_of
from aksci.images.context.ignore import NOTHING, PLAIN_CLASS, RANGE, Matches
from aksci.images.dockerfile.recipe import PartOf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aksci.images.context.filters import Filter, Filtering
    from aksci.images.context.ignore import Ignore
    from aksci.images.dockerfile.recipe import Sources

__all__ = [
    "EVERYTHING",
    "STATE",
    "Folder",
    "LinkedSourceError",
    "Selection",
    "StateFoundError",
    "parse_sources",
    "walk",
]

_Rest = tuple[tuple[str, ...], "Filter | None"]
"""A pattern for each part of a path, and what is read of where it leads; None: all of it."""
_WILD = frozenset("*?[")
_SIGNS: dict[str, Item] = {"*": Many(ANY), "?": One(ANY)}
_MOST_FILTERS = 32


@dataclass(frozen=True)
class Selection:
    """What is read of one entry of a context, and of what it holds."""

    rests: frozenset[_Rest] | None
    """What is read below it; None: all of it."""
    filtering: tuple[Filtering, ...] = ()
    """The filters of the folders that it is in, or is."""

    @property
    def counts(self) -> bool:
        """Whether the entry itself is read."""
        return self.rests is None or any(one.counts for one in self.filtering)

    def step(self, name: str) -> Selection | None:
        """Return what is read of an entry of this folder; None: nothing."""
        if self.rests is None:
            return self
        named = self._named(name)
        if not self.filtering or named is EVERYTHING:
            return named
        further = tuple(below for one in self.filtering if (below := one.step(name)) is not None)
        if named is None:
            return Selection(frozenset(), further) if further else None
        return Selection(named.rests, (*further, *named.filtering))

    def leads_to(self, name: str) -> bool:
        """Tell whether a source names an entry of this folder: a link there is followed."""
        return self.rests is not None and self._named(name) is not None

    def _named(self, name: str) -> Selection | None:
        """Return what is read of an entry because a source names it, or what is in it."""
        literal, wild, wildcards = self._sorted
        # Many entries lead to the same: it is put together once.
        key = (name if name in literal else None, wildcards.start.after(name).matching)
        if key not in self._steps:
            found = [*literal.get(name, ()), *(rest for number in key[1] for rest in wild[number])]
            self._steps[key] = _selection(found)
        return self._steps[key]

    @cached_property
    def _steps(self) -> dict[tuple[str | None, tuple[int, ...]], Selection | None]:
        return {}

    @cached_property
    def _sorted(self) -> tuple[dict[str, list[_Rest]], list[list[_Rest]], Wildcards]:
        """What follows each name; what follows each pattern, by number; and the patterns."""
        literal: dict[str, list[_Rest]] = {}
        wild: dict[str, list[_Rest]] = {}
        for (head, *parts), part in sorted(self.rests or (), key=itemgetter(0)):
            heads = literal if _WILD.isdisjoint(head) else wild
            heads.setdefault(head, []).append((tuple(parts), part))
        return literal, [*wild.values()], _wildcards(tuple(wild))


def _selection(rests: Iterable[_Rest]) -> Selection | None:
    """Return what some sources read of the entry that they have come to."""
    arrived = [part for parts, part in rests if not parts]
    if None in arrived:
        return EVERYTHING
    started = tuple(part.start for part in dict.fromkeys(arrived) if part is not None)
    further = frozenset(rest for rest in rests if rest[0])
    return Selection(further, started) if further or started else None


@lru_cache(maxsize=16)
def _wildcards(parts: tuple[str, ...]) -> Wildcards:
    return Wildcards([_items(part)] for part in parts)


EVERYTHING = Selection(None)
_NOTHING = Selection(frozenset())


def parse_sources(sources: Sources) -> Selection:
    """Read the sources of COPY, ADD and bind mounts, relative to the context.

    :param sources: None: nobody knows, so everything is read.
    """
    if sources is None:
        return EVERYTHING
    parts = [one for one in sources if isinstance(one, PartOf)]
    # Each filter is tried on each entry: of very many, all that they could read is.
    few = len(parts) <= _MOST_FILTERS
    filters = {one: filter_of(one) if few else None for one in parts}
    rests = [
        _rest(one.path, filters[one]) if isinstance(one, PartOf) else _rest(one, None)
        for one in sources
    ]
    return _selection(rests) or _NOTHING


def _rest(source: str, part: Filter | None) -> _Rest:
    """Return a pattern for each part of a path; fewer where what follows is not clear."""
    cleaned = posixpath.normpath(f"/{source}").lstrip("/")
    parts = tuple(cleaned.split("/")) if cleaned else ()
    clear = tuple(takewhile(_is_clear, parts))
    return clear, part if clear == parts else None


def _is_clear(part: str) -> bool:
    """Tell whether a pattern means the same to BuildKit as to us."""
    if "**" in part or "\\" in part:  # Go's filepath.Match and patternmatcher read them apart
        return False
    rest = PLAIN_CLASS.sub("", part) if "[" in part else ""
    ranges = (word for found in PLAIN_CLASS.findall(part) for word in RANGE.findall(found))
    return "[" not in rest and all(word[0] <= word[2] for word in ranges)


def _items(part: str) -> list[Item]:
    out: list[Item] = []
    at = 0
    while at < len(part):
        char = part[at]
        match = PLAIN_CLASS.match(part, at)
        at = match.end() if match else at + 1
        if match:
            out.append(One(char_class(match.group()[1:-1], negations="^")))
        else:
            out.append(_SIGNS.get(char, char))
    return out


STATE = ".aksci"
"""Where aksci keeps what changes with each run."""


class LinkedSourceError(Exception):
    """A source leads through a symbolic link: what it reads is not where it says."""


class StateFoundError(Exception):
    """Aksci's own state would be read; the argument is its path."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What counts of one folder and, with their modes, of those that lead to it.

    Paths are relative to the context, with slashes.
    """

    path: str
    """Empty, or with a slash at its end."""
    folders: list[tuple[str, int]] = field(default_factory=list)
    """Path and mode."""
    links: list[tuple[str, str]] = field(default_factory=list)
    """Path and target."""
    others: list[tuple[str, os.stat_result]] = field(default_factory=list)
    """Path and state of pipes, devices and sockets. BuildKit copies the first two as what they are,
    and a socket as an empty file."""
    files: list[tuple[str, os.stat_result]] = field(default_factory=list)
    """Name within this folder, and state."""


@dataclass(kw_only=True)
class _Above:
    """A folder that counts only if something in it does, and the one around it."""

    path: str
    mode: int
    above: _Above | None
    counted: bool = False


@dataclass(frozen=True, kw_only=True)
class _Visit:
    path: str
    selection: Selection
    matches: Matches = NOTHING
    above: _Above | None = None
    """The innermost folder that counts only if something in it does: ignored, or on the way."""


def walk(base: str, ignore: Ignore, selection: Selection) -> Iterator[Folder]:
    """Yield each folder of a context in which something counts, in no order.

    :raises LinkedSourceError: what is read can't be told without following a link.
    :raises StateFoundError: aksci's own state would be among it.
    :raises OSError: something can't be read.
    """
    waiting = [_Visit(path="", selection=selection)]
    while waiting:
        visit = waiting.pop()
        folder = Folder(path=visit.path)
        waiting += _scan(f"{base}/{visit.path}", visit, folder, ignore)
        if folder.folders or folder.links or folder.others or folder.files:
            _refuse_state(folder)
            above = visit.above
            # Once: of a thousand folders in each other, each would count those around it again.
            while above is not None and not above.counted:
                above.counted = True
                folder.folders.append((above.path, above.mode))
                above = above.above
            yield folder


def _scan(  # noqa: C901 - one loop over all entries of all contexts: calls would double its time
    place: str, visit: _Visit, folder: Folder, ignore: Ignore
) -> Iterator[_Visit]:
    """Sort a folder's entries into what counts of it; yield the folders to visit next."""
    selection = visit.selection
    reached = ignore.reaches(visit.path.count("/"))
    free = selection.rests is None and not reached
    with _opened(place) as handle, os.scandir(handle) as found:
        for entry in found:
            if free and entry.is_file(follow_symlinks=False):  # nearly always: make it fast
                folder.files.append((entry.name, entry.stat(follow_symlinks=False)))
                continue
            below = selection.step(entry.name)
            if below is None:
                continue
            path = visit.path + entry.name
            ignored, matches = ignore.decide(path, visit.matches) if reached else (False, NOTHING)
            if entry.is_file(follow_symlinks=False):
                if below.counts and not ignored:
                    folder.files.append((entry.name, entry.stat(follow_symlinks=False)))
            elif entry.is_dir(follow_symlinks=False):
                if not ignored or ignore.enters(path):
                    mode = entry.stat(follow_symlinks=False).st_mode
                    counts = below.counts and not ignored
                    if counts:
                        folder.folders.append((path, mode))
                    above = None if counts else _Above(path=path, mode=mode, above=visit.above)
                    yield _Visit(path=f"{path}/", selection=below, matches=matches, above=above)
            elif not ignored and entry.is_symlink():
                # A source leads on through it, to anywhere. In a folder that is read, it is a link
                # and no more.
                if selection.leads_to(entry.name):
                    raise LinkedSourceError(path)
                if below.counts:
                    folder.links.append((path, os.readlink(entry.name, dir_fd=handle)))
            elif not ignored and below.counts:
                folder.others.append((path, entry.stat(follow_symlinks=False)))


@contextlib.contextmanager
def _opened(place: str) -> Iterator[int]:
    """Open a folder: what it holds is then found by name alone, in a tenth less time."""
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = place + error.filename
        raise
    finally:
        os.close(handle)


def _refuse_state(folder: Folder) -> None:
    parts = folder.path.split("/")
    names = (path.rpartition("/")[2] for path, _ in (*folder.folders, *folder.links))
    if STATE in parts:
        raise StateFoundError("/".join(parts[: parts.index(STATE) + 1]))
    if STATE in names:
        raise StateFoundError(folder.path + STATE)
