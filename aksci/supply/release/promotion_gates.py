"""What a release must have to come to an environment, beyond signatures: ``gates`` of aksci.toml.

Who must approve is the CI system's rule. These gates are about time, and what can't be known is
never taken as good: without a time, with one in the future or one that can't be read, the release
is refused.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aksci.config.deploy_models import GatesConfig

__all__ = ["ReleaseFacts", "RunningRelease", "check_gates", "database_time", "running_since"]

_MINUTE = dt.timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class RunningRelease:
    """How a release does in the environment that it comes from."""

    since: dt.datetime | None = None
    """When it was deployed there completely; None where it is not what runs there now."""
    problems: tuple[str, ...] = ()
    """What is not as it should be there now, such as a service that is not healthy."""


@dataclass(frozen=True, kw_only=True)
class ReleaseFacts:
    """What is known of a release whose signatures have been verified."""

    signed_at: Sequence[dt.datetime | None]
    """The times that its valid signatures claim."""
    databases: Mapping[str, str] = field(default_factory=dict)
    """Image -> identity of the database that its verdict was made with; empty when unknown."""
    running: RunningRelease = RunningRelease()


def check_gates(
    facts: ReleaseFacts, gates: GatesConfig, *, now: dt.datetime, previous: str
) -> tuple[str, ...]:
    """Return why a release may not pass yet, one sentence a gate and image; nothing if it may.

    :param now: in UTC.
    :param previous: name of the environment that it comes from.
    """
    refusals = [
        *_check_age(facts.signed_at, gates.min_age, now),
        *_check_verdicts(facts.databases, gates.verdict_max_age, now),
        *_check_soak(facts.running, gates.soak, now, previous),
    ]
    return tuple(refusals)


def database_time(identity: str) -> dt.datetime | None:
    """Return the time in a database's identity, ``<part>@<ISO 8601>``; None without one."""
    return _parse(identity.rpartition("@")[2])


def running_since(history: Sequence[tuple[str, str]], release: str) -> dt.datetime | None:
    """Return since when a release runs, by what was deployed; None if another was deployed last.

    :param history: (release, ISO 8601 time) of what was deployed completely, oldest first.
    :param release: ``registry/repository@digest``; which registry does not matter.
    """
    since = None
    for name, at in reversed(history):
        if _without_registry(name) != _without_registry(release):
            break
        since = _parse(at)
    return since


def _check_age(times: Sequence[dt.datetime | None], hours: int, now: dt.datetime) -> Iterator[str]:
    if not hours:
        return
    known = [time for time in times if time is not None]
    if not known:
        yield f"min_age: no signature tells when the release was signed; it must be {hours} h ago."
        return
    signed = min(known)
    if signed > now:
        yield f"min_age: the release was signed at {_show(signed)}, which is in the future."
    elif (left := dt.timedelta(hours=hours) - (now - signed)) > dt.timedelta(0):
        yield (
            f"min_age: the release was signed {_length(now - signed)} ago; it must be {hours} h. "
            f"{_length(left)} are left, until {_show(now + left)}."
        )


def _check_verdicts(
    databases: Mapping[str, str], hours: int | None, now: dt.datetime
) -> Iterator[str]:
    if hours is None:
        return
    if not databases:
        yield "verdict_max_age: the release names no image's verdict."
    for image, identity in sorted(databases.items()):
        made = database_time(identity)
        if made is None:
            yield f"verdict_max_age: how old the database of {image}'s verdict was is not known."
        elif made > now:
            yield (
                f"verdict_max_age: the database of {image}'s verdict is of {_show(made)}, which is "
                "in the future."
            )
        elif (over := now - made - dt.timedelta(hours=hours)) > dt.timedelta(0):
            yield (
                f"verdict_max_age: the database of {image}'s verdict is {_length(now - made)} old, "
                f"{_length(over)} more than {hours} h."
            )


def _check_soak(
    running: RunningRelease, hours: int, now: dt.datetime, previous: str
) -> Iterator[str]:
    if not hours:
        return
    if running.since is None:
        yield f"soak: since when the release runs in {previous!r} is not known: deploy it there."
    elif running.since > now:
        yield (
            f"soak: the release was deployed to {previous!r} at {_show(running.since)}, which is "
            "in the future."
        )
    elif (left := dt.timedelta(hours=hours) - (now - running.since)) > dt.timedelta(0):
        yield (
            f"soak: the release has run in {previous!r} for {_length(now - running.since)}; it "
            f"must for {hours} h. {_length(left)} are left, until {_show(now + left)}."
        )
    for problem in running.problems:
        yield f"soak: in {previous!r}, {problem}."


def _parse(text: str) -> dt.datetime | None:
    """Read an ISO 8601 time; one without a time zone could mean anything."""
    try:
        time = dt.datetime.fromisoformat(text)
        return time.astimezone(dt.UTC) if time.tzinfo is not None else None
    except (ValueError, OverflowError):  # of the year 9999, in the west
        return None


def _without_registry(release: str) -> str:
    """Return repository and digest: a release is the same in every registry."""
    return release.partition("/")[2]


def _show(time: dt.datetime) -> str:
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _length(span: dt.timedelta) -> str:
    """Return a length of time, rounded up to minutes: ``2 h 5 min``."""
    minutes = -(-span // _MINUTE)  # rounded up
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
