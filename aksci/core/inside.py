"""Find and read what a project's files name: links are followed, and never lead outside.

A pull request may bring any link. The text of a path does not show where it leads: ``web`` may be a
link to a runner's home folder, whose files would then come into an image, or into a message.

The work folder, where we write, follows no link at all: ``aksci.core.work_folder``.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from aksci.core.errors import ConfigError
from aksci.core.git import repository_of

__all__ = ["Inside", "place_named", "read_file"]

_LARGEST = 16 << 20
"""Bytes: what people write by hand is smaller."""
_CHUNK = 1 << 16
_SHOWN = 200  # characters
_LINKED = "write the file itself in place of a symbolic link, or leave it out of the project."
_NAMED = "remove the symbolic link, or name the place that it leads to."


class Inside:
    """Paths below one folder: the project's, or that of a chart in it.

    Paths are relative to it, or absolute. Folders that are no links are looked at once: there may
    be thousands of paths. So use one object for one pass over the sources, and not for longer.

    :param name: what messages call the folder.
    :param hint: what to do about a path that leads outside.
    """

    def __init__(self, root: Path, *, name: str = "the project", hint: str = _LINKED) -> None:
        self._name = name
        self._hint = hint
        self.top = os.path.realpath(root)
        self._folders = {""}
        self._files: set[str] = set()
        """What is there and behind no link; each with a slash before it."""
        self._found: dict[str, str] = {}

    def find(self, path: str | Path, *, where: str = "") -> Path:
        """Return where a path leads; there need be nothing.

        :param where: file and key that name it, for messages.
        :raises ConfigError: it leads outside, or no path can be called so.
        """
        return Path(self._find(os.fspath(path), where))

    def check(self, path: str | Path, *, where: str = "") -> None:
        """Refuse a path that leads outside.

        :raises ConfigError: as ``find``.
        """
        self._find(os.fspath(path), where)

    def has_file(self, path: str | Path, *, where: str = "") -> bool:
        """Tell whether a regular file is there.

        :raises ConfigError: as ``find``.
        """
        found = self._find(os.fspath(path), where)
        return found[len(self.top) :] in self._files or os.path.isfile(found)  # noqa: PTH113

    def has_folder(self, path: str | Path, *, where: str = "") -> bool:
        """Tell whether a folder is there.

        :raises ConfigError: as ``find``.
        """
        found = self._find(os.fspath(path), where)
        return found[len(self.top) :] in self._folders or os.path.isdir(found)  # noqa: PTH112

    def read(self, path: str | Path, *, where: str = "", largest: int = _LARGEST) -> bytes:
        """Return the content of a regular file.

        :param largest: bytes that it may have.
        :raises FileNotFoundError: there is none.
        :raises ConfigError: as ``find``; or it is a folder, a pipe or a device, too large, or can't
            be read.
        """
        text = os.fspath(path)
        return read_file(self._find(text, where), shown=_shown(text, where), largest=largest)

    def _find(self, path: str, where: str) -> str:
        if (known := self._found.get(path)) is not None:
            return known
        try:
            found = self._plainly(path) or os.path.realpath(os.path.join(self.top, path))  # noqa: PTH118
        except (OSError, ValueError) as error:
            raise _unreadable(_shown(path, where), error) from None
        if not _is_below(found, self.top):
            raise ConfigError(
                f"{_shown(path, where)} leads out of {self._name}, {self.top}.", hint=self._hint
            )
        self._found[path] = found
        return found

    def _plainly(self, path: str) -> str | None:
        """Return where a path leads if nothing on the way is a link; None: a link is."""
        parts = [] if path == "." else path.split("/")
        if path.startswith("/") or not {"", ".", ".."}.isdisjoint(parts):
            return None
        place = ""
        for part in parts:
            place += f"/{part}"
            if place in self._folders:
                continue
            try:
                mode = os.lstat(self.top + place).st_mode
            except (FileNotFoundError, NotADirectoryError):
                break
            if stat.S_ISLNK(mode):
                return None
            if stat.S_ISDIR(mode):
                self._folders.add(place)
            elif stat.S_ISREG(mode):
                self._files.add(place)
        return f"{self.top}/{path}" if parts else self.top


def read_file(path: Path | str, *, shown: str, largest: int = _LARGEST) -> bytes:
    """Return the content of a regular file: a pipe would keep us waiting, and a device has no end.

    :param shown: what messages call it.
    :param largest: bytes that it may have.
    :raises FileNotFoundError: there is none.
    :raises ConfigError: it is no file, too large, or can't be read.
    """
    try:
        # Without O_NONBLOCK, open(2) waits for the other end of a pipe.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                raise ConfigError(f"{shown} is no file.")
            content = _read(handle, state.st_size, largest)
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise _unreadable(shown, error) from None
    if len(content) > largest:
        raise ConfigError(f"{shown} is larger than {largest >> 20} MiB.")
    return content


def _read(handle: int, size: int, largest: int) -> bytes:
    """Read a file, and at most one byte more than it may have."""
    content = os.read(handle, min(size, largest) + 1)
    while len(content) <= largest and (more := os.read(handle, _CHUNK)):  # it grows, or in /proc
        content += more
    return content


def place_named(root: Path, path: str | Path, *, where: str) -> Path:
    """Return where a path leads that aksci.toml or the command line names, and so may lie anywhere.

    What is written as a path in the project, or in the repository around it, stays there: a link on
    the way may come from a pull request. Elsewhere, links are the machine's own.

    :param path: relative to the project, or absolute; ``~`` is the caller's to expand.
    :param where: what names it, for messages.
    :raises ConfigError: a link leads out of what it is written to be in.
    """
    top = os.path.realpath(root)
    try:
        written = os.path.normpath(os.path.join(top, path))  # noqa: PTH118 - text, not yet a path
        around = str(repository_of(Path(top)))
        for folder, name in ((top, "the project"), (around, "the repository")):
            if _is_below(written, folder):
                return Inside(Path(folder), name=name, hint=_NAMED).find(written, where=where)
        return Path(written)  # links as they are: those of a mounted secret change at any time
    except (OSError, ValueError) as error:
        raise _unreadable(_shown(os.fspath(path), where), error) from None


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _unreadable(shown: str, error: OSError | ValueError) -> ConfigError:
    # ValueError: a NUL, or half of a surrogate pair. Its words would quote the path once more.
    why = error.strerror if isinstance(error, OSError) else "no file can be called so"
    return ConfigError(f"{shown} can't be read: {why}.")


def _shown(path: str, where: str) -> str:
    # repr: of a name that no file can have, each character is to be seen.
    word = path if path.isprintable() else repr(path)
    word = word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…"
    return f"{where}: {word}" if where else word
