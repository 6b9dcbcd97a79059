"""A second process that takes over part of some work: Python's threads would not run at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Helper", "can_help"]

_PIPE = 1 << 20
"""Bytes of results that may wait to be read; Linux lets everybody have so many."""


def can_help() -> bool:
    """Tell whether a second process is possible and of use.

    A fork with several threads may copy a lock that nobody releases; on macOS, any may fail.
    """
    linux = sys.platform == "linux"
    return linux and threading.active_count() == 1 and len(os.sched_getaffinity(0)) > 1


class Helper:
    """A fork of this process that does ``work`` on each item, in order.

    Whatever happens to it, nothing is lost: what it did not do is the caller's to do.
    """

    def __init__(self, items: Sequence[Any], work: Callable[[Any], Any]) -> None:
        reading, writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:  # pragma: no cover - another process
            _help(items, work, writing)
        with contextlib.suppress(OSError):  # more than is allowed: it waits for us now and then
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
        os.close(writing)
        self._results = os.fdopen(reading, "rb")

    def result(self) -> Any:
        """Wait for the next result; None when there is none any more."""
        with contextlib.suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            return pickle.load(self._results)  # noqa: S301 - from a fork of ourselves
        return None

    def end(self) -> None:
        """End the process, whatever it does."""
        if not self._results.closed:
            self._results.close()
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)


def _help(
    items: Sequence[Any], work: Callable[[Any], Any], writing: int
) -> None:  # pragma: no cover
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        with os.fdopen(writing, "wb", buffering=0) as stream:
            for item in items:
                stream.write(pickle.dumps(work(item)))
    finally:
        os._exit(0)  # nothing of the caller's is flushed, told or cleaned up here
