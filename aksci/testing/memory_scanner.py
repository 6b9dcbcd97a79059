"""A scanner that finds what it was told to find: ``MemoryScanner`` and ``CannedFinding``."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import GateError
from aksci.oci.registry import read_configuration
from aksci.supply.scan.database import Database
from aksci.supply.scan.trivy import Scanner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.scan.sbom import SbomFormat

__all__ = ["CannedFinding", "MemoryScanner"]

_PACKAGE = {
    "Name": "sample",
    "Version": "1.0",
    "Identifier": {"PURL": "pkg:deb/debian/sample@1.0"},
    "Licenses": ["Apache-2.0"],
}
"""What every image has: nothing known of an image would fail the gate."""


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
    """Empty: nobody has fixed it yet."""
    in_base: bool = False
    """Whether the base image brought it."""


class MemoryScanner(Scanner):
    """Reports canned findings per image, as Trivy would report them; the gate decides for itself.

    It looks at nothing in an image: what it was not told, it does not find. Each time it is told
    something, its database counts as a new one, so that what was scanned before is scanned again,
    as in life. It is called from several threads.

    >>> scanner = MemoryScanner(connect, now=clock)  # doctest: +SKIP
    >>> scanner.find("web", CannedFinding(id="CVE-2026-0001"))  # doctest: +SKIP
    >>> [ref.repository for ref in scanner.scanned]  # after a scan  # doctest: +SKIP
    ['shop/web']

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
        self._database = self._new_database(1)

    def find(self, image: str, *findings: CannedFinding) -> None:
        """Let the scans of an image find these, in place of what they found before; none: nothing.

        :param image: its name, which is the end of its repository.
        """
        with self._lock:
            self._findings[image] = findings
            self.refresh()

    def fail(self, image: str, message: str = "it was told to fail") -> None:
        """Let the scans of an image fail: that is never "nothing found". Until ``recover``."""
        with self._lock:
            self._failures[image] = message
            self.refresh()

    def recover(self) -> None:
        """Let all scans end well again."""
        self._failures.clear()

    def refresh(self) -> None:
        """Count the database as a new one, of now."""
        number = int(self._database.name.rpartition(" ")[2])
        self._database = self._new_database(number + 1)

    @property
    def database(self) -> Database:
        """What it compares with; dated when it was last told something."""
        return self._database

    def scan(self, ref: ImageRef, *, scanners: frozenset[str]) -> dict[str, Any]:
        """Report what was canned for the image."""
        self.scanned.append(ref)
        for image, message in self._failures.items():
            if _is(image, ref):
                raise GateError(f"{ref} could not be scanned, so it does not pass.\n\n{message}")
        layers, config = self._layers(ref)
        found = [
            one for name, each in self._findings.items() if _is(name, ref) for one in each
        ]  # fmt: skip
        return {
            "SchemaVersion": 2,
            "ArtifactName": str(ref),
            "ArtifactType": "container_image",
            "Metadata": {
                "OS": {"Family": "debian", "Name": "12.0"},
                "DiffIDs": list(layers),
                "RepoDigests": [str(ref)],
                "ImageConfig": config,
            },
            "Results": list(_results(found, layers, scanners)),
        }

    def make_sbom(self, report: dict[str, Any], form: SbomFormat) -> dict[str, Any]:
        """Return the packages that every image has; of the format, as little as may be."""
        name = str(report["ArtifactName"])
        if form == "spdx":
            package = {"SPDXID": "SPDXRef-sample", "name": "sample", "versionInfo": "1.0"}
            return {"spdxVersion": "SPDX-2.3", "name": name, "packages": [package]}
        component = {"type": "library", "name": "sample", "version": "1.0"}
        root = {"type": "container", "name": name}
        return {
            "bomFormat": "CycloneDX",
            "specVersion": "1.7",
            "metadata": {"component": root},
            "components": [component],
        }

    def _layers(self, ref: ImageRef) -> tuple[tuple[str, ...], Mapping[str, Any]]:
        """Return an image's layers, the lowest first, and its platform."""
        registry = self._connect(ref.registry)
        manifest = registry.manifest(ref.repository, ref.digest)
        found = read_configuration(registry, ref.repository, manifest)
        platform = {key: found.document.get(key, "") for key in ("os", "architecture", "variant")}
        return found.diff_ids, {key: value for key, value in platform.items() if value}

    def _new_database(self, number: int) -> Database:
        now = self._now()
        return Database(
            folder=Path("no-folder"),
            updated_at=now,
            name=f"memory {number}",
            identity=f"memory-{number}@{now.isoformat()}",
            test=False,
        )


def _is(image: str, ref: ImageRef) -> bool:
    return f"/{ref.repository}".endswith(f"/{image}")


def _results(
    found: list[CannedFinding], layers: tuple[str, ...], scanners: frozenset[str]
) -> list[dict[str, Any]]:
    """Sort findings into the results of a report, as far as they were asked for."""
    entries: dict[str, list[dict[str, Any]]] = {
        "vulnerability": [], "secret": [], "misconfiguration": []
    }  # fmt: skip
    for one in found:
        # The lowest layer is the base's; the image's own is on top.
        layer = {"DiffID": layers[0 if one.in_base else -1]} if layers else {}
        entries[one.kind].append({**_entry(one), "Severity": one.severity, "Layer": layer})
    results: list[dict[str, Any]] = [
        {
            "Target": "debian",
            "Class": "os-pkgs",
            "Type": "debian",
            "Packages": [_PACKAGE],
            "Vulnerabilities": entries["vulnerability"],
        }
    ]
    if "secret" in scanners:
        results += [
            {"Target": one.pop("Target"), "Class": "secret", "Secrets": [one]}
            for one in entries["secret"]
        ]
    if "misconfig" in scanners:
        results += [
            {"Target": one.pop("Target"), "Class": "config", "Misconfigurations": [one]}
            for one in entries["misconfiguration"]
        ]
    return results


def _entry(one: CannedFinding) -> dict[str, Any]:
    if one.kind == "secret":
        return {"Target": one.package, "RuleID": one.id, "Title": one.id, "StartLine": 1}
    if one.kind == "misconfiguration":
        return {"Target": one.package, "ID": one.id, "Title": one.id, "Status": "FAIL"}
    return {
        "VulnerabilityID": one.id,
        "PkgName": one.package,
        "InstalledVersion": one.installed,
        "FixedVersion": one.fixed,
        "PkgIdentifier": {"PURL": f"pkg:deb/debian/{one.package}@{one.installed}"},
        "PrimaryURL": f"https://example.com/{one.id}",
    }
