"""A ready queue over threads: each name starts as soon as its own parents have a result.

A result may be there before it counts: ``Unfinished``. Then the name's children go on meanwhile.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aksci.core.errors import AksciError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["QueueOutcome", "Unfinished", "admitted", "run_ready"]

T = TypeVar("T")

_Job = tuple[str, int, "Callable[[], Any]"]
"""A name, a stage, and what to call."""
_WORK, _CHECK, _FINISH = range(3)


@dataclass(frozen=True, kw_only=True)
class QueueOutcome(Generic[T]):
    """What became of each name."""

    done: Mapping[str, T]
    failed: Mapping[str, AksciError]
    blocked: Mapping[str, frozenset[str]]
    """Names that don't count, and the failures among their ancestors that are to blame."""


@dataclass(frozen=True, kw_only=True)
class Unfinished(Generic[T]):
    """A result that is there, and does not count before a check has passed."""

    result: T
    finish: Callable[[], T]
    """Makes it count, once its check has passed and all its parents count; returns what counts."""
    check: Callable[[], object] | None = None
    """Is run at once, beside all other work, and refuses by raising. None: nothing is checked."""
    ahead: bool = True
    """Children begin on ``result`` at once. Otherwise they wait for what ``finish`` returns."""


def admitted(
    outcome: T | Unfinished[T], admit: Callable[[T], object], *, ahead: bool = False
) -> T | Unfinished[T]:
    """Let a result count only once it was admitted, too; what is there already is admitted now.

    :param ahead: children need not wait for that.
    """

    def finish(counts: Callable[[], T]) -> T:
        result = counts()
        admit(result)
        return result

    if isinstance(outcome, Unfinished):
        later = partial(finish, outcome.finish)
        return replace(outcome, finish=later, ahead=outcome.ahead and ahead)
    admit(outcome)
    return outcome


def run_ready(
    parents: Mapping[str, frozenset[str]],
    work: Callable[[str, Mapping[str, T]], T | Unfinished[T]],
    *,
    workers: int,
    stop: Callable[[], None],
    checks: int = 4,
    same: Callable[[T, T], bool] = operator.eq,
    block: Callable[[str, str, AksciError], None] | None = None,
) -> QueueOutcome[T]:
    """Do the work of each name, parents before children, as many at once as there are workers.

    A failure (``AksciError``) stops only its descendants. Anything else, Ctrl-C above all, stops
    everything and is raised again when no worker is left.

    What fails, and what is blocked, does not depend on how fast anything is: a name whose parent
    fails in the end is blocked, even if it has failed itself meanwhile.

    :param work: is handed a name and the results of its parents. It is called once more for a name
        if what counts in the end for a parent is not the same as the result that it was handed.
    :param stop: ends the work that is being done; called more than once.
    :param checks: how many are made at once, apart from the work.
    :param same: tells whether two results of a name are the same to its children.
    :param block: is handed each name that can't count any more, with the name that has failed and
        its error, at once; the name's own work may be going on.
    """
    queue: _Queue[T] = _Queue(parents, work, same, block)
    running: dict[Future[Any], tuple[str, int]] = {}
    finished: SimpleQueue[Future[Any]] = SimpleQueue()  # wait() would look at all, each time
    with ExitStack() as stack:
        # Apart: neither checks nor what waits for its turn to build may keep the others from going
        # on. Threads are only started when there is something for them.
        pools = [
            ThreadPoolExecutor(max_workers=max(1, size), thread_name_prefix=f"aksci-{kind}")
            for kind, size in (("work", workers), ("check", checks), ("finish", workers))
        ]
        for pool in pools:
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        try:
            while (jobs := queue.take()) or running:
                for name, stage, job in jobs:
                    future = pools[stage].submit(job)
                    running[future] = name, stage
                    future.add_done_callback(finished.put)
                # By name: what starts next must not depend on which of two threads was faster.
                for future in sorted(_some(finished), key=running.__getitem__):
                    queue.ended(*running.pop(future), future)
        except BaseException:
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)
            while running and any(not future.done() for future in running):
                stop()  # again and again: a worker may have been about to start something
                wait(running, timeout=0.2)
            raise
    return queue.outcome()


def _some(finished: SimpleQueue[Future[T]]) -> list[Future[T]]:
    """Wait for a future, and return all that have finished."""
    found = [finished.get()]
    while not finished.empty():
        found.append(finished.get())
    return found


