"""A folder for each container that runs without Kubernetes, held by the process that runs it.

Who holds it has a lock (``flock``) on a file in it, which the kernel releases however the process
ends. So what a killed run has left is known at once, and nobody takes what another run still uses.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["abandoned_folders", "hold_folder"]

_LOCK = "lock"


@contextlib.contextmanager
def hold_folder(parent: Path) -> Iterator[Path]:
    """Make a folder with a name of its own, and hold it until the block ends; it is not removed."""
    # With our process's number, for people who look. Names in control groups and of snapshots are
    # made from it, so the random part is what tells two apart.
    folder = parent / f"aksci-{os.getpid()}-{uuid.uuid4().hex[:12]}"
    with _alone(parent):
        folder.mkdir(mode=0o700)
        handle = _take(folder)
    try:
        yield folder
    finally:
        if handle is not None:
            os.close(handle)


@contextlib.contextmanager
def abandoned_folders(parent: Path) -> Iterator[list[Path]]:
    """Hold, until the block ends, the folders that no living process holds."""
    held: dict[Path, int] = {}
    with _alone(parent):
        for folder in sorted(parent.glob("aksci-*")):
            handle = _take(folder)
            if handle is not None:
                held[folder] = handle
    try:
        yield list(held)
    finally:
        for handle in held.values():
            os.close(handle)


def _take(folder: Path) -> int | None:
    """Lock a folder, unless another process has; None: it has, or the folder is gone."""
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


@contextlib.contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """Keep others from looking between the making of a folder and its lock."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(parent / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
