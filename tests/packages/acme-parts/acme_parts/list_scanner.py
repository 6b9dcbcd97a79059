"""A scanner that reads an image's packages.txt, and knows which packages are forbidden."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from typing import Any

from aksci.errors import ConfigError
from aksci.parts import (
    Database,
    Finding,
    ImageRef,
    Package,
    PartContext,
    Registry,
    ScanReport,
    sbom_of_report,
)


@dataclass(frozen=True)
class ListScanner:
    registry: Registry
    forbidden: dict[str, str]
    """Package -> why."""
    version: str = "1.0"
    database: Database = Database(identity="acme list 2026-11")

    def scan(self, ref: ImageRef, *, scanners: frozenset[str]) -> dict[str, Any]:
        manifest = self.registry.manifest(ref.repository, ref.digest)
        packages, findings = [], []
        for layer in manifest.layers:
            content = io.BytesIO(self.registry.blob(ref.repository, layer.digest))
            with tarfile.open(fileobj=content) as tar:
                for name in tar.getnames():
                    if name.endswith("packages.txt"):
                        for line in tar.extractfile(name).read().decode().splitlines():
                            package, _, version = line.partition(" ")
                            packages.append(Package(name=package, version=version))
        for package in packages:
            if package.name in self.forbidden:
                findings.append(
                    Finding(
                        kind="vulnerability",
                        id=f"ACME-{package.name}",
                        package=package.name,
                        installed=package.version,
                        fixed="none of it",
                        severity="HIGH",
                        title=self.forbidden[package.name],
                    )
                )
        return ScanReport(packages=tuple(packages), findings=tuple(findings)).document(ref)

    def make_sbom(self, report: dict[str, Any], form: str) -> dict[str, Any]:
        return sbom_of_report(report, form)


def make(given: PartContext) -> ListScanner:
    forbidden = given.options.get("forbidden", {})
    if not isinstance(forbidden, dict):
        raise ConfigError(f"{given.where}: 'forbidden' is a table: package = \"why\".")
    return ListScanner(given.registry, forbidden)
