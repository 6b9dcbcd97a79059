"""The gate: from Trivy's report and the ``[scan]`` policy to a verdict. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from aksci.errors import GateError
from aksci.registry.push import canonical_json
from aksci.reporting import sanitise
from aksci.supply.verdict import SEVERITIES, Finding, IgnoredFinding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aksci.config.models import ScanConfig, ScanIgnore
    from aksci.registry.refs import ImageRef
    from aksci.supply.database import Database

__all__ = ["evaluate", "hash_policy", "require_pass"]

_REPORT_SCHEMA = 2
_LONGEST = 200
_FORMAT = 1
"""Raised when ``evaluate`` decides differently, so that stored verdicts are not used again."""


def evaluate(
    report: dict[str, Any],
    *,
    policy: ScanConfig,
    ref: ImageRef,
    now: dt.datetime,
    database: Database,
    scanner: str = "trivy",
    platform: str = "",
) -> Verdict:
    """Judge Trivy's report on one manifest.

    :param now: decides which ignores have expired, at 00:00 UTC of their date.
    :raises GateError: it is not a report on this image, or it is not complete.
    """
    _require_report_on(report, ref)
    try:
        results = list(report.get("Results") or [])
        findings = sorted(_findings(results, platform))
        problems, notes = _whole_image(report, results)
    except (AttributeError, KeyError, TypeError) as error:
        raise GateError(
            f"Trivy's report on {ref} is not understood ({error!r}), so the image does not pass."
        ) from None
    failing, ignored = [], []
    for finding in findings:
        if not _fails(finding, policy):
            continue
        entry = _ignore_for(finding, policy.ignore, now)
        if entry is None:
            failing.append(finding)
        else:
            ignored.append(
                IgnoredFinding(
                    finding=finding,
                    owner=_clean(entry.owner),
                    reason=_clean(entry.reason),
                    expires=entry.expires.isoformat(),
                )
            )
    counts = Counter(finding.severity for finding in findings)
    return Verdict(
        image=ref,
        passed=not failing and not problems,
        problems=problems,
        notes=notes,
        counts={name: counts[name] for name in SEVERITIES},
        failing=tuple(failing),
        ignored=tuple(ignored),
        scanner=scanner,
        database=database.identity,
        test_database=database.test,
        policy=hash_policy(policy, now),
    )


def hash_policy(policy: ScanConfig, now: dt.datetime) -> str:
    """Return a hash of what decides; an ignore that has lapsed changes it."""
    document = {
        "format": _FORMAT,
        "severities": sorted(policy.severities),
        "fixedOnly": policy.fixed_only,
        "secrets": policy.secrets,
        "ignore": [
            [entry.id, entry.package, entry.owner, entry.reason, entry.expires.isoformat()]
            for entry in policy.ignore
            if not _expired(entry, now)
        ],
    }
    return "sha256:" + hashlib.sha256(canonical_json(document)).hexdigest()


def require_pass(
    verdicts: Iterable[Verdict], *, policy: ScanConfig, now: dt.datetime, complete: bool = True
) -> None:
    """Raise unless every image passed and every ignore is still needed and still valid.

    :param complete: the verdicts cover every image of the project, so that an ignore which no
        image uses is a leftover.
    :raises GateError: naming each offender.
    """
    verdicts = list(verdicts)
    offences = [_offence(verdict) for verdict in verdicts if not verdict.passed]
    for entry in policy.ignore:
        label = f"the ignore of {_clean(entry.id)}" + (f" in {entry.package}" * bool(entry.package))
        if _expired(entry, now):
            offences.append(f"{label} expired on {entry.expires} (owner: {_clean(entry.owner)})")
        elif complete and not any(_uses(verdict, entry) for verdict in verdicts):
            offences.append(f"{label} matches no finding: remove it (owner: {_clean(entry.owner)})")
    if offences:
        raise GateError(
            "The scan gate refused:\n" + "\n".join(f"  - {offence}" for offence in offences),
            hint="rebuild with fixed versions; or accept a finding for a while with an owner, a "
            "reason and an expiry under [[scan.ignore]] in aksci.toml.",
        )


def _require_report_on(report: dict[str, Any], ref: ImageRef) -> None:
    if (
        report.get("SchemaVersion") != _REPORT_SCHEMA
        or report.get("ArtifactType") != "container_image"
    ):
        raise GateError(
            f"Trivy's report on {ref} has an unknown format (schema "
            f"{_clean(report.get('SchemaVersion'))}), so the image does not pass."
        )
    metadata = report.get("Metadata")
    digests = metadata.get("RepoDigests") if isinstance(metadata, dict) else None
    named = {str(digest).rpartition("@")[2] for digest in digests or []}
    if report.get("ArtifactName") != str(ref) or ref.digest not in named:
        raise GateError(
            f"The report that should be on {ref} is on {_clean(report.get('ArtifactName'))}, so "
            "the image does not pass."
        )


def _whole_image(
    report: dict[str, Any], results: list[dict[str, Any]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is wrong with, and worth knowing about, the image as a whole."""
    system = report["Metadata"].get("OS") or {}
    if not system:
        if any(result.get("Class") != "secret" for result in results):
            return (), ()
        return (), ("nothing in this image is known to the scanner: no system, no packages",)
    name = _clean(f"{system.get('Family')} {system.get('Name')}")
    problems = []
    if system.get("EOSL"):
        problems.append(f"{name} is past its end of life: it gets no security fixes")
    # Trivy lists the system's packages whatever it finds; without them it looked at nothing.
    if not any(result.get("Class") == "os-pkgs" for result in results):
        problems.append(f"the packages of {name} were not scanned")
    return tuple(problems), ()


