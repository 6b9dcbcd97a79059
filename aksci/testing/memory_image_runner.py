"""What "runs" images to validate them, in memory: ``MemoryImageRunner``."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.images.validate.image_runner import CheckOutcome, HttpAnswer, ImageRunner

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from aksci.images.validate.image_runner import CheckTask

__all__ = ["MemoryImageRunner"]


class MemoryImageRunner(ImageRunner):
    """Reports that each image runs as it must, unless a test lets it fail.

    No process is started: whether an image really runs, only Docker or a cluster can tell. It is
    called from several threads.

    >>> runner = MemoryImageRunner()
    >>> runner.fail("web", exit_code=127, log="app: not found")
    """

    def __init__(self) -> None:
        self.tasks: list[CheckTask] = []
        """What was run, in the order in which it began."""
        self.asked: list[tuple[str, str]] = []
        """Image and path of each request to one that is kept running (``steps.run_image``)."""
        self._failures: dict[str, tuple[int, str]] = {}
        self._answers: dict[tuple[str, str], HttpAnswer] = {}

    def fail(self, image: str, *, exit_code: int = 127, log: str = "") -> None:
        """Let an image's process end with a status, until ``recover``.

        By the rules of validation, a service that starts and then ends by itself passes; 126 and
        127 mean that it could not be executed.
        """
        self._failures[image] = (exit_code, log)

    def answer(self, image: str, path: str, *, status: int = 200, text: str = "") -> None:
        """Set the response of an image that keeps running. Default: 200 with an empty body.

        >>> MemoryImageRunner().answer("web", "/", status=500, text="out of memory")
        """
        self._answers[image, path] = HttpAnswer(status, text)

    def recover(self) -> None:
        """Let everything run, and answer, again."""
        self._failures.clear()
        self._answers.clear()

    def platforms(self) -> tuple[str, ...]:
        """Return nothing: it runs whatever there is."""
        return ()

    def run(self, task: CheckTask, halt: threading.Event) -> CheckOutcome:  # noqa: ARG002 - no wait
        """Return how a container of the image would have ended."""
        self.tasks.append(task)
        if task.image in self._failures:
            code, log = self._failures[task.image]
            return CheckOutcome(engine="memory", started=True, exit_code=code, log=log)
        healthy = task.check.kind == "health"
        status = 0 if task.check.kind == "command" else None
        return CheckOutcome(engine="memory", started=True, exit_code=status, healthy=healthy)

    @contextmanager
    def serve(
        self,
        task: CheckTask,
        port: int,  # noqa: ARG002 - there is none
        halt: threading.Event,  # noqa: ARG002 - no socket, no wait
    ) -> Iterator[_MemoryServed]:
        """Pretend to run an image: it responds to requests until it is stopped."""
        self.tasks.append(task)
        ended = self._failures.get(task.image)
        yield _MemoryServed(
            image=task.image, answers=self._answers, failure=ended, asked=self.asked
        )

    def close(self) -> None:
        """Do nothing: it holds nothing."""


@dataclass(frozen=True, kw_only=True)
class _MemoryServed:
    """An image that is kept running."""

    image: str
    answers: dict[tuple[str, str], HttpAnswer]
    failure: tuple[int, str] | None
    asked: list[tuple[str, str]] = field(repr=False)

    def ask(self, path: str, timeout: float) -> HttpAnswer:  # noqa: ARG002 - it answers at once
        self.asked.append((self.image, path))
        if self.failure:
            return HttpAnswer(0, "connection refused")
        return self.answers.get((self.image, path), HttpAnswer(200, ""))

    def ended(self) -> CheckOutcome | None:
        if self.failure is None:
            return None
        code, log = self.failure
        return CheckOutcome(engine="memory", started=True, exit_code=code, log=log)
