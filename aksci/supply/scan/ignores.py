"""The ``[[scan.ignore]]`` entries: which findings they accept, and until when. Pure."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.text import short_line, spelled
from aksci.supply.scan.purls import covers, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.config.supply_models import ScanConfig, ScanIgnore
    from aksci.supply.scan.verdict import Finding, Verdict

__all__ = [
    "check_ignores",
    "find_ignore",
    "has_lapsed",
    "ignore_notes",
    "ignore_offences",
    "ignore_warnings",
]

_NAMED = 3
"""Packages in one line."""
_CVE = re.compile(r"CVE-\d{4}-\d{4,}", re.IGNORECASE)


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
    """Return what is wrong with entries: lapsed, or needed by no image.

    Of a scan that is not complete, only those are known that miss a finding which fails.
    """
    offences = []
    for entry in policy.ignore:
        if has_lapsed(entry, now):
            offences.append(f"{_label(entry)} {_lapsed(entry, now)}")
        elif not any(_uses(verdict, entry) for verdict in verdicts):
            why = _missed(entry, verdicts)
            if complete and why is None:
                why = _passed_over(entry, verdicts) or "matches no finding: remove it"
            if why:
                offences.append(f"{_label(entry)} {why} {_owner(entry)}")
    return offences


def ignore_warnings(policy: ScanConfig, now: dt.datetime) -> tuple[str, ...]:
    """Return a line for each entry that lapses within ``ignore_warning_days``."""
    today = now.astimezone(dt.UTC).date()
    return tuple(
        f"{_label(entry)} expires in {_days((entry.expires - today).days)}, on {entry.expires} "
        f"{_owner(entry)}"
        for entry in policy.ignore
        if 0 < (entry.expires - today).days <= policy.ignore_warning_days
    )


def ignore_notes(policy: ScanConfig, now: dt.datetime) -> tuple[str, ...]:
    """Return a line for each entry of which no scan is needed to see what is wrong with it."""
    lapsed = (
        f"{_label(entry)} {_lapsed(entry, now)}"
        for entry in policy.ignore
        if has_lapsed(entry, now)
    )
    spelt = (
        f"{_label(entry)}: Trivy calls it {entry.id.upper()} {_owner(entry)}"
        for entry in policy.ignore
        if policy.scanner == "trivy" and _CVE.fullmatch(entry.id) and entry.id != entry.id.upper()
    )
    return (*lapsed, *spelt, *ignore_warnings(policy, now))


def _missed(entry: ScanIgnore, verdicts: Sequence[Verdict]) -> str | None:
    """Say by which name or in which package an entry would have met a finding that fails."""
    failing = [finding for verdict in verdicts for finding in verdict.failing]
    called = sorted({one.id for one in failing if entry.id != one.id and _is_called(entry, one)})
    if called:
        names = ", ".join(short_line(spelled(name)) for name in called)
        return f"matches no finding: the scanner calls it {names}"
    inside = sorted({one.purl or one.package for one in failing if one.id == entry.id})
    if inside:
        places = ", ".join(map(_shown, inside[:_NAMED]))
        more = f" and {len(inside) - _NAMED} more" if len(inside) > _NAMED else ""
        return f"matches no finding: it was found in {places}{more}"
    return None


def _passed_over(entry: ScanIgnore, verdicts: Sequence[Verdict]) -> str | None:
    """Say why an entry is not needed though what it names was found."""
    if any(_matches(entry, used.finding) for verdict in verdicts for used in verdict.ignored):
        return "is not needed: another entry accepts its findings"
    found = [one for verdict in verdicts for one in verdict.findings if one.id == entry.id]
    if found and any(_matches(entry, one) for one in found):
        return "is not needed: what it names does not fail the gate"
    return None


def _is_called(entry: ScanIgnore, finding: Finding) -> bool:
    """Tell whether an entry names a finding by another of its identifiers, or in other letters."""
    name = entry.id.casefold()
    return name in {finding.id.casefold(), *(alias.casefold() for alias in finding.aliases)}


def _lapsed(entry: ScanIgnore, now: dt.datetime) -> str:
    today = ": today, at 00:00 UTC" if entry.expires == now.astimezone(dt.UTC).date() else ""
    return f"expired on {entry.expires} {_owner(entry)}{today}"


def _owner(entry: ScanIgnore) -> str:
    return f"(owner: {short_line(entry.owner)})"


def _shown(text: str) -> str:
    return short_line(spelled(text))


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
