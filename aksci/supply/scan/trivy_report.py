"""Read Trivy's JSON report (schema 2) on one manifest. Pure.

What is compared is read to the character; what is only shown is sanitised.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import GateError
from aksci.core.text import short_line
from aksci.supply.scan.verdict import SEVERITIES, Finding, exact_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.oci.references import ImageRef
    from aksci.supply.scan.base_layers import BaseLayers

__all__ = ["ReportFacts", "read_report"]

_SCHEMA = 2
_PACKAGES = frozenset({"os-pkgs", "lang-pkgs"})


@dataclass(frozen=True, kw_only=True)
class ReportFacts:
    """What a report says, before any policy."""

    findings: tuple[Finding, ...]
    system: str
    """Family and version; empty: none that the scanner knows."""
    end_of_life: bool
    unscanned: bool
    """There is a system, but its packages were not looked at."""
    unlisted: bool
    """They were looked at, and there are none: their list was removed, or never was there."""
    empty: bool
    """Neither a system nor packages: the scanner knows nothing of it."""
    licences: Mapping[str, int]
    """Licence -> packages that it is said of."""


def read_report(
    report: dict[str, Any], ref: ImageRef, *, platform: str = "", base: BaseLayers | None = None
) -> ReportFacts:
    """Read a report.

    :param base: layers that come from the base image; without it, the findings' origin is unknown.
    :raises GateError: it is not a report on this image, or it is not complete.
    """
    _require_report_on(report, ref)
    try:
        results = list(report.get("Results") or [])
        inherited = _inherited(report, base)
        findings = tuple(_findings(results, ref, platform, inherited))
        system = report["Metadata"].get("OS") or {}
        classes = {result.get("Class") for result in results}
        listed = {
            result.get("Class")
            for result in results
            if result.get("Packages") or result.get("Vulnerabilities")
        }
        return ReportFacts(
            findings=findings,
            system=short_line(f"{system.get('Family')} {system.get('Name')}") if system else "",
            end_of_life=bool(system.get("EOSL")),
            # Trivy has a result for the system's packages even where it finds none of them, as in
            # an image that has os-release and no longer has its package manager's database.
            unscanned=bool(system) and "os-pkgs" not in classes,
            unlisted=bool(system) and "os-pkgs" in classes - listed,
            empty=not system and not listed & _PACKAGES,
            licences=_licences(results),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise GateError(
            f"The scanner's report on {ref} is not understood ({short_line(repr(error))}), so the "
            "image does not pass."
        ) from None


def _licences(results: list[dict[str, Any]]) -> dict[str, int]:
    packages = (entry for result in results for entry in result.get("Packages") or [])
    found = Counter(
        name
        for entry in packages
        for name in {*map(short_line, entry.get("Licenses") or [])}
        if name
    )
    return dict(sorted(found.items()))


def _require_report_on(report: dict[str, Any], ref: ImageRef) -> None:
    if report.get("SchemaVersion") != _SCHEMA or report.get("ArtifactType") != "container_image":
        raise GateError(
            f"The scanner's report on {ref} has an unknown format (schema "
            f"{short_line(report.get('SchemaVersion'))}), so the image does not pass."
        )
    metadata = report.get("Metadata")
    digests = metadata.get("RepoDigests") if isinstance(metadata, dict) else None
    listed = digests if isinstance(digests, list) else []
    named = {str(digest).rpartition("@")[2] for digest in listed}
    # A report on something else would pass this image: the scanner's exit status does not tell.
    if report.get("ArtifactName") != str(ref) or ref.digest not in named:
        raise GateError(
            f"The report that should be on {ref} is on {short_line(report.get('ArtifactName'))}, "
            "so the image does not pass."
        )


def _inherited(report: dict[str, Any], base: BaseLayers | None) -> frozenset[str] | None:
    """Return the DiffIDs of the layers that the image shares with its base, from the lowest up."""
    if base is None or base.layers is None:
        return None
    shared = []
    for own, given in zip(report["Metadata"].get("DiffIDs") or [], base.layers, strict=False):
        # From here on the image adds its own, even where a layer further up is equal again.
        if own != given:
            break
        shared.append(str(own))
    return frozenset(shared)


def _findings(
    results: list[dict[str, Any]], ref: ImageRef, platform: str, inherited: frozenset[str] | None
) -> Iterator[Finding]:
    for result in results:
        # What is in no file is in the image's configuration; its target is the image's name.
        target = result.get("Target")
        place = "image configuration" if target == str(ref) else _exact(target)
        for entry in result.get("Vulnerabilities") or []:
            yield _vulnerability(entry, platform, inherited)
        for entry in result.get("Secrets") or []:
            yield _other("secret", entry["RuleID"], entry, place, platform, inherited)
        for entry in result.get("Misconfigurations") or []:
            if entry["Status"] == "FAIL":
                yield _other("misconfiguration", entry["ID"], entry, place, platform, inherited)


def _vulnerability(
    entry: dict[str, Any], platform: str, inherited: frozenset[str] | None
) -> Finding:
    layer = _layer(entry)
    return Finding(
        kind="vulnerability",
        id=_exact(entry["VulnerabilityID"]),
        package=_exact(entry["PkgName"]),
        installed=_exact(entry.get("InstalledVersion")),
        fixed=_exact(entry.get("FixedVersion")),
        severity=_severity(entry),
        title=short_line(entry.get("Title")),
        layer=short_line(layer),
        platform=platform,
        purl=_exact((entry.get("PkgIdentifier") or {}).get("PURL")),
        origin=_origin(layer, inherited),
        url=_url(entry),
        aliases=_aliases(entry),
    )


def _other(
    kind: Any,
    identifier: Any,
    entry: dict[str, Any],
    place: str,
    platform: str,
    inherited: frozenset[str] | None,
) -> Finding:
    """Read a secret or a misconfiguration; it is in a file, at a line."""
    cause = entry if kind == "secret" else entry.get("CauseMetadata") or {}
    line = int(cause.get("StartLine") or 0)
    layer = _layer(entry)
    return Finding(
        kind=kind,
        id=_exact(identifier),
        package=place,
        installed=f"line {line}" if line else "",
        fixed="",
        severity=_severity(entry),
        title=short_line(entry.get("Title")),
        layer=short_line(layer),
        platform=platform,
        origin=_origin(layer, inherited),
        url=_url(entry),
        aliases=() if kind == "secret" else _rule_aliases(entry),
    )


_OTHER_NAMES = re.compile(
    r"\b(?:CVE-\d{4}-\d{4,}|GHSA(?:-[2-9cfghjmpqrvwx]{4}){3}|GO-\d{4}-\d{4,}|PYSEC-\d{4}-\d+"
    r"|RUSTSEC-\d{4}-\d{4}|DSA-\d+(?:-\d+)?|DLA-\d+(?:-\d+)?|USN-\d+-\d+"
    r"|RHSA-\d{4}:\d+|ALAS\d?-\d{4}-\d+)(?![\w-])"
)


def _aliases(entry: dict[str, Any]) -> tuple[str, ...]:
    """Return by which other names a vulnerability may be meant: they decide nothing.

    ``VendorIDs`` has those of the advisory that Trivy went by, such as a GHSA or a DSA; where the
    database does not keep them, the pages that it refers to are called so.
    """
    names = [*map(_exact, entry.get("VendorIDs") or [])]
    for page in entry.get("References") or []:
        names += _OTHER_NAMES.findall(_exact(page))
    return tuple(dict.fromkeys(name for name in names if name != entry["VulnerabilityID"]))


def _rule_aliases(entry: dict[str, Any]) -> tuple[str, ...]:
    """Return the other names of a misconfiguration's rule: ``AVD-DS-0002`` and ``DS002``.

    Trivy's releases have called one rule by each of them (trivy issue 2743).
    """
    last = _exact(entry.get("Namespace")).rpartition(".")[2]
    names = (_exact(entry.get("AVDID")), f"AVD-{entry['ID']}", last)
    return tuple(dict.fromkeys(name for name in names if name and name != entry["ID"]))


def _layer(entry: dict[str, Any]) -> str:
    return _exact((entry.get("Layer") or {}).get("DiffID"))


def _exact(value: Any) -> str:
    return "" if value is None else exact_text(value)


def _origin(layer: str, inherited: frozenset[str] | None) -> str:
    if inherited is None or not layer:
        return ""
    return "base" if layer in inherited else "own"


def _severity(entry: dict[str, Any]) -> str:
    severity = str(entry.get("Severity"))
    return severity if severity in SEVERITIES else "UNKNOWN"


def _url(entry: dict[str, Any]) -> str:
    """Return the finding's page; pages print it as a link, so it is one or nothing."""
    url = short_line(entry.get("PrimaryURL"), 500)
    return url if url.startswith("https://") else ""
