"""A ready queue over threads: each name starts as soon as its own parents are done."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from aksci.core.errors import AksciError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["QueueOutcome", "run_ready"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class QueueOutcome(Generic[T]):
    """What became of each name."""

    done: Mapping[str, T]
    failed: Mapping[str, AksciError]
    blocked: Mapping[str, frozenset[str]]
    """Names that were not tried, and which failures are to blame."""


def run_ready(
    parents: Mapping[str, frozenset[str]],
    work: Callable[[str, Mapping[str, T]], T],
    *,
    workers: int,
    stop: Callable[[], None],
) -> QueueOutcome[T]:
    """Do the work of each name, parents before children, as many at once as there are workers.

    A failure (``AksciError``) stops only its descendants. Anything else, Ctrl-C above all, stops
    everything and is raised again when no worker is left.

    :param work: is handed a name and the results of its parents.
    :param stop: ends the work that is being done; called more than once.
    """
    queue: _Queue[T] = _Queue(parents)
    running: dict[Future[T], str] = {}
    finished: SimpleQueue[Future[T]] = SimpleQueue()  # wait() would look at all that run, each time
    executor = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="aksci")
    try:
        while queue.ready or running:
            for name in queue.take():
                results = {parent: queue.done[parent] for parent in parents[name]}
                future = executor.submit(work, name, results)
                running[future] = name
                future.add_done_callback(finished.put)
            # By name: what starts next must not depend on which of two threads was faster.
            for future in sorted(_some(finished), key=running.__getitem__):
                queue.finish(running.pop(future), future)
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        while running and any(not future.done() for future in running):
            stop()  # again and again: a worker may have been about to start something
            wait(running, timeout=0.2)
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
    return QueueOutcome(done=queue.done, failed=queue.failed, blocked=queue.blocked)


def _some(finished: SimpleQueue[Future[T]]) -> list[Future[T]]:
    """Wait for a future, and return all that have finished."""
    found = [finished.get()]
    while not finished.empty():
        found.append(finished.get())
    return found


class _Queue(Generic[T]):
    """Know what is ready, done, failed and blocked. Used by one thread only."""

    def __init__(self, parents: Mapping[str, frozenset[str]]) -> None:
        self._waiting = {name: set(needed) for name, needed in parents.items()}
        self._children: dict[str, list[str]] = defaultdict(list)
        for name, needed in parents.items():
            for parent in needed:
                self._children[parent].append(name)
        self.ready = sorted(name for name, needed in self._waiting.items() if not needed)
        self.done: dict[str, T] = {}
        self.failed: dict[str, AksciError] = {}
        self.blocked: dict[str, frozenset[str]] = {}

    def take(self) -> list[str]:
        """Take all that is ready."""
        taken, self.ready = self.ready, []
        return taken

    def finish(self, name: str, future: Future[T]) -> None:
        """Note what became of a name; raise again what is not an ``AksciError``."""
        try:
            self.done[name] = future.result()
        except AksciError as error:
            self.failed[name] = error
            self._block(name)
            return
        for child in sorted(self._children[name]):
            self._waiting[child].discard(name)
            if not self._waiting[child] and child not in self.blocked:
                self.ready.append(child)

    def _block(self, culprit: str) -> None:
        waiting = [culprit]
        while waiting:  # no recursion: a chain of images may be longer than that goes
            for child in self._children[waiting.pop()]:
                blame = self.blocked.get(child, frozenset())
                if culprit not in blame:  # a diamond leads to a descendant more than once
                    self.blocked[child] = blame | {culprit}
                    waiting.append(child)
