"""Verdicts as SARIF 2.1.0 (OASIS Standard), for code scanning pages and editors."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aksci.core.text import one_line, spelled
from aksci.oci.artifact import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.supply.scan.verdict import Finding, IgnoredFinding, Verdict

__all__ = ["verdicts_sarif"]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_SCORES = {"CRITICAL": "9.5", "HIGH": "8.0", "MEDIUM": "5.5", "LOW": "2.0", "UNKNOWN": "0.0"}
"""GitHub's "SARIF support for code scanning", security-severity: 9 and up is critical, 7 high, 4
medium."""
_LONGEST = 1000
"""Characters of a message; code scanning cuts one off there."""
_PROBLEM = "aksci-image-problem"


def verdicts_sarif(verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    """Return one run with every finding of every image.

    What fails is an error, what the policy tolerates a note, and what is ignored is suppressed with
    its justification. Fingerprints stay the same when a version, a digest or a title changes.
    """
    results = [
        result for name, verdict in sorted(verdicts.items()) for result in _of(name, verdict)
    ]
    rules = _rules(verdicts)
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    for result in results:
        result["ruleIndex"] = index[result["ruleId"]]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "aksci", "rules": rules}},
                # Its category: of the same one, code scanning keeps the last upload only.
                "automationDetails": {"id": "aksci/scan/"},
                "columnKind": "unicodeCodePoints",
                "artifacts": [
                    {"location": {"uri": _uri(verdict)}, "roles": ["analysisTarget"]}
                    for _, verdict in sorted(verdicts.items())
                ],
                "results": results,
            }
        ],
    }


def _of(name: str, verdict: Verdict) -> Iterator[dict[str, Any]]:
    for problem in verdict.problems:
        yield {
            "ruleId": _PROBLEM,
            "level": "error",
            "message": {"text": _message(f"{name}: {problem}")},
            "locations": [_location(verdict)],
            "partialFingerprints": {"aksciFinding/v1": _hash(verdict, _PROBLEM, problem)},
        }
    for finding in verdict.failing:
        yield _result(name, verdict, finding, "error")
    for entry in verdict.ignored:
        # An error as well: the suppression is what takes it back, and it lapses.
        result = _result(name, verdict, entry.finding, "error")
        yield {**result, "suppressions": [_suppression(entry)]}
    for finding in verdict.tolerated:
        yield _result(name, verdict, finding, "note")


def _result(name: str, verdict: Verdict, finding: Finding, level: str) -> dict[str, Any]:
    fix = f" Fixed in {spelled(finding.fixed)}." if finding.fixed else ""
    where = f"{spelled(finding.package)} {spelled(finding.installed)}".strip()
    text = f"{spelled(finding.id)} ({finding.severity}) in {where} of {name}: {finding.title}.{fix}"
    return {
        "ruleId": _rule_id(finding),
        "level": level,
        "message": {"text": _message(text)},
        "locations": [_location(verdict, finding)],
        "partialFingerprints": {
            "aksciFinding/v1": _hash(
                verdict, finding.kind, finding.id, finding.package, finding.platform
            )
        },
        "properties": {
            "image": one_line(name),
            "severity": finding.severity,
            "kind": finding.kind,
            "origin": finding.origin,
            "knownExploited": finding.kev,
            "epss": finding.epss,
            "platform": one_line(finding.platform),
        },
    }


def _location(verdict: Verdict, finding: Finding | None = None) -> dict[str, Any]:
    """Name the image by digest as the artifact, and the package in it."""
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(verdict)},
            # Code scanning shows no result that has no region.
            "region": {"startLine": 1},
        }
    }
    if finding is not None:
        purl = one_line(spelled(finding.purl or finding.package), _LONGEST)
        location["logicalLocations"] = [{"fullyQualifiedName": purl, "kind": "package"}]
    return location


def _uri(verdict: Verdict) -> str:
    return quote(f"{verdict.image.repository}@{verdict.image.digest}", safe="/@")


def _suppression(entry: IgnoredFinding) -> dict[str, Any]:
    until = f" (until {entry.expires})" if entry.expires else ""
    return {
        "kind": "external",
        "status": "accepted",
        "justification": one_line(f"{entry.owner}: {entry.reason}{until}"),
    }


def _rules(verdicts: Mapping[str, Verdict]) -> list[dict[str, Any]]:
    """Return each rule once, sorted; the first finding in order describes it."""
    from aksci.supply.scan.verdict_changes import all_findings

    found: dict[str, dict[str, Any]] = {}
    for _, verdict in sorted(verdicts.items()):
        for finding in all_findings(verdict):
            found.setdefault(_rule_id(finding), _rule(finding))
        if verdict.problems:
            text = "The image as a whole does not pass."
            found[_PROBLEM] = {"id": _PROBLEM, "shortDescription": {"text": text}}
    return [found[name] for name in sorted(found)]


def _rule(finding: Finding) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": _rule_id(finding),
        "shortDescription": {"text": _message(finding.title or finding.id)},
        "properties": {
            "security-severity": _SCORES.get(finding.severity, "0.0"),
            "tags": ["security", finding.kind],
        },
    }
    # A viewer makes a link of it: no other scheme gets there.
    if finding.url.startswith(("https://", "http://")):
        rule["helpUri"] = quote(one_line(finding.url), safe=":/?#[]@!$&'()*+,;=%~")
    return rule


def _rule_id(finding: Finding) -> str:
    return one_line(spelled(finding.id), 255) or "unnamed"


def _hash(verdict: Verdict, *words: str) -> str:
    return hashlib.sha256(canonical_json([verdict.image.repository, *words])).hexdigest()


def _message(text: str) -> str:
    """Return plain text (3.11.5, 3.11.6): braces are no placeholders, brackets no links."""
    return one_line(text, _LONGEST).replace("{", "{{").replace("}", "}}").replace("](", "] (")
