"""A scanner that reads an image's packages.txt, and knows which packages are forbidden."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.errors import ConfigError
from aksci.parts import Database, Finding, Package, ScanReport, sbom_of_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.parts import ImageRef, PartContext, Registry


@dataclass(frozen=True)
class ListScanner:
    registry: Registry
    forbidden: Mapping[str, str]
    """Package -> why."""
    version: str = "1.0"
    database: Database = field(default_factory=lambda: Database(identity="acme list 2026-11"))

    def scan(self, ref: ImageRef, *, scanners: frozenset[str]) -> dict[str, Any]:  # noqa: ARG002
        packages = tuple(self._packages(ref))
        findings = tuple(
            Finding(
                kind="vulnerability",
                id=f"ACME-{each.name}",
                package=each.name,
                installed=each.version,
                fixed="none of it",
                severity="HIGH",
                title=self.forbidden[each.name],
            )
            for each in packages
            if each.name in self.forbidden
        )
        return ScanReport(packages=packages, findings=findings).document(ref)

    def make_sbom(self, report: dict[str, Any], form: str) -> dict[str, Any]:
        return sbom_of_report(report, form)

    def _packages(self, ref: ImageRef) -> Iterator[Package]:
        for layer in self.registry.manifest(ref.repository, ref.digest).layers:
            content = io.BytesIO(self.registry.blob(ref.repository, layer.digest))
            with tarfile.open(fileobj=content) as tar:
                for entry in tar:
                    if entry.name.endswith("packages.txt"):
                        for line in tar.extractfile(entry).read().decode().splitlines():
                            name, _, version = line.partition(" ")
                            yield Package(name=name, version=version)


def make(given: PartContext) -> ListScanner:
    forbidden = given.options.get("forbidden", {})
    if not isinstance(forbidden, dict):
        raise ConfigError(f"{given.where}: 'forbidden' is a table: package = \"why\".")
    return ListScanner(given.registry, forbidden)
