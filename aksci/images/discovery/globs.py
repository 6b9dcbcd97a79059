"""Find files by globs in one walk, without looking where no image of a project can be."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.inside import Inside
from aksci.core.wildcards import ANY, NOT_SLASH, Folders, Item, Many, One, Wildcards, char_class
from aksci.images.discovery.leaf_folders import LeafFolders

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Exclude", "find_files"]

_STATE = frozenset({".aksci", ".git", ".hg", ".svn"})
_SKIPPED = frozenset({"node_modules"})
"""Where wildcards don't look, but a glob that spells it out does."""
_PRUNED = _STATE | _SKIPPED
_MAGIC = frozenset("*?[")
_ANYWHERE = "**"
_DEEPEST = 1000
_SIGNS: dict[str, Item] = {"*": Many(NOT_SLASH), "?": One(NOT_SLASH)}


_State = tuple[int, int]
"""Number of a pattern, and the part of it that the next name must match."""
_Deeper = tuple[str, list[_State], bool]
"""A folder's name, what to look for in it, and whether a symbolic link led there."""


@dataclass(frozen=True)
class Exclude:
    """Tell which paths some globs exclude; one that matches a folder excludes what it holds."""

    globs: tuple[str, ...]
    _wildcards: Wildcards = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = [_path_sequences(_parts(glob, "exclude")) for glob in self.globs]
        object.__setattr__(self, "_wildcards", Wildcards(found))

    def excludes(self, path: str) -> bool:
        """Tell whether a path (relative, with slashes) is excluded."""
        return bool(self.globs) and self._wildcards.start.after(path).ended


def find_files(
    root: Path, globs: Sequence[str], exclude: Exclude = Exclude(())
) -> dict[str, frozenset[PurePosixPath]]:
    """Return the files that each glob finds, relative to the root.

    ``*``, ``?`` and ``[…]`` match within a name, ``**`` any folders. Wildcards don't look into
    version control's folders, ``.aksci`` and ``node_modules``; ``**`` doesn't follow symbolic
    links to folders, so that loops of them end. Of several ways to one file in one folder (links),
    the first counts: those that are no links before those that are, then by name. Folders outside
    of the project, which a link may lead to, are not read.

    :raises ConfigError: a glob is empty, absolute, or leads out of the project.
    """
    patterns = [_parts(glob, "dockerfiles") for glob in globs]
    walk = _GlobWalk(str(root), patterns, exclude, Inside(root), LeafFolders())
    walk.walk([(number, 0) for number in range(len(patterns))])
    files: list[set[PurePosixPath]] = [set() for _ in globs]
    for path in _once(str(root), walk.found):
        for number in walk.found[path].patterns:
            files[number].add(PurePosixPath(path))
    return {glob: frozenset(its) for glob, its in zip(globs, files, strict=True)}


@dataclass
class _Found:
    linked: bool
    """It is a symbolic link, or was reached through one."""
    patterns: set[int]


