"""What a scanner is asked for, and the ``Scanner`` protocol that scanners implement."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from aksci.supply.scan.verdict import KINDS, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aksci.oci.references import ImageRef
    from aksci.supply.scan.sbom import SbomFormat
    from aksci.supply.scan.scan_evidence import Package
    from aksci.supply.scan.verdict import Finding

__all__ = ["Database", "ScanReport", "Scanner"]


@dataclass(frozen=True, kw_only=True)
class Database:
    """What a scanner compares an image with."""

    identity: str
    """Part of a verdict's key, one line: the same identity means the same content."""
    test: bool = False
    """It knows a handful of vulnerabilities only: see docs/security.md."""


class Scanner(Protocol):
    """Reports what is in one image. It decides nothing. Safe in several threads."""

    @property
    def version(self) -> str:
        """Name and version, one line: part of a verdict's key."""

    @property
    def database(self) -> Database:
        """What it compares with: the same one for as long as the scanner lives."""

    def scan(self, ref: ImageRef, *, scanners: frozenset[str]) -> dict[str, Any]:
        """Return Trivy's JSON report (schema 2) on one manifest; ``ScanReport`` makes one.

        :param scanners: of ``vuln``, ``secret``, ``misconfig`` and ``license``.
        :raises GateError: it could not scan, which is never clean.
        """

    def make_sbom(self, report: dict[str, Any], form: SbomFormat) -> dict[str, Any]:
        """Return a report's packages as a bill of materials, without scanning again.

        ``sbom_of_report`` makes one that is enough.
        """


@dataclass(frozen=True, kw_only=True)
class ScanReport:
    """What a scanner has found in one manifest, to be told as Trivy's JSON report.

    An image with neither system nor packages is one that the scanner knows nothing of: by default
    it does not pass.
    """

    packages: tuple[Package, ...] = ()
    """All packages, whether or not anything is wrong with them."""
    findings: tuple[Finding, ...] = ()
    """Those of ``packages``, and secrets and misconfigurations in files."""
    system: str = ""
    """Family and version, such as ``debian 12``; empty: there is none, or it is not known."""
    end_of_life: bool = False
    layers: tuple[str, ...] = ()
    """DiffIDs from the lowest up: with them, and each finding's ``layer``, the gate tells what the
    base image brought."""

    def document(self, ref: ImageRef) -> dict[str, Any]:
        """Return the report on a manifest, as JSON.

        >>> zlib = Package(name="zlib", version="1.3")
        >>> ScanReport(packages=(zlib,)).document(ref)  # doctest: +SKIP
        {'SchemaVersion': 2, 'ArtifactType': 'container_image', …}

        :raises ValueError: a finding has a kind or a severity that there is not.
        """
        for each in self.findings:
            # It would count as a finding of no severity, or as none.
            if each.severity not in SEVERITIES or each.kind not in KINDS:
                raise ValueError(f"{each.id}: {each.kind!r} of severity {each.severity!r}")
        family, _, release = self.system.partition(" ")
        system = {"OS": {"Family": family, "Name": release, "EOSL": self.end_of_life}}
        # A system without this class is one whose packages nobody has looked at.
        kind = "os-pkgs" if self.system else "lang-pkgs"
        packages = {
            "Target": self.system or "packages",
            "Class": kind,
            "Packages": [_package(each) for each in self.packages],
            "Vulnerabilities": [
                _vulnerability(each) for each in self.findings if each.kind == "vulnerability"
            ],
        }
        return {
            "SchemaVersion": 2,
            "ArtifactType": "container_image",
            "ArtifactName": str(ref),
            "Metadata": {
                **(system if self.system else {}),
                "RepoDigests": [f"{ref.name}@{ref.digest}"],
                "DiffIDs": list(self.layers),
            },
            "Results": [packages, *_files(self.findings)],
        }


def _package(package: Package) -> dict[str, Any]:
    return {
        "Name": package.name,
        "Version": package.version,
        "Identifier": {"PURL": package.purl},
        "Licenses": list(package.licences),
    }


def _vulnerability(finding: Finding) -> dict[str, Any]:
    return {
        "VulnerabilityID": finding.id,
        "PkgName": finding.package,
        "PkgIdentifier": {"PURL": finding.purl},
        "InstalledVersion": finding.installed,
        "FixedVersion": finding.fixed,
        **_common(finding),
    }


def _files(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return a result for each file with a secret or a misconfiguration."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for each in findings:
        if each.kind == "vulnerability":
            continue
        line = {"StartLine": int(each.installed.rpartition(" ")[2] or 0)}
        if each.kind == "secret":
            entry = {"RuleID": each.id, **line, **_common(each)}
            found[each.package]["Secrets"].append(entry)
        else:
            entry = {"ID": each.id, "Status": "FAIL", "CauseMetadata": line, **_common(each)}
            found[each.package]["Misconfigurations"].append(entry)
    return [{"Target": file, "Class": "custom", **entries} for file, entries in found.items()]


def _common(finding: Finding) -> dict[str, Any]:
    return {
        "Severity": finding.severity,
        "Title": finding.title,
        "Layer": {"DiffID": finding.layer},
        "PrimaryURL": finding.url,
    }