def _findings(results: list[dict[str, Any]], platform: str) -> Iterator[Finding]:
    for result in results:
        for entry in result.get("Vulnerabilities") or []:
            yield Finding(
                kind="vulnerability",
                id=_clean(entry["VulnerabilityID"]),
                package=_clean(entry["PkgName"]),
                installed=_clean(entry.get("InstalledVersion")),
                fixed=_clean(entry.get("FixedVersion")),
                severity=_severity(entry),
                title=_clean(entry.get("Title")),
                layer=_clean((entry.get("Layer") or {}).get("DiffID")),
                platform=platform,
            )
        for entry in result.get("Secrets") or []:
            yield Finding(
                kind="secret",
                id=_clean(entry["RuleID"]),
                package=_clean(result.get("Target")),
                installed=f"line {int(entry.get('StartLine') or 0)}",
                fixed="",
                severity=_severity(entry),
                title=_clean(entry.get("Title")),
                layer=_clean((entry.get("Layer") or {}).get("DiffID")),
                platform=platform,
            )


def _fails(finding: Finding, policy: ScanConfig) -> bool:
    if finding.kind == "secret":
        return policy.secrets
    return finding.severity in policy.severities and bool(finding.fixed or not policy.fixed_only)


def _ignore_for(
    finding: Finding, entries: tuple[ScanIgnore, ...], now: dt.datetime
) -> ScanIgnore | None:
    return next(
        (entry for entry in entries if not _expired(entry, now) and _matches(entry, finding)), None
    )


def _matches(entry: ScanIgnore, finding: Finding) -> bool:
    return entry.id == finding.id and entry.package in {None, finding.package}


def _uses(verdict: Verdict, entry: ScanIgnore) -> bool:
    return any(
        _matches(entry, used.finding)
        and (used.owner, used.reason) == (_clean(entry.owner), _clean(entry.reason))
        for used in verdict.ignored
    )


def _expired(entry: ScanIgnore, now: dt.datetime) -> bool:
    return now.astimezone(dt.UTC).date() >= entry.expires


def _offence(verdict: Verdict) -> str:
    parts = list(verdict.problems)
    if verdict.failing:
        named = ", ".join(dict.fromkeys(finding.id for finding in verdict.failing[:5]))
        more = ", …" if len(verdict.failing) > 5 else ""  # noqa: PLR2004 - as many as fit a line
        parts.append(f"{len(verdict.failing)} findings ({named}{more})")
    return f"{verdict.image.repository}: " + "; ".join(parts)


def _severity(entry: dict[str, Any]) -> str:
    severity = str(entry.get("Severity"))
    return severity if severity in SEVERITIES else "UNKNOWN"


def _clean(value: Any) -> str:
    """Make a report's text one harmless line."""
    if value is None:
        return ""
    text = " ".join(sanitise(str(value)).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
