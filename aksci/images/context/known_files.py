"""What files were found to hold, so that those that did not change are not read again.

As git's index does, it trusts a file's number, size, mode and times. Unlike that, it never
trusts a file that changed less than 2 s before it was looked at: its times may not tell the next
change apart (FAT counts in steps of 2 s).
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import struct
from typing import TYPE_CHECKING, Any

from aksci.core.files import write_atomically
from aksci.core.work_folder import WorkFolder, WorkFolderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Facts", "facts_file", "key_of"]

_HEAD = b"aksci facts 1\n"
_SETTLED = 2_000_000_000
"""Nanoseconds after which a file system's clock has surely ticked."""
_PAIR = struct.Struct("32s32s")
_MOST = 200_000
"""Pairs to keep beyond those that this run used."""


class Facts:
    """Remember by the state of some files what was computed from their content.

    Kept in a file of the user's cache: in the project's own folder, the sources could bring one
    that says what a file holds. What time it is, the project's file system tells, so clocks need
    not agree.

    :param state: the project's ``.aksci``; where there is none, nothing is kept.
    :param path: the file; None: nothing is kept.
    """

    def __init__(self, state: Path, path: Path | None) -> None:
        self._path = path
        self._used: dict[bytes, bytes] = {}
        self._fresh: dict[bytes, bytes] = {}
        self._told: dict[bytes, bytes] = {}
        """What was fresh when it was taken as news: it does not last, either."""
        kept = path is not None and state.is_dir()
        self._device, self._now = _look_at_clock(state) if kept else (None, 0)
        self._old = _read(path) if path is not None and kept else {}

    def get(self, key: bytes) -> bytes | None:
        """Return the 32 bytes that are known of a key."""
        if known := self._used.get(key) or self._fresh.get(key) or self._told.get(key):
            return known
        if known := self._old.get(key):
            self._used[key] = known
        return known

    def put(self, key: bytes, value: bytes, files: Sequence[os.stat_result]) -> None:
        """Remember 32 bytes of a key; beyond this run only if the files had long settled.

        :param files: their states before their content was read.
        """
        lasting = all(
            # Another file system has a clock of its own, which nobody has looked at.
            one.st_dev == self._device
            and one.st_mtime_ns < self._now
            and one.st_ctime_ns < self._now
            for one in files
        )
        (self._used if lasting else self._fresh)[key] = value

    def take_news(self) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """Return what was asked or put since the last call, for ``learn`` in another process."""
        news = (self._used, self._fresh)
        self._old.update(self._used)
        self._told.update(self._fresh)
        self._used, self._fresh = {}, {}
        return news

    def learn(self, news: tuple[dict[bytes, bytes], dict[bytes, bytes]]) -> None:
        """Take over what another process found."""
        self._used |= news[0]
        self._fresh |= news[1]

    def save(self) -> None:
        """Write down what lasts; without a state folder, or where it can't be written, nothing."""
        if self._path is None or self._device is None or self._used.keys() <= self._old.keys():
            return
        # What this run did not ask for is kept while it is few: the next one may ask.
        crowded = len(self._old) > len(self._used) + _MOST
        kept = self._used if crowded else self._old | self._used
        body = b"".join(_PAIR.pack(key, value) for key, value in kept.items())
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, _HEAD + hashlib.sha256(body).digest() + body)


def key_of(rows: Any) -> bytes:
    """Return the key of plain values (numbers and text in tuples and lists): 32 bytes."""
    # Version 2: later ones mark what is used twice, so that equal rows may give other bytes.
    return hashlib.blake2b(marshal.dumps(rows, 2), digest_size=32).digest()


def facts_file(cache: Path, root: Path) -> Path:
    """Return where a user's cache keeps what is known of a project's files."""
    return cache / "files" / hashlib.sha256(os.fsencode(root)).hexdigest()[:32]


def _look_at_clock(folder: Path) -> tuple[int | None, int]:
    """Return the device that a folder is on, and the time there less 2 s, in nanoseconds."""
    try:
        state = WorkFolder(folder).mark("cache/now")
    except (OSError, WorkFolderError):
        return None, 0
    return state.st_dev, state.st_mtime_ns - _SETTLED


def _read(path: Path) -> dict[bytes, bytes]:
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    head = len(_HEAD)
    body = data[head + 32 :]
    # As a whole: a pair that something else has changed would be a wrong hash that nobody sees.
    sound = data.startswith(_HEAD) and data[head : head + 32] == hashlib.sha256(body).digest()
    return dict(_PAIR.iter_unpack(body)) if sound else {}
