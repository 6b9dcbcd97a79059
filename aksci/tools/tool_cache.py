"""The per-user cache of tools: each complete or absent, safe under several processes."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.tools.download import disk_full

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aksci.core.reporting import Reporter

__all__ = ["CacheEntry"]

_TEMPORARY = ".tmp-"


@dataclass(frozen=True, kw_only=True)
class CacheEntry:
    """Where one recipe of one tool lives: ``<cache>/tools/<name>/<version>-<recipe>/<name>``."""

    root: Path
    name: str
    key: str
    """The version and the recipe's hash."""

    @property
    def folder(self) -> Path:
        """What all versions of this tool share."""
        return self.root / self.name

    @property
    def binary(self) -> Path:
        """The installed program; it exists only when it is complete."""
        return self.folder / self.key / self.name

    @property
    def part(self) -> Path:
        """Where a release's download grows."""
        return self.folder / f"{self.key}.part"

    @property
    def installed(self) -> bool:
        """Say whether the program is there."""
        return os.access(self.binary, os.X_OK)

    @contextmanager
    def locked(self, reporter: Reporter | None) -> Iterator[None]:
        """Hold this tool's lock; the kernel releases it when the process ends, however it ends.

        :param reporter: is told when this means to wait.
        """
        from filelock import FileLock, Timeout

        with disk_full(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if reporter:
                    reporter.line(f"{self.name}: another process installs it; waiting")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Yield an empty folder beside the final one. Hold the lock: others are left-overs."""
        with disk_full(self.folder):
            for stale in self.folder.glob(f"{_TEMPORARY}*"):
                _remove(stale)
            # In the tool's own folder: a rename works within one file system only.
            folder = tempfile.mkdtemp(prefix=_TEMPORARY, dir=self.folder)
        work = self.folder / folder
        try:
            with disk_full(work):
                yield work
        finally:
            _remove(work)

    def publish(self, built: Path) -> None:
        """Move a finished program to its place: flushed to the disk first, then by one rename."""
        with disk_full(self.binary):
            ready = built.parent / "ready"
            ready.mkdir()
            built.chmod(0o755)
            built.rename(ready / self.name)
            # Content before name: after a power cut, a file that is there is whole.
            _flush(ready / self.name)
            _flush(ready)
            # Incomplete in a way in which we never leave it: somebody has removed the file.
            if self.binary.parent.exists():
                _remove(self.binary.parent)
            ready.rename(self.binary.parent)
            _flush(self.folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
