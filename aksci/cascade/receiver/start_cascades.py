"""Start a cascade for what waits: one at a time, again when it has failed, and not for ever.

It runs in the receiver's own checkout, or in the project's pipeline.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aksci.cascade.dispatch.dispatch_request import DispatchRequest
from aksci.cascade.receiver.webhook_events import shown
from aksci.core.errors import (
    AksciError,
    BuildError,
    ConfigError,
    GateError,
    Interrupted,
    ProcessError,
    RolloutError,
    UsageError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.cascade.dispatch.dispatch_request import Dispatcher
    from aksci.cascade.receiver.event_store import Batch, EventStore
    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter

__all__ = ["CascadeHere", "CascadeThere", "Start", "Worker"]

_FINAL = frozenset(
    one.exit_status
    for one in (UsageError, ConfigError, BuildError, ValidationError, GateError, RolloutError)
)
"""Of a cascade that would end so again, and a rollout would be tried and taken back once more."""


class Start(Protocol):
    """Start a cascade, and wait until it has ended or was handed over."""

    def start(self, batch: Batch) -> None:
        """Do it.

        :raises AksciError: it failed, and may be tried again.
        """


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Work off the store, in the thread that calls ``run``."""

    store: EventStore
    start: Start
    settle: int
    """Seconds without another event before a cascade starts."""
    reporter: Reporter
    _awake: threading.Event = field(default_factory=threading.Event)

    def wake(self) -> None:
        """Say that something new waits; from any thread."""
        self._awake.set()

    def run(self) -> None:
        """Work until an exception ends it, such as ``KeyboardInterrupt``."""
        while True:
            # Before the look: what comes in after it ends the wait.
            self._awake.clear()
            if not self.work_once():
                self._awake.wait(self.store.due_in(self.settle))

    def work_once(self) -> bool:
        """Start what is due; False: nothing is."""
        batch = self.store.take(self.settle)
        if batch is None:
            return False
        try:
            self.start.start(batch)
        # An AksciError, and no failure of the cascade: it does not count as an attempt.
        except Interrupted:
            self.store.release(batch)
            raise
        except AksciError as error:
            self._failed(batch, error)
        # A fault of our own ends the receiver. It counts, or each restart would die of it again.
        except Exception as error:
            self.store.failed(batch, type(error).__name__)
            raise
        except BaseException:
            self.store.release(batch)
            raise
        else:
            self.store.done(batch)
        return True

    def _failed(self, batch: Batch, error: AksciError) -> None:
        status = error.status if isinstance(error, ProcessError) else None
        final = status in _FINAL
        given_up = self.store.failed(batch, shown(error.message), final=final)
        hint = f" {error.hint}" if error.hint else ""
        self.reporter.warning(f"The cascade failed. {error.message}{hint}")
        if given_up:
            self.reporter.error(
                f"Given up: {', '.join(given_up)}. nox -s cascade does it by hand, and the next "
                "scheduled one tries it again."
            )


# Where cascades run

_TIMEOUT = 6 * 3600.0  # seconds; a cascade that hangs must not hold up the next one for ever


@dataclass(frozen=True, kw_only=True)
class CascadeHere:
    """Run ``python -m aksci cascade`` as a program of its own; implements ``Start``."""

    runner: Runner
    python: str
    root: Path
    environment_name: str
    variables: Mapping[str, str] = field(repr=False)
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
        where = self.dispatcher.ask(DispatchRequest(bases=batch.bases, key=batch.key))
        self.reporter.line(f"asked to run: {where}")
