"""What "runs" images to validate them, in memory: ``MemoryImageRunner``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.images.validate.image_runner import CheckOutcome, ImageRunner

if TYPE_CHECKING:
    import threading

    from aksci.images.validate.image_runner import CheckTask

__all__ = ["MemoryImageRunner"]


class MemoryImageRunner(ImageRunner):
    """Says of each image that it runs as it must, unless it was told to fail.

    No process is started: whether an image really runs, only Docker or a cluster can tell. It is
    called from several threads.

    >>> runner = MemoryImageRunner()
    >>> runner.fail("web", exit_code=127, log="app: not found")
    """

    def __init__(self) -> None:
        self.tasks: list[CheckTask] = []
        """What was run, in the order in which it began."""
        self._failures: dict[str, tuple[int, str]] = {}

    def fail(self, image: str, *, exit_code: int = 127, log: str = "") -> None:
        """Let an image's process end with a status, until ``recover``.

        By the rules of validation, a service that starts and then ends by itself passes; 126 and
        127 mean that it could not be executed.
        """
        self._failures[image] = (exit_code, log)

    def recover(self) -> None:
        """Let everything run again."""
        self._failures.clear()

    def platforms(self) -> tuple[str, ...]:
        """Return nothing: it runs whatever there is."""
        return ()

    def run(self, task: CheckTask, halt: threading.Event) -> CheckOutcome:  # noqa: ARG002 - no wait
        """Tell how a container of the image would have ended."""
        self.tasks.append(task)
        if task.image in self._failures:
            code, log = self._failures[task.image]
            return CheckOutcome(engine="memory", started=True, exit_code=code, log=log)
        healthy = task.check.kind == "health"
        status = 0 if task.check.kind == "command" else None
        return CheckOutcome(engine="memory", started=True, exit_code=status, healthy=healthy)

    def close(self) -> None:
        """Do nothing: it holds nothing."""
