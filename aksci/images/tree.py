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
    from pathlib import Path

__all__ = ["TreeHasher"]


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

        Each entry counts with relative path, kind, executable bit, and content or link target;
        times and owners do not, as BuildKit's cache ignores them too.

        :raises ConfigError: a file can't be read.
        """
        ignore = self._ignore(context, dockerfile)
        key = (context, ignore)
        with self._lock:
            known = self._trees.get(key)
        if known is None:
            try:
                known = self._walk(self._root / context, ignore)
            except OSError as error:
                raise ConfigError(
                    f"{error.filename} in the build context {context} can't be read: "
                    f"{error.strerror}.",
                    hint="name it in .dockerignore if the build does not need it.",
                ) from None
            with self._lock:
                self._trees[key] = known
        return known

    def _ignore(self, context: str, dockerfile: str) -> Ignore:
        """Read the ignore file: the Dockerfile's own beats that of the context."""
        own = self._root / f"{dockerfile}.dockerignore"
        for path in (own, self._root / context / ".dockerignore"):
            if path.is_file():
                return parse_ignore(path.read_text(encoding="utf-8", errors="surrogateescape"))
        return Ignore()

    def _walk(self, base: Path, ignore: Ignore) -> str:
        total = hashlib.sha256()
        waiting = [("", str(base))]
        entries: list[tuple[str, bytes]] = []
        while waiting:
            prefix, folder = waiting.pop()
            with os.scandir(folder) as found:
                for entry in found:
                    path = f"{prefix}{entry.name}"
                    ignored = ignore.ignores(path)
                    if entry.is_dir(follow_symlinks=False):
                        if not (ignored and ignore.prunes):
                            waiting.append((f"{path}/", entry.path))
                        # A folder that is ignored exists only through what is taken back into it.
                        kind = b"" if ignored else b"d"
                    else:
                        kind = b"" if ignored else self._describe(entry)
                    if kind:
                        entries.append((path, kind))
        for path, description in sorted(entries):
            name = os.fsencode(path)
            total.update(b"%d %s %s\n" % (len(name), name, description))
        return total.hexdigest()

    def _describe(self, entry: os.DirEntry[str]) -> bytes:
        """Describe anything but a folder: its kind and what it holds."""
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(entry.path)  # noqa: PTH115 - Path would normalise it
            return b"l " + os.fsencode(target)
        if stat.S_ISREG(status.st_mode):
            kind = b"x" if status.st_mode & stat.S_IXUSR else b"f"
            return kind + b" " + self._content(entry.path).encode()
        return b""  # BuildKit sends no sockets; pipes and devices can't be copied

    def _content(self, path: str) -> str:
        with self._lock:
            known = self._files.get(path)
        if known is None:
            with open(path, "rb") as file:  # noqa: PTH123 - Path.open is twice as slow, per file
                known = hashlib.file_digest(file, "sha256").hexdigest()
            with self._lock:
                self._files[path] = known
        return known
