"""What a build context holds, as one hash: what BuildKit would see, and nothing else."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from typing import TYPE_CHECKING

from aksci.errors import ConfigError
from aksci.images.ignore import Ignore, parse_ignore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["TreeHasher"]

_STATE = ".aksci"
_MODE = 0o7757
"""What counts of a mode, as COPY takes it over: all but the group's write permission, in which the
umasks of developers (002) and CI (022) differ."""


class TreeHasher:
    """Hash build contexts; each file is read once a run, however many images share it.

    Safe to use from several threads.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._files: dict[str, str] = {}
        self._trees: dict[tuple[str, Ignore], str] = {}

    def hash(self, context: str, dockerfile: str) -> str:
        """Return the hash of a context after its .dockerignore.

        Each entry counts with relative path, kind, mode (but for the group's write permission), and
        content or link target; times and owners do not, as BuildKit's cache ignores them too.

        :raises ConfigError: a file can't be read, or aksci's own state would be sent.
        """
        ignore_file = self._ignore_file(context, dockerfile)
        ignore = _read_ignore(ignore_file)
        key = (context, ignore)
        with self._lock:
            known = self._trees.get(key)
        if known is None:
            try:
                known = self._walk(self._root / context, ignore, ignore_file)
            except OSError as error:
                raise ConfigError(
                    f"{error.filename} in the build context {context} can't be read: "
                    f"{error.strerror}.",
                    hint="name it in .dockerignore if the build does not need it.",
                ) from None
            with self._lock:
                self._trees[key] = known
        return known

    def _ignore_file(self, context: str, dockerfile: str) -> Path:
        """Return the ignore file that counts: the Dockerfile's own beats that of the context."""
        own = self._root / f"{dockerfile}.dockerignore"
        return own if own.is_file() else self._root / context / ".dockerignore"

    def _walk(self, base: Path, ignore: Ignore, ignore_file: Path) -> str:
        waiting = [("", str(base))]
        entries: dict[str, bytes] = {}
        doubtful: dict[str, bytes] = {}
        while waiting:
            prefix, folder = waiting.pop()
            with os.scandir(folder) as found:
                for entry in found:
                    path = f"{prefix}{entry.name}"
                    ignored = ignore.ignores(path)
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_folder and not (ignored and ignore.prunes):
                        waiting.append((f"{path}/", entry.path))
                    if not ignored:
                        _refuse_state(path, ignore_file)
                        entries[path] = self._describe(entry)
                    elif is_folder and not ignore.prunes:
                        doubtful[path] = self._describe(entry)
        _take_back_folders(entries, doubtful)
        total = hashlib.sha256()
        for path, description in sorted(entries.items()):
            if description:
                name = os.fsencode(path)
                total.update(b"%d %s %s\n" % (len(name), name, description))
        return total.hexdigest()

    def _describe(self, entry: os.DirEntry[str]) -> bytes:
        """Describe an entry by kind, mode and what it holds; empty: it is not sent."""
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            target = os.readlink(entry.path)  # noqa: PTH115 - Path would normalise it
            return b"l " + os.fsencode(target)
        if stat.S_ISDIR(mode):
            return b"d %o" % (mode & _MODE)
        if stat.S_ISREG(mode):
            return b"f %o %s" % (mode & _MODE, self._content(entry.path).encode())
        return b""  # sockets are not sent; pipes and devices can't be copied

    def _content(self, path: str) -> str:
        with self._lock:
            known = self._files.get(path)
        if known is None:
            with open(path, "rb") as file:  # noqa: PTH123 - Path.open is twice as slow, per file
                known = hashlib.file_digest(file, "sha256").hexdigest()
            with self._lock:
                self._files[path] = known
        return known


def _take_back_folders(entries: dict[str, bytes], ignored: Mapping[str, bytes]) -> None:
    """Add the ignored folders that exist through what an ignore file takes back into them."""
    for path in list(entries):
        folder = path.rpartition("/")[0]
        while folder and folder not in entries:
            entries[folder] = ignored[folder]
            folder = folder.rpartition("/")[0]


def _refuse_state(path: str, ignore_file: Path) -> None:
    """Refuse to send aksci's own state: it changes with each run, and must be in no image."""
    if _STATE not in path:
        return
    parts = path.split("/")
    if _STATE in parts:
        state = "/".join(parts[: parts.index(_STATE) + 1])
        raise ConfigError(
            f"The build context would hold {state}, where aksci keeps what changes with each run.",
            hint=f"printf '\\n{state}\\n' >> {ignore_file}",
        )


def _read_ignore(path: Path) -> Ignore:
    if not path.is_file():
        return Ignore()
    return parse_ignore(path.read_text(encoding="utf-8", errors="surrogateescape"))
