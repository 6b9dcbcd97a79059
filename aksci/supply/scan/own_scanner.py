"""Scanners of one's own, handed in or named by aksci.toml: what they tell is checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.errors import GateError, PartError
from aksci.core.text import short_line
from aksci.oci.artifact import canonical_json
from aksci.supply.scan.scanner import Database
from aksci.supply.scan.verdict import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.oci.references import ImageRef
    from aksci.supply.scan.sbom import SbomFormat
    from aksci.supply.scan.scanner import Scanner

__all__ = ["HandedScanner", "OwnScanner"]

_FINDINGS = ("Vulnerabilities", "Secrets", "Misconfigurations")


@dataclass(frozen=True)
class HandedScanner:
    """Wrap a scanner that code has handed in. It says itself who it is."""

    scanner: Scanner

    @property
    def version(self) -> str:
        """Its own."""
        return _identity(self.scanner, _HANDED)[0]

    @property
    def database(self) -> Database:
        """Its own."""
        return _identity(self.scanner, _HANDED)[1]

    def scan(self, ref: ImageRef, *, scanners: frozenset[str]) -> dict[str, Any]:
        """Return its report, which the gate reads and checks as it does Trivy's."""
        return _understood(self.scanner.scan(ref, scanners=scanners), ref, _HANDED)

    def make_sbom(self, report: dict[str, Any], form: SbomFormat) -> dict[str, Any]:
        """Return its bill of materials."""
        return _some(self.scanner.make_sbom(report, form), report, _HANDED)


_HANDED = "scanner that was handed in"


@dataclass(frozen=True, kw_only=True)
class OwnScanner:
    """Wrap a scanner. Its verdicts are bound to its name, its package and its options.

    A verdict that another scanner made, or this one with other options, is never used in its place.
    """

    scanner: Scanner
    name: str
    """Under which aksci.toml asks for it."""
    package: str
    """Which installed package offers it, with its version."""
    options: Mapping[str, Any]
    version: str = field(init=False)
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        told, database = _identity(self.scanner, self._who)
        # With the name first: no scanner of one's own is taken for a built-in one.
        version = f"{self.name} {told}, of {self.package}"
        if self.options:
            version += f", options {hashlib.sha256(canonical_json(self.options)).hexdigest()[:12]}"
        object.__setattr__(self, "version", version)
        object.__setattr__(self, "database", database)

    def scan(self, ref: ImageRef, *, scanners: frozenset[str]) -> dict[str, Any]:
        """Return its report, which the gate reads and checks as it does Trivy's."""
        return _understood(self.scanner.scan(ref, scanners=scanners), ref, self._who)

    def make_sbom(self, report: dict[str, Any], form: SbomFormat) -> dict[str, Any]:
        """Return its bill of materials."""
        return _some(self.scanner.make_sbom(report, form), report, self._who)

    @property
    def _who(self) -> str:
        return f"scanner {self.name!r} of {self.package}"


def _identity(scanner: Scanner, who: str) -> tuple[str, Database]:
    """Return a scanner's version and database, which are parts of a verdict's key."""
    told, database = scanner.version, scanner.database
    harmless = isinstance(told, str) and bool(told) and short_line(told) == told
    if not harmless or not isinstance(database, Database):
        raise PartError(f"The {who} does not tell its version, as one line, or its database.")
    identity = short_line(database.identity)
    if not identity or identity != database.identity:
        raise PartError(f"The {who} does not tell what its database is, as one line.")
    return told, database


def _understood(report: dict[str, Any], ref: ImageRef, who: str) -> dict[str, Any]:
    if not isinstance(report, dict) or not _has_known_severities(report):
        raise GateError(
            f"What the {who} reports on {ref} is not understood, so the image does not pass.",
            hint=f"severities are {', '.join(SEVERITIES)}; aksci.parts.ScanReport makes one.",
        )
    return report


def _some(sbom: dict[str, Any], report: dict[str, Any], who: str) -> dict[str, Any]:
    if not isinstance(sbom, dict) or not sbom:
        name = short_line(report.get("ArtifactName"))
        raise GateError(f"The {who} made no bill of materials of {name}.")
    return sbom


def _has_known_severities(report: dict[str, Any]) -> bool:
    """Tell whether each severity is one: what is written otherwise would count as unknown."""
    try:
        return all(
            entry["Severity"] in SEVERITIES
            for result in report.get("Results") or ()
            for name in _FINDINGS
            for entry in result.get(name) or ()
        )
    except (AttributeError, KeyError, TypeError):
        return False
