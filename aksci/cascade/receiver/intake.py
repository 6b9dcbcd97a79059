"""From the body of a request to what waits: checked, filtered, stored; and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from aksci.cascade.receiver.webhook_events import (
    PayloadError,
    parse_acr,
    parse_distribution,
    read_payload,
    shown,
)
from aksci.core.errors import AksciError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from aksci.cascade.receiver.event_store import EventStore
    from aksci.cascade.receiver.push_filter import PushFilter
    from aksci.cascade.receiver.webhook_events import Push
    from aksci.core.reporting import Reporter

__all__ = ["Intake", "Reply"]

_OK, _STORED, _WRONG, _UNABLE = 200, 202, 400, 503
_TOLD = 10  # events of one envelope


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a request is answered."""

    status: int
    text: str


@dataclass(kw_only=True)
class Intake:
    """Take events in; safe from several threads."""

    store: EventStore
    push_filter: PushFilter
    max_age: int
    """Seconds."""
    now: Callable[[], datetime]
    reporter: Reporter
    wake: Callable[[], None]
    """Called when something new waits."""
    able: bool = True
    """Whether the last event could be stored."""

    def receive(self, source: Literal["acr", "distribution"], body: bytes) -> Reply:
        """Take in what a registry has sent. 202: it is on the disk. 200: nothing is to be done.

        Whatever Distribution is not answered with 2xx or 3xx it sends again, before all that comes
        after it (``notifications/http.go``, ``queue``): so what is of no use is answered with 200.
        """
        try:
            document = read_payload(body)
            if source == "acr":
                return self._receive_acr(parse_acr(document))
            pushes, problems = parse_distribution(document)
        except PayloadError as error:
            self.reporter.warning(f"/{source}: refused: {shown(error)}.")
            return Reply(status=_WRONG, text=f"refused: {shown(error)}")
        except AksciError as error:
            return self._unable(error)
        # Passed over, not refused: Distribution would send the whole envelope again, for ever.
        for problem in problems[:_TOLD]:
            self.reporter.warning(f"/{source}: an event is passed over: {shown(problem)}.")
        if len(problems) > _TOLD:
            more = len(problems) - _TOLD
            self.reporter.warning(f"/{source}: {more} more events are passed over.")
        try:
            return _reply(sum([self._store(push) for push in pushes if not self._is_old(push)]))
        except AksciError as error:
            return self._unable(error)

    def ready(self) -> bool:
        """Tell whether events can be stored.

        It is tried afresh once it has failed: nobody sends an event to a receiver that isn't ready.
        """
        if not self.able:
            try:
                self.store.check()
            except AksciError:
                return False
            self.able = True
        return True

    def _receive_acr(self, push: Push | None) -> Reply:
        if push is None:
            return Reply(status=_OK, text="nothing to do")
        if self._is_old(push):
            return Reply(status=_WRONG, text="refused: it is too old, or in the future")
        return _reply(self._store(push))

    def _is_old(self, push: Push) -> bool:
        age = self.now() - push.at
        if abs(age) <= timedelta(seconds=self.max_age):
            return False
        self.reporter.warning(
            f"/{push.source}: an event of {push.at:%Y-%m-%dT%H:%M:%SZ} is passed over: it is too "
            "old or in the future. The next scheduled cascade finds what it was about."
        )
        return True

    def _store(self, push: Push) -> int:
        bases = self.push_filter.changed(push)
        if not bases:
            return 0
        new = self.store.add(push, bases)
        self.able = True
        # A registry that did not get our answer sends it again.
        if not new:
            self.reporter.line(f"/{push.source}: event {shown(push.id)} has come before.")
            return 0
        self.reporter.line(f"{', '.join(bases)} was pushed: {push.digest}")
        self.wake()
        return 1

    def _unable(self, error: AksciError) -> Reply:
        self.able = False
        self.reporter.error(f"An event could not be stored. {error.message}")
        return Reply(status=_UNABLE, text="it can't be stored now")


def _reply(stored: int) -> Reply:
    if stored:
        return Reply(status=_STORED, text=f"accepted: {stored}")
    return Reply(status=_OK, text="nothing to do")
