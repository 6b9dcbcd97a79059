"""A scanner that reports the findings that a test sets: ``MemoryScanner``, ``CannedFinding``."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import GateError
from aksci.oci.registry import read_configuration
from aksci.supply.scan.sbom import sbom_of_report
from aksci.supply.scan.scan_evidence import Package
from aksci.supply.scan.scanner import Database, Scanner, ScanReport
from aksci.supply.scan.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.scan.sbom import SbomFormat

__all__ = ["CannedFinding", "MemoryScanner"]

_SAMPLE = Package(
    name="sample", version="1.0", purl="pkg:deb/debian/sample@1.0", licences=("Apache-2.0",)
)
"""What every image has: one of which nothing is known would not pass."""
_SCANNERS = {"vulnerability": "vuln", "secret": "secret", "misconfiguration": "misconfig"}
"""Kind of a finding -> what has to be asked for."""
_PLATFORM = ("os", "architecture", "variant")


@dataclass(frozen=True, kw_only=True)
class CannedFinding:
    """One thing that a scan finds.

    >>> CannedFinding(id="CVE-2026-0001", package="openssl", fixed="").severity
    'CRITICAL'
    """

    id: str
    """Such as ``CVE-2026-0001``; of a secret or a misconfiguration, the rule's."""
    kind: Literal["vulnerability", "secret", "misconfiguration"] = "vulnerability"
    severity: str = "CRITICAL"
    package: str = "libsample"
    """Of a secret or a misconfiguration, the file."""
    installed: str = "1.0"
    fixed: str = "1.1"
    """Empty: there is no fix yet."""
    in_base: bool = False
    """Whether the base image brought it."""


class MemoryScanner(Scanner):
    """Reports canned findings per image, as Trivy would report them; the gate decides for itself.

    It looks at nothing in an image: what it was not told, it does not find. Each time it is told
    something, its database counts as a new one, so that what was scanned before is scanned again,
    as in life. It is called from several threads.

    >>> from aksci.testing import MemoryWorld
    >>> scanner = MemoryWorld().scanner
    >>> scanner.find("web", CannedFinding(id="CVE-2026-0001"))
    >>> scanner.scanned  # after a scan: each digest
    []

    :param connect: returns the registry of a host, to tell an image's layers.
    :param now: the clock that dates the database.
    """

    version = "memory 1"

    def __init__(self, connect: Callable[[str], Registry], *, now: Callable[[], datetime]) -> None:
        self._connect = connect
        self._now = now
        self._lock = threading.Lock()
        self._findings: dict[str, tuple[CannedFinding, ...]] = {}
        self._failures: dict[str, str] = {}
        self.scanned: list[ImageRef] = []
        """Each manifest that was scanned, in the order in which it began."""
        self._number = 0
        self._database = self._new_database()

    def find(self, image: str, *findings: CannedFinding) -> None:
        """Let the scans of an image find these, in place of what they found before; none: nothing.

        :param image: its name, which is the end of its repository.
        """
        with self._lock:
            self._findings[image] = findings
            self.refresh()

    def fail(self, image: str, message: str = "it was told to fail") -> None:
        """Let the scans of an image fail until ``recover``: that is never "nothing found"."""
        with self._lock:
            self._failures[image] = message
            self.refresh()

    def recover(self) -> None:
        """Let all scans succeed again."""
        self._failures.clear()

    def refresh(self) -> None:
        """Count the database as a new one, of now."""
        self._database = self._new_database()

    @property
    def database(self) -> Database:
        """The vulnerability database, dated when a test last changed its findings."""
        return self._database

    def scan(self, ref: ImageRef, *, scanners: frozenset[str]) -> dict[str, Any]:
        """Report the image's canned findings."""
        self.scanned.append(ref)
        for image, message in self._failures.items():
            if _is(image, ref):
                raise GateError(f"{ref} could not be scanned, so it does not pass.\n\n{message}")
        registry = self._connect(ref.registry)
        manifest = registry.manifest(ref.repository, ref.digest)
        config = read_configuration(registry, ref.repository, manifest)
        canned = [
            each
            for image, findings in self._findings.items()
            if _is(image, ref)
            for each in findings
            if _SCANNERS[each.kind] in scanners
        ]
        report = ScanReport(
            packages=(_SAMPLE,),
            findings=tuple(_in_layers(each, config.diff_ids) for each in canned),
            system="debian 12.0",
            layers=config.diff_ids,
        ).document(ref)
        # By it the gate tells which platform of a base the image is built on.
        platform = {key: config.document[key] for key in _PLATFORM if key in config.document}
        report["Metadata"]["ImageConfig"] = platform
        return report

    def make_sbom(self, report: dict[str, Any], form: SbomFormat) -> dict[str, Any]:
        """Return the packages of a report: the one that every image has."""
        return sbom_of_report(report, form)

    def _new_database(self) -> Database:
        self._number += 1
        return Database(identity=f"memory-{self._number}@{self._now().isoformat()}")


def _is(image: str, ref: ImageRef) -> bool:
    return f"/{ref.repository}".endswith(f"/{image}")


def _in_layers(canned: CannedFinding, layers: Sequence[str]) -> Finding:
    """Return a finding as it is in an image of these layers, the lowest first."""
    place = layers[0 if canned.in_base else -1] if layers else ""
    vulnerable = canned.kind == "vulnerability"
    return Finding(
        kind=canned.kind,
        id=canned.id,
        package=canned.package,
        installed=canned.installed if vulnerable else "line 1",
        fixed=canned.fixed if vulnerable else "",
        severity=canned.severity,
        title=canned.id,
        layer=place,
        purl=f"pkg:deb/debian/{canned.package}@{canned.installed}" if vulnerable else "",
        url=f"https://example.com/{canned.id}",
    )
