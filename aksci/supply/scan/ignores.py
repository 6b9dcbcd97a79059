"""The ``[[scan.ignore]]`` entries: which findings they accept, and until when. Pure."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.text import short_line, spelled
from aksci.supply.scan.purls import covers, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.config.supply_models import ScanConfig, ScanIgnore
    from aksci.supply.scan.verdict import Finding, Verdict

__all__ = ["check_ignores", "find_ignore", "has_lapsed", "ignore_offences", "ignore_warnings"]


def check_ignores(policy: ScanConfig) -> None:
    """Require that each package URL names a package.

    :raises ConfigError: one is none, or would match everything.
    """
    for entry in policy.ignore:
        if entry.purl is None:
            continue
        try:
            parse_pattern(entry.purl)
        except ValueError as error:
            raise ConfigError(
                f"scan.ignore of {short_line(entry.id)}: its purl does not name a package: "
                f"{short_line(error)}",
                hint="write one such as pkg:deb/debian/openssl; without purl and package, an "
                "entry accepts its id in every package.",
            ) from None


def find_ignore(finding: Finding, policy: ScanConfig, now: dt.datetime) -> ScanIgnore | None:
    """Return the first valid entry that accepts a finding."""
    return next(
        (
            entry
            for entry in policy.ignore
            if not has_lapsed(entry, now) and _matches(entry, finding)
        ),
        None,
    )


def has_lapsed(entry: ScanIgnore, now: dt.datetime) -> bool:
    """Tell whether an entry is past: it lapses at 00:00 UTC of its date."""
    return now.astimezone(dt.UTC).date() >= entry.expires


def ignore_offences(
    verdicts: Sequence[Verdict], policy: ScanConfig, now: dt.datetime, *, complete: bool
) -> list[str]:
    """Return what is wrong with entries: lapsed, or needed by no image of a complete scan."""
    offences = []
    for entry in policy.ignore:
        owner = f"(owner: {short_line(entry.owner)})"
        if has_lapsed(entry, now):
            offences.append(f"{_label(entry)} expired on {entry.expires} {owner}")
        elif complete and not any(_uses(verdict, entry) for verdict in verdicts):
            offences.append(f"{_label(entry)} matches no finding: remove it {owner}")
    return offences


def ignore_warnings(policy: ScanConfig, now: dt.datetime) -> tuple[str, ...]:
    """Return a line for each entry that lapses within ``ignore_warning_days``."""
    today = now.astimezone(dt.UTC).date()
    return tuple(
        f"{_label(entry)} expires in {_days((entry.expires - today).days)}, on {entry.expires} "
        f"(owner: {short_line(entry.owner)})"
        for entry in policy.ignore
        if 0 < (entry.expires - today).days <= policy.ignore_warning_days
    )


def _matches(entry: ScanIgnore, finding: Finding) -> bool:
    if entry.id != finding.id or entry.package not in {None, finding.package}:
        return False
    return entry.purl is None or covers(parse_pattern(entry.purl), finding.purl)


def _uses(verdict: Verdict, entry: ScanIgnore) -> bool:
    return any(
        _matches(entry, used.finding)
        and (used.owner, used.reason) == (short_line(entry.owner), short_line(entry.reason))
        for used in verdict.ignored
    )


def _label(entry: ScanIgnore) -> str:
    where = entry.package or entry.purl
    name = short_line(spelled(entry.id))
    return f"the ignore of {name}" + (f" in {short_line(spelled(where))}" if where else "")


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
