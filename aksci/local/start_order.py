"""Work that depends on other work, each as early as it can: ``StartTask``, ``run_tasks``."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

__all__ = ["StartTask", "run_tasks"]


class _SkippedError(Exception):
    """A task did not start, because another one had failed."""


@dataclass(frozen=True, kw_only=True)
class StartTask:
    """A function of the results of the tasks that it needs."""

    action: Callable[[Mapping[str, Any]], Any]
    needs: tuple[str, ...] = ()


def run_tasks(
    tasks: Mapping[str, StartTask], *, stopping: threading.Event, on_interrupt: Callable[[], None]
) -> dict[str, Any]:
    """Run tasks in parallel, each once its needs are done, and return their results.

    The mapping is in an order in which needs come first. After a failure nothing new starts; what
    runs is waited for, and then the first failure is raised.

    :param stopping: set at the first failure, so that tasks that only wait can give up.
    :param on_interrupt: called when Ctrl-C arrives, to end what the tasks wait for.
    """
    futures: dict[str, Future[Any]] = {}
    failures: list[BaseException] = []

    def perform(task: StartTask) -> Any:
        # Waits for them.
        done = [futures[name].exception() for name in task.needs]
        if failures or any(done):
            raise _SkippedError
        try:
            return task.action({name: futures[name].result() for name in task.needs})
        except BaseException as error:
            failures.append(error)
            stopping.set()
            raise

    # One thread a task, so that waiting for a need never keeps that need from running.
    with ThreadPoolExecutor(max_workers=max(1, len(tasks)), thread_name_prefix="up") as pool:
        try:
            for name, task in tasks.items():
                futures[name] = pool.submit(perform, task)
            wait(futures.values())
        except BaseException as error:  # Ctrl-C in this thread: let the others see it
            failures.append(error)
            stopping.set()
            on_interrupt()
            raise
    if failures:
        # The first in time: those that follow are mostly consequences of it.
        raise failures[0]
    return {name: future.result() for name, future in futures.items()}
