"""Cache folders for Trivy, one a running scan: its cache serves one process at a time."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import FileLock

__all__ = ["take_slot"]

_PAUSE = 0.05  # seconds


@contextmanager
def take_slot(cache: Path, slots: int, database: Path) -> Iterator[Path]:
    """Hold the first free one of a few cache folders, for as long as one scan takes.

    Threads and processes wait for one another; a killed process lets go of its folder.

    :param database: Trivy's cache folder with the ``db`` and ``java-db`` that the scan shall use.
    """
    folder, lock = _acquire(cache, slots)
    try:
        for name in ("db", "java-db"):
            _link(folder / name, database / name)
        yield folder
    finally:
        lock.release()


def _acquire(cache: Path, slots: int) -> tuple[Path, FileLock]:
    from filelock import FileLock, Timeout

    folders = [cache / f"slot-{number}" for number in range(max(1, slots))]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    while True:
        for folder in folders:
            lock = FileLock(folder / "lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            return folder, lock
        time.sleep(_PAUSE)


def _link(link: Path, target: Path) -> None:
    """Make a cache use a database; its lock is held."""
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target, target_is_directory=True)
