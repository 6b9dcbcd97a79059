"""Narration for CI systems that fold groups of lines."""

from __future__ import annotations

import contextlib
import re
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, TextIO

from aksci.ci.console import ConsoleReporter
from aksci.ci.task_lines import GroupedTask
from aksci.core.errors import UsageError
from aksci.core.text import one_line, sanitise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aksci.core.reporting import Task

__all__ = ["GroupingReporter", "require_output_name"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}", re.ASCII)


def require_output_name(name: str) -> None:
    """Refuse what would be more than a name in the file or the command that sets an output.

    :raises UsageError: it is no name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{one_line(name, 40)!r} can't be the name of an output.",
            hint="it has letters, digits, '_' and '-', and begins with a letter or '_'.",
        )


class GroupingReporter(ConsoleReporter):
    """Fold what belongs together. Groups don't nest: one that begins ends the one before."""

    END: ClassVar[str]
    """The line that ends a group."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._open = False

    @abstractmethod
    def _heading(self, title: str) -> str:
        """Return the line that begins a group."""

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold what is printed inside, up to the first task that ends."""
        with self._lock:
            self._write(self._heading(title))
            self._open = True
        try:
            yield
        finally:
            with self._lock:
                # A task that ended meanwhile has closed it: another end would close nothing of
                # ours.
                if self._open:
                    self._write(self.END)
                self._open = False

    def task(self, name: str) -> Task:
        """Print what a task tells when it ends, as a group of its own."""
        return GroupedTask(self, name)

    def block(self, title: str, lines: Sequence[str]) -> None:
        """Print a whole group at once, so that nothing comes between its lines."""
        with self._lock:
            # Neither CI system nests groups.
            before = [self.END] if self._open else []
            self._open = False
            inside = [sanitise(line) for line in lines]
            self._write("\n".join([*before, self._heading(title), *inside, self.END]))
