"""Work in threads: several things at once (``gather``), again after a failure (``retry``)."""

from __future__ import annotations

import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

__all__ = ["backoff", "gather", "import_first", "retry"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# Reentrant: a module that is imported under it may call import_first itself.
_IMPORTING = threading.RLock()
_GRACE = 2.0  # seconds


def import_first(*modules: str) -> None:
    """Import modules while no other thread does; call it before threads start, or in one of them.

    The modules of azure.core, docker, requests, urllib3 and cryptography import each other. Two
    threads that enter such a circle at two places would wait for each other for ever, so Python
    lets one of them have the half of a module: ``ImportError: … partially initialized module``.
    """
    with _IMPORTING:
        for module in modules:
            import_module(module)


def gather(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    limit: int,
    name: str,
    imports: Iterable[str] = (),
) -> list[Result]:
    """Do some work for each item, several at once, and return the results in the items' order.

    After a failure nothing more begins; what runs is waited for, and of the failures the one of the
    earliest item is raised. On Ctrl-C what runs has 2 seconds to end.

    :param limit: threads at most.
    :param name: what the threads are called.
    :param imports: the modules that the work imports, if other modules than ours.
    """
    from concurrent.futures import ThreadPoolExecutor, wait

    # Here, and not in the work: the first thing that all threads would do is import it at once.
    import_first(*imports)
    todo = list(items)
    # No pool for one item, nor where one at a time is asked for: Ctrl-C then arrives in the work
    # itself.
    if len(todo) < 2 or limit < 2:  # noqa: PLR2004 - nothing to do at once
        return [work(item) for item in todo]
    task = _Task(work, todo)
    # No ``with``: leaving it waits for every thread, even after Ctrl-C.
    pool = ThreadPoolExecutor(min(limit, len(todo)), thread_name_prefix=name)
    futures: list[Future[None]] = []
    try:
        # As many as there are threads, and not one an item: Ctrl-C in the middle of handing out
        # thousands left them to begin, and at times found a lock of the pool half released.
        futures.extend(pool.submit(task.run) for _ in range(min(limit, len(todo))))
        wait(futures)
    except BaseException:  # Ctrl-C: it has ended our programs, and so most of what runs
        task.stopped.set()
        pool.shutdown(wait=False)
        wait(futures, timeout=_GRACE)
        raise
    # No thread may still be at work, and print, when a failure is told.
    pool.shutdown(wait=True)
    # In the items' order: whichever thread was the fastest, a repeated run tells the same failure.
    if task.errors:
        raise task.errors[min(task.errors)]
    return [task.results[index] for index in range(len(todo))]


class _Task(Generic[Item, Result]):
    """Items that several threads take from one list, in its order, until one of them fails."""

    def __init__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self._work = work
        self._items = items
        self._next = iter(range(len(items)))
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self.results: dict[int, Result] = {}
        self.errors: dict[int, BaseException] = {}

    def run(self) -> None:
        """Do the work for items that nobody has taken."""
        while not self.stopped.is_set():
            with self._lock:
                index = next(self._next, None)
            if index is None:
                return
            try:
                self.results[index] = self._work(self._items[index])
            except BaseException as error:  # noqa: BLE001 - the caller raises it
                self.errors[index] = error
                self.stopped.set()


def backoff(first: float, *, attempts: int) -> Iterator[float]:
    """Yield the seconds between so many attempts, each wait twice as long as the one before."""
    return (first * 2.0**number for number in range(attempts - 1))


def retry(
    work: Callable[[], Result],
    *,
    again: Callable[[Exception], bool],
    waits: Iterable[float],
    longest: float = 60.0,
    sleep: Callable[[float], object] = time.sleep,
) -> Result:
    """Do some work until it succeeds, and return its result.

    :param again: whether an error may have passed by the next attempt; another is raised at once.
    :param waits: seconds before each further attempt. Where they end, the last error is raised.
        An error whose attribute ``retry_after`` is a number asks for that many seconds instead.
    :param longest: seconds; an error that asks for more is raised.
    """
    for wait_for in waits:
        try:
            return work()
        except Exception as error:
            # By attribute, since this room knows no registry. "0" would ask again at once, so it
            # does not count: a busy server gets our own wait.
            pause = getattr(error, "retry_after", None) or wait_for
            if not again(error) or pause > longest:
                raise
        sleep(pause)
    # The last attempt is outside of the loop: whatever it raises is the caller's.
    return work()