class _Queue(Generic[T]):
    """Know what may begin, counts, has failed and is blocked. Used by one thread only."""

    def __init__(
        self,
        parents: Mapping[str, frozenset[str]],
        work: Callable[[str, Mapping[str, T]], T | Unfinished[T]],
        same: Callable[[T, T], bool],
        block: Callable[[str, str, AksciError], None] | None,
    ) -> None:
        self._parents, self._work, self._same, self._block = parents, work, same, block
        self._children: dict[str, list[str]] = defaultdict(list)
        for name, needed in parents.items():
            for parent in needed:
                self._children[parent].append(name)
        # How many parents a name still waits for: to begin, and to count.
        self._to_begin = {name: len(needed) for name, needed in parents.items()}
        self._to_count = dict(self._to_begin)
        self._ready = sorted(name for name, needed in parents.items() if not needed)
        self._jobs: list[_Job] = []
        self._results: dict[str, T] = {}
        self._handed: dict[str, Mapping[str, T]] = {}
        """Results that a name was handed before they counted."""
        self._unfinished: dict[str, Unfinished[T]] = {}
        self._settling: dict[str, T | Unfinished[T] | AksciError] = {}
        """What a name's own work came to, as long as its parents don't count."""
        self._lost: set[str] = set()
        """Names with a failure among their ancestors."""
        self._done: dict[str, T] = {}
        self._failed: dict[str, AksciError] = {}

    def take(self) -> list[_Job]:
        """Take all that can be done now."""
        jobs, self._jobs = self._jobs, []
        ready, self._ready = self._ready, []
        for name in ready:
            if name in self._lost:
                continue
            handed = {parent: self._results[parent] for parent in self._parents[name]}
            if self._to_count[name]:
                self._handed[name] = handed
            jobs.append((name, _WORK, partial(self._work, name, handed)))
        return jobs

    def ended(self, name: str, stage: int, future: Future[Any]) -> None:
        """Note what a job came to; raise again what is not an ``AksciError``."""
        try:
            outcome = future.result()
        except AksciError as error:
            if name not in self._lost:
                self._lose(name, error)
                self._settle(name, error)
            return
        if name in self._lost:
            return
        if stage == _CHECK:
            self._settle(name, self._unfinished.pop(name))
        elif isinstance(outcome, Unfinished):
            self._begun(name, outcome)
        else:
            self._offer(name, outcome)
            self._settle(name, outcome)

    def outcome(self) -> QueueOutcome[T]:
        """Return what became of each name."""
        blocked: dict[str, frozenset[str]] = {}
        for culprit in self._failed:
            for name in self._descendants(culprit):
                blocked[name] = blocked.get(name, frozenset()) | {culprit}
        return QueueOutcome(done=self._done, failed=self._failed, blocked=blocked)

    def _begun(self, name: str, outcome: Unfinished[T]) -> None:
        if outcome.ahead:
            self._offer(name, outcome.result)
        if outcome.check is None:
            self._settle(name, outcome)
            return
        self._unfinished[name] = outcome
        self._jobs.append((name, _CHECK, outcome.check))

    def _offer(self, name: str, result: T) -> None:
        """Let children begin on a result."""
        first = name not in self._results
        self._results[name] = result
        if not first:
            return
        for child in sorted(self._children[name]):
            self._to_begin[child] -= 1
            if not self._to_begin[child]:
                self._ready.append(child)

    def _settle(self, name: str, came: T | Unfinished[T] | AksciError) -> None:
        """Decide on a name whose own work is done, and on those that have waited for it."""
        self._settling[name] = came
        waiting = [name]
        while waiting:  # no recursion: a chain of images may be longer than that goes
            name = waiting.pop()
            if self._to_count[name] or name not in self._settling:
                continue
            came = self._settling.pop(name)
            if isinstance(came, AksciError):
                self._failed[name] = came
            elif self._superseded(name):
                self._ready.append(name)
            elif isinstance(came, Unfinished):
                self._jobs.append((name, _FINISH, came.finish))
            else:
                self._done[name] = came
                for child in self._children[name]:
                    self._to_count[child] -= 1
                    waiting.append(child)

    def _superseded(self, name: str) -> bool:
        """Tell whether a parent's result that counts is another one than was handed out."""
        handed = self._handed.pop(name, {})
        return any(
            result is not self._done[parent] and not self._same(result, self._done[parent])
            for parent, result in handed.items()
        )

    def _lose(self, culprit: str, error: AksciError) -> None:
        for name in self._descendants(culprit):
            if name not in self._lost:
                self._lost.add(name)
                if self._block:
                    self._block(name, culprit, error)

    def _descendants(self, name: str) -> list[str]:
        found: dict[str, None] = {}
        waiting = [name]
        while waiting:
            fresh = [one for one in sorted(self._children[waiting.pop()]) if one not in found]
            found.update(dict.fromkeys(fresh))
            waiting += fresh
        return list(found)
