"""Where cascades run: in the receiver's own checkout, or in the project's pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.cascade.dispatch.ask import Ask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.cascade.dispatch.ask import Dispatcher
    from aksci.cascade.receiver.event_store import Batch
    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter

__all__ = ["CascadeHere", "CascadeThere"]

_TIMEOUT = 6 * 3600.0  # seconds; a cascade that hangs must not hold up the next one for ever


@dataclass(frozen=True, kw_only=True)
class CascadeHere:
    """Run ``python -m aksci cascade`` as a program of its own; implements ``Start``."""

    runner: Runner
    python: str
    root: Path
    environment_name: str
    variables: Mapping[str, str]
    """Its whole environment: without the secret of the webhooks, which is none of its business."""
    reporter: Reporter

    def start(self, batch: Batch) -> None:
        """Run a cascade to its end."""
        bases = " ".join(f"{reference}@{digest}" for reference, digest in batch.bases)
        self.runner.run(
            [
                self.python,
                "-m",
                "aksci",
                "-C",
                self.root,
                "cascade",
                "--env",
                self.environment_name,
                f"--base={bases}",
            ],
            env=self.variables,
            only_env=True,
            timeout=_TIMEOUT,
            on_line=self.reporter.line,
        )


@dataclass(frozen=True, kw_only=True)
class CascadeThere:
    """Ask the project's pipeline to run; implements ``Start``.

    A request whose answer was lost is sent again with the same key: a cascade that finds nothing
    to do ends at once, while one that never ran leaves the project on an old base.
    """

    dispatcher: Dispatcher
    reporter: Reporter

    def start(self, batch: Batch) -> None:
        """Ask for a run."""
        where = self.dispatcher.ask(Ask(bases=batch.bases, key=batch.key))
        self.reporter.line(f"asked to run: {where}")
