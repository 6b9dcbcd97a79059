"""A clock that a test turns: ``Clock``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["Clock"]

# Far from midnight and from a month's end: a test that passes by hours stays on its day.
_NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Clock:
    """Call it for the time; ``sleep`` takes none and moves it on.

    clock = Clock()
    client = RegistryClient(host, sleep=clock.sleep)
    store = EventStore(path, now=clock)

    :param time: when it begins, with a time zone.
    """

    def __init__(self, time: datetime = _NOON) -> None:
        self.time = time
        self.slept: list[float] = []
        """The seconds of each wait, in order."""

    def __call__(self) -> datetime:
        """Return the time."""
        return self.time

    def pass_by(self, seconds: float) -> None:
        """Let time go by."""
        self.time += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """Note a wait and end it at once."""
        self.slept.append(seconds)
        self.pass_by(seconds)