@dataclass
class _GlobWalk:
    root: str
    patterns: Sequence[tuple[str, ...]]
    exclude: Exclude
    inside: Inside
    leaves: LeafFolders
    found: dict[str, _Found] = field(default_factory=dict)
    """Path -> how it was found."""
    _waiting: list[tuple[str, list[_State], bool]] = field(default_factory=list)
    _names: dict[tuple[str, ...], Wildcards] = field(default_factory=dict)
    """Patterns of names that one folder is searched for, as one: mostly those of the last."""

    def walk(self, states: list[_State]) -> None:
        """Look for what the states ask for, from the root on."""
        self._waiting.append(("", states, False))
        while self._waiting:  # no recursion: a tree may be deeper than that goes
            folder, here, linked = self._waiting.pop()
            self._visit(folder, here, linked=linked)

    def _visit(self, folder: str, states: Iterable[_State], *, linked: bool) -> None:
        """Look into a folder (``""`` or ``path/``)."""
        anywhere, named = self._expand(states)
        literal, magic = self._sort(named)
        if not anywhere and not magic:  # no need to read the folder
            for part, its in literal.items():
                self._enter(f"{folder}{part}", its, linked=linked)
            return
        for part in _SKIPPED & literal.keys():  # what wildcards don't look into
            self._enter(f"{folder}{part}", literal.pop(part), linked=linked)
        # Most folders hold files alone, and none that is looked for: they need not be read.
        if not magic and self.leaves.lacks(f"{self.root}/{folder}", frozenset(literal)):
            return
        deeper = self._read(folder, anywhere, literal, magic, linked=linked)
        for name, following, through in deeper:
            if following and not self.exclude.excludes(f"{folder}{name}"):
                self._waiting.append((f"{folder}{name}/", following, through))

    def _read(
        self,
        folder: str,
        anywhere: list[_State],
        literal: dict[str, list[_State]],
        magic: dict[str, list[_State]],
        *,
        linked: bool,
    ) -> list[_Deeper]:
        """Read a folder: note the files that match, and return where to go on."""
        try:
            entries = os.scandir(f"{self.root}/{folder}")
        except (NotADirectoryError, FileNotFoundError, PermissionError):
            return []
        except OSError as error:
            if error.errno in {errno.ENAMETOOLONG, errno.ELOOP}:  # no path leads there
                return []
            raise ConfigError(f"{folder} can't be read: {error.strerror}.") from None
        parts = tuple(magic)
        wildcards = self._wildcards(parts)
        deeper: list[_Deeper] = []
        with entries:
            for entry in entries:
                name = entry.name
                matched = literal.get(name, [])
                if magic:
                    found = wildcards.start.after(name).matching
                    matched = [*matched, *(one for number in found for one in magic[parts[number]])]
                if entry.is_dir(follow_symlinks=False):
                    if name not in _PRUNED:
                        deeper.append((name, [*anywhere, *self._deeper(matched)], linked))
                elif matched:
                    self._take(folder, entry, matched, deeper, linked=linked)
        return deeper

    def _wildcards(self, parts: tuple[str, ...]) -> Wildcards:
        if parts not in self._names:
            self._names.clear()
            self._names[parts] = Wildcards([_name_items(part)] for part in parts)
        return self._names[parts]

    def _sort(self, named: list[_State]) -> tuple[dict[str, list[_State]], dict[str, list[_State]]]:
        """Part the states into those of names, by name, and those of patterns, by pattern."""
        literal: dict[str, list[_State]] = {}
        magic: dict[str, list[_State]] = {}
        for state in named:
            part = self.patterns[state[0]][state[1]]
            its = literal if _MAGIC.isdisjoint(part) else magic
            its.setdefault(part, []).append(state)
        return literal, magic

    def _expand(self, states: Iterable[_State]) -> tuple[list[_State], list[_State]]:
        """Part the states into those of ``**``, which go deeper, and those of names."""
        anywhere, named = [], []
        for number, at in dict.fromkeys(states):
            place = at
            while self.patterns[number][place] == _ANYWHERE:
                anywhere.append((number, place))
                place += 1
            named.append((number, place))
        return anywhere, list(dict.fromkeys(named))

    def _take(
        self,
        folder: str,
        entry: os.DirEntry[str],
        matched: list[_State],
        deeper: list[_Deeper],
        *,
        linked: bool,
    ) -> None:
        """Take a file, or a link that matches. ``**`` does not go on behind a link."""
        link = entry.is_symlink()
        # Not ``entry.is_dir()``: that raises for a link that leads to itself.
        if link and os.path.isdir(entry.path):  # noqa: PTH112
            following = self._deeper(matched)
            if following and entry.name not in _PRUNED:
                path = f"{folder}{entry.name}"
                if not self.exclude.excludes(path) and self._stays(path, following):
                    deeper.append((entry.name, following, True))
        elif os.path.isfile(entry.path):  # noqa: PTH113
            self._note(f"{folder}{entry.name}", matched, linked=linked or link)

    def _enter(self, path: str, states: list[_State], *, linked: bool) -> None:
        """Go to a path by its name, without reading its folder."""
        if path.rpartition("/")[2] in _STATE or self.exclude.excludes(path):
            return
        full = f"{self.root}/{path}"
        through = linked or os.path.islink(full)  # noqa: PTH114 - strings, for speed
        following = self._deeper(states)
        if following and os.path.isdir(full) and (not through or self._stays(path, following)):  # noqa: PTH112
            self._waiting.append((f"{path}/", following, through))
        if len(following) < len(states) and os.path.isfile(full):  # noqa: PTH113
            self._note(path, states, linked=through)

    def _stays(self, path: str, states: Iterable[_State]) -> bool:
        """Tell whether a link to a folder stays in the project.

        Outside, the folder is not read: only aksci.toml could say what to look for there.
        Where the rest of a glob is a path, it is no match unless that file exists.

        :raises ConfigError: it leads outside, and a glob may find something there.
        """
        try:
            self.inside.check(path)
        except ConfigError as error:
            rests = ["/".join(self.patterns[number][at:]) for number, at in states]
            if any(
                not _MAGIC.isdisjoint(rest) or Path(self.root, path, rest).is_file()
                for rest in rests
            ):
                raise ConfigError(
                    f"aksci.toml: discover.dockerfiles: {error.message}",
                    hint=f'[discover] exclude = ["{path}"] if no image of this project is there.',
                ) from None
            return False
        return True

    def _deeper(self, states: Iterable[_State]) -> list[_State]:
        return [(number, at + 1) for number, at in states if at + 1 < len(self.patterns[number])]

    def _note(self, path: str, states: Iterable[_State], *, linked: bool) -> None:
        ended = {number for number, at in states if at + 1 == len(self.patterns[number])}
        if ended and not self.exclude.excludes(path):
            if linked:
                self.inside.check(path, where="aksci.toml: discover.dockerfiles")
            self.found.setdefault(path, _Found(linked, set())).patterns.update(ended)


