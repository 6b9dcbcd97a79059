"""The gate: from Trivy's report and the ``[scan]`` policy to a verdict. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aksci.core.errors import GateError
from aksci.core.text import short_line, spelled
from aksci.oci.artifact import canonical_json
from aksci.supply.scan.ignores import find_ignore, has_lapsed, ignore_offences
from aksci.supply.scan.knowledge import NOTHING, Knowledge
from aksci.supply.scan.trivy_report import ReportFacts, read_report
from aksci.supply.scan.verdict import SEVERITIES, Finding, IgnoredFinding, Verdict, rank
from aksci.supply.scan.vex import decide

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from aksci.config.supply_models import ScanConfig
    from aksci.oci.references import ImageRef
    from aksci.supply.scan.base_layers import BaseLayers
    from aksci.supply.scan.scanner import Database

__all__ = ["evaluate", "hash_policy", "needed_scanners", "require_pass"]

_FORMAT = 4
"""Raised when ``evaluate`` decides differently, so that stored verdicts are not used again."""
_NAMED = 5
"""Findings that fit a line."""


def evaluate(
    report: dict[str, Any],
    *,
    policy: ScanConfig,
    ref: ImageRef,
    now: dt.datetime,
    database: Database,
    scanner: str = "trivy",
    platform: str = "",
    knowledge: Knowledge = NOTHING,
    base: BaseLayers | None = None,
    index: ImageRef | None = None,
) -> Verdict:
    """Judge Trivy's report on one manifest.

    :param now: decides which ignores have expired, at 00:00 UTC of their date.
    :param knowledge: what the policy's files tell: exploited vulnerabilities, scores, VEX.
    :param base: its base image's layers, to tell whose a finding is.
    :param index: the image whose manifest for one platform this is.
    :raises GateError: it is not a report on this image, or it is not complete.
    :raises ConfigError: one of the policy's files is damaged.
    """
    knowledge.require_readable()
    facts = read_report(report, ref, platform=platform, base=base)
    named = _named(policy, knowledge)
    findings = sorted((_informed(one, knowledge, named) for one in facts.findings), key=rank)
    failing, tolerated, ignored = [], [], []
    for finding in findings:
        # What does not fail needs nobody to accept it: an ignore of it is a leftover.
        if not _fails(finding, policy):
            tolerated.append(finding)
        elif entry := _accepted(finding, policy, knowledge, now, (ref, index or ref)):
            ignored.append(entry)
        else:
            failing.append(finding)
    # An image that nothing is known of has no findings, and does not pass for that.
    problems, notes = _whole_image(facts, policy)
    counts = Counter(finding.severity for finding in findings)
    return Verdict(
        image=ref,
        passed=not failing and not problems,
        problems=problems,
        notes=notes,
        counts={name: counts[name] for name in SEVERITIES},
        failing=tuple(failing),
        ignored=tuple(ignored),
        tolerated=tuple(tolerated),
        licences=facts.licences,
        scanner=scanner,
        database=database.identity,
        test_database=database.test,
        policy=hash_policy(policy, now, knowledge),
        base=base.digest if base else "",
    )


def hash_policy(policy: ScanConfig, now: dt.datetime, knowledge: Knowledge = NOTHING) -> str:
    """Return a hash of what decides; an ignore that has lapsed changes it."""
    document = {
        "format": _FORMAT,
        "severities": sorted(policy.severities),
        "fixedOnly": policy.fixed_only,
        "secrets": policy.secrets,
        "misconfigurations": sorted(policy.misconfigurations),
        "endOfLife": policy.end_of_life,
        "empty": policy.empty,
        "epssAtLeast": policy.epss_at_least,
        "sbom": policy.sbom,
        "files": knowledge.document(),
        "ignore": [
            [
                *(entry.id, entry.package, entry.purl),
                *(entry.owner, entry.reason, entry.expires.isoformat()),
            ]
            # A lapsed one decides nothing: with and without it, verdicts are the same.
            for entry in policy.ignore
            if not has_lapsed(entry, now)
        ],
    }
    return "sha256:" + hashlib.sha256(canonical_json(document)).hexdigest()


def needed_scanners(policy: ScanConfig) -> frozenset[str]:
    """Return which of Trivy's scanners the policy needs; licences are always listed."""
    needed = {"vuln", "license"}
    if policy.secrets:
        needed.add("secret")
    if policy.misconfigurations:
        needed.add("misconfig")
    return frozenset(needed)


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
    # Here and not in `evaluate`: who uses an ignore is known only when all images were scanned.
    offences += ignore_offences(verdicts, policy, now, complete=complete)
    if offences:
        raise GateError(
            "The scan gate refused:\n" + "\n".join(f"  - {offence}" for offence in offences),
            hint=_hint([finding for verdict in verdicts for finding in verdict.failing]),
        )


