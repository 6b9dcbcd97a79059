"""What a verdict rests on, stored beside the image: Trivy's report and the bill of materials.

OCI artifacts that refer to the manifest that was scanned. The verdict names the reports by digest:
who trusts the verdict may trust them.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DamagedInRegistry, GateError, NotFoundInRegistry
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.core.text import short_line
from aksci.core.unpack import unpack_gzip
from aksci.oci.artifact import Content, canonical_json, push_artifact, read_artifact
from aksci.supply.scan.sbom import SBOM_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.scan.sbom import SbomFormat
    from aksci.supply.scan.verdict import Verdict

__all__ = [
    "LARGEST_REPORT",
    "MOST_IN_REPORT",
    "REPORT_TYPE",
    "Package",
    "load_packages",
    "load_report",
    "store_report",
    "store_sbom",
]

REPORT_TYPE = "application/vnd.aksci.report.v1+json"
_LAYER_TYPE = "application/vnd.aksci.report.v1+gzip"
LARGEST_REPORT = 256 << 20
"""Bytes of a report, unpacked."""
MOST_IN_REPORT = 5_000_000
"""Values of one: a package has about thirty, and the names of its files."""
_VOLATILE = ("CreatedAt", "ReportID", "ArtifactID")


@dataclass(frozen=True, kw_only=True, order=True)
class Package:
    """One package in an image. Every text has passed the sanitiser."""

    name: str
    version: str
    purl: str = ""
    licences: tuple[str, ...] = ()


def store_report(registry: Registry, ref: ImageRef, report: dict[str, Any]) -> str:
    """Store the report on a manifest, and return the artifact's digest.

    What changes from scan to scan is left out; so is the image's configuration, which may hold
    secrets and which the registry has anyway.
    """
    kept = {key: value for key, value in report.items() if key not in _VOLATILE}
    metadata = {k: v for k, v in kept.get("Metadata", {}).items() if k != "ImageConfig"}
    content = canonical_json(kept | {"Metadata": metadata})
    stored = push_artifact(
        registry,
        ref.repository,
        artifact_type=REPORT_TYPE,
        layers=[Content(media_type=_LAYER_TYPE, content=gzip.compress(content, mtime=0))],
        subject=ref,
    )
    return stored.digest


def store_sbom(registry: Registry, ref: ImageRef, sbom: dict[str, Any], form: SbomFormat) -> str:
    """Store a manifest's bill of materials, and return the artifact's digest."""
    kind = SBOM_TYPES[form]
    stored = push_artifact(
        registry,
        ref.repository,
        artifact_type=kind,
        layers=[Content(media_type=kind, content=canonical_json(sbom))],
        subject=ref,
    )
    return stored.digest


def load_packages(registry: Registry, verdict: Verdict) -> tuple[Package, ...]:
    """Return the packages of an image, those of all platforms, by name.

    :raises GateError: a report is missing, or is not the one that the verdict names.
    """
    found = {
        package
        for digest in verdict.reports
        for package in _packages(load_report(registry, verdict, digest))
    }
    return tuple(sorted(found))


def load_report(registry: Registry, verdict: Verdict, digest: str) -> dict[str, Any]:
    """Return one of the reports that a verdict names.

    :raises GateError: it is missing, damaged, or about something else.
    """
    name = f"{verdict.image.name}@{digest}"
    if digest not in verdict.reports:
        raise GateError(f"The verdict on {verdict.image} does not name the report {digest}.")
    image = verdict.image
    try:
        artifact = read_artifact(registry, image.repository, digest, artifact_type=REPORT_TYPE)
        content = unpack_gzip(artifact.read(largest=LARGEST_REPORT), largest=LARGEST_REPORT)
        report = parse_json(content, largest=LARGEST_REPORT, most_values=MOST_IN_REPORT)
        # The subject, not the image: of an index, each platform's manifest was scanned. Nor its
        # registry: a promoted image's report tells the first one's.
        about = f"{image.repository}@{artifact.manifest.subject}"
        if str(report["ArtifactName"]).partition("/")[2] != about:
            raise ValueError("it is about something else")
    except NotFoundInRegistry:
        raise GateError(f"The report {name} is not in the registry any more.") from None
    except DamagedInRegistry as error:
        raise GateError(f"The report {name} is not used: {short_line(error.why)}.") from None
    except MALFORMED as error:
        raise GateError(f"The report {name} is not used: {short_line(error)}.") from None
    return dict(report)


def _packages(report: dict[str, Any]) -> Iterator[Package]:
    try:
        for result in report.get("Results") or []:
            for entry in result.get("Packages") or []:
                yield Package(
                    name=short_line(entry["Name"]),
                    version=_version(entry),
                    purl=short_line((entry.get("Identifier") or {}).get("PURL"), 1000),
                    licences=tuple(sorted(map(short_line, entry.get("Licenses") or []))),
                )
    except MALFORMED as error:
        raise GateError(
            f"A stored report's packages are not understood ({short_line(repr(error))})."
        ) from None


def _version(entry: dict[str, Any]) -> str:
    """Return a version as Trivy prints it: distributions' come in parts."""
    epoch = f"{entry['Epoch']}:" if entry.get("Epoch") else ""
    release = f"-{entry['Release']}" if entry.get("Release") else ""
    return short_line(f"{epoch}{entry.get('Version') or ''}{release}")