def _once(root: str, found: dict[str, _Found]) -> list[str]:
    """Leave out links to what was found already in the same folder; add their patterns to it."""
    real: dict[tuple[str, str], str] = {}
    for path in sorted(found, key=lambda path: (found[path].linked, path)):
        folder, _, name = path.rpartition("/")
        key = (folder, path)
        if found[path].linked:
            top = os.path.realpath(root)
            parent = os.path.realpath(f"{root}/{folder}")
            target = os.path.realpath(f"{parent}/{name}")
            key = (_relative(parent, top), _relative(target, top))
        first = real.setdefault(key, path)
        found[first].patterns |= found[path].patterns
    return sorted(real.values())


def _relative(path: str, top: str) -> str:
    return "" if path == top else path.removeprefix(f"{top}/")


def _parts(glob: str, key: str) -> tuple[str, ...]:
    parts = tuple(part for part in glob.split("/") if part not in {"", "."})
    if not parts or glob.startswith("/") or ".." in parts:
        raise ConfigError(
            f"aksci.toml: discover.{key}: {glob!r} must be a glob of files inside the project, "
            "relative to aksci.toml."
        )
    if len(parts) > _DEEPEST:
        raise ConfigError(f"aksci.toml: discover.{key}: a glob has more than {_DEEPEST} parts.")
    # Twice in a row, ``**`` means the same as once.
    pairs = zip(parts, (*parts[1:], ""), strict=True)
    parts = tuple(part for part, after in pairs if not part == after == _ANYWHERE)
    # "a/**" means what a holds, at any depth.
    return (*parts, "*") if parts[-1] == _ANYWHERE and key != "exclude" else parts


def _path_sequences(parts: Sequence[str]) -> list[list[Item]]:
    if tuple(parts) == (_ANYWHERE,):
        return [[Many(ANY)]]
    if parts[-1] == _ANYWHERE:  # "a/**" excludes a with all that it holds
        parts = parts[:-1]
    items: list[Item] = []
    for part in parts:
        items += [Folders(ANY)] if part == _ANYWHERE else [*_name_items(part), "/"]
    return [items[:-1], [*items, Many(ANY)]]


def _name_items(part: str) -> list[Item]:
    out: list[Item] = []
    at = 0
    while at < len(part):
        char = part[at]
        end = part.find("]", at + 2) if char == "[" else -1
        if end > 0:
            out.append(One(char_class(part[at + 1 : end], negations="!^")))
            at = end
        else:
            out.append(_SIGNS.get(char, char))
        at += 1
    return out
