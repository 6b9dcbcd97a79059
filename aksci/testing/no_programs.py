"""A runner that refuses to start programs: ``NoPrograms``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from aksci.core.errors import ToolError
from aksci.core.process import Runner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["NoPrograms"]


class NoPrograms(Runner):
    """Refuses to start any program, and names the one that was to be started.

    >>> NoPrograms().run(["helm", "version"])
    Traceback (most recent call last):
    aksci.core.errors.ToolError: A test starts no programs, and this needs 'helm'...
    """

    def __init__(self) -> None:
        super().__init__(environment={}, log=lambda _line: None)

    def run(self, argv: Sequence[str | Path], **_: Any) -> NoReturn:
        """Refuse."""
        raise ToolError(
            f"A test starts no programs, and this needs {str(argv[0])!r}.",
            hint="hand in a runner that does: open_environment(…, runner=Runner(…)).",
        )

    def ask(self, argv: Sequence[str | Path], **_: Any) -> NoReturn:
        """Refuse."""
        self.run(argv)