def _named(policy: ScanConfig, knowledge: Knowledge) -> frozenset[str]:
    """Return what ignores and VEX statements call vulnerabilities, in small letters."""
    stated = (name for one in knowledge.statements for name in one.vulnerabilities)
    return frozenset(map(str.casefold, (*(entry.id for entry in policy.ignore), *stated)))


def _informed(finding: Finding, knowledge: Knowledge, named: frozenset[str]) -> Finding:
    aliases = tuple(name for name in finding.aliases if name.casefold() in named)
    if aliases != finding.aliases:
        finding = replace(finding, aliases=aliases)
    if finding.kind != "vulnerability" or knowledge is NOTHING:
        return finding
    return replace(
        finding,
        kev=finding.id in knowledge.exploited,
        epss=knowledge.scores.get(finding.id),
    )


def _fails(finding: Finding, policy: ScanConfig) -> bool:
    if finding.kind == "secret":
        return policy.secrets
    if finding.kind == "misconfiguration":
        return finding.severity in policy.misconfigurations
    if finding.kev:  # it is exploited, whether or not there is a fix
        return True
    # What EPSS has no score for is too new or too obscure to be likely; its severity decides.
    likely = policy.epss_at_least is not None and (finding.epss or 0) >= policy.epss_at_least
    return (likely or finding.severity in policy.severities) and bool(
        finding.fixed or not policy.fixed_only
    )


def _accepted(
    finding: Finding,
    policy: ScanConfig,
    knowledge: Knowledge,
    now: dt.datetime,
    images: tuple[ImageRef, ...],
) -> IgnoredFinding | None:
    """Return who accepts a finding: an ignore, or a VEX statement by which it does not matter."""
    # The project's own word comes first: it has an expiry, which a VEX statement has not.
    if entry := find_ignore(finding, policy, now):
        return IgnoredFinding(
            finding=finding,
            owner=short_line(entry.owner),
            reason=short_line(entry.reason),
            expires=entry.expires.isoformat(),
        )
    if statement := decide(knowledge.statements, finding, images):
        return IgnoredFinding(
            finding=finding, owner=statement.author, reason=statement.reason, expires=""
        )
    return None


def _whole_image(facts: ReportFacts, policy: ScanConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is wrong with, and worth knowing about, the image as a whole."""
    problems: list[str] = []
    notes: list[str] = []
    if facts.empty:
        text = "nothing in this image is known to the scanner: no system, no packages"
        (problems if policy.empty == "fail" else notes).append(text)
    if facts.unlisted:
        text = f"{facts.system} lists no package, so that none could be scanned"
        (problems if policy.empty == "fail" else notes).append(text)
    if facts.end_of_life:
        text = f"{facts.system} is past its end of life: it gets no security fixes"
        (problems if policy.end_of_life else notes).append(text)
    if facts.unscanned:
        # Whatever the policy says: what could not be scanned is never clean.
        problems.append(f"the packages of {facts.system} were not scanned")
    return tuple(problems), tuple(notes)


def _offence(verdict: Verdict) -> str:
    parts = list(verdict.problems)
    if verdict.failing:
        names = list(dict.fromkeys(short_line(spelled(finding.id)) for finding in verdict.failing))
        more = ", …" if len(names) > _NAMED else ""
        noun = "finding" if len(verdict.failing) == 1 else "findings"
        parts.append(f"{len(verdict.failing)} {noun} ({', '.join(names[:_NAMED])}{more})")
    return f"{verdict.image.repository}: " + "; ".join(parts)


def _hint(failing: list[Finding]) -> str:
    """Return what helps: another base for what comes from there, a fixed version for the rest."""
    accept = (
        "accept a finding for a while with an owner, a reason and an expiry under [[scan.ignore]] "
        "in aksci.toml."
    )
    based = sum(finding.origin == "base" for finding in failing)
    if not based:
        return f"rebuild with fixed versions; or {accept}"
    count = f"{based} of them come" if based > 1 else "1 of them comes"
    rest = "; rebuild the others with fixed versions" if based < len(failing) else ""
    return f"{count} from the base image: nox -s cascade takes a newer one{rest}; or {accept}"
