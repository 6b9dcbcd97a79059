"""Software bills of materials (SBOM) that are the same for the same image.

Trivy's carry a time and random identifiers: each would be stored again. CycloneDX 1.7, SPDX 2.3.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SBOM_TYPES", "SbomFormat", "make_reproducible", "sbom_of_report", "without_findings"]

SbomFormat = Literal["cyclonedx", "spdx"]
SBOM_TYPES: dict[SbomFormat, str] = {
    "cyclonedx": "application/vnd.cyclonedx+json",
    "spdx": "application/spdx+json",
}
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_EPOCH = "1970-01-01T00:00:00Z"
_FINDINGS = ("Vulnerabilities", "Secrets", "Misconfigurations", "Licenses")


def without_findings(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report's packages only: an SBOM must not change with the database."""
    results = report.get("Results") or []
    return report | {
        "Results": [
            {key: value for key, value in result.items() if key not in _FINDINGS}
            for result in results
        ]
    }


def make_reproducible(sbom: dict[str, Any], form: SbomFormat) -> dict[str, Any]:
    """Return an SBOM without its time, its random identifiers made from what they identify.

    A time that the format requires becomes 1970, as in every image that is made here.
    """
    return _cyclonedx(sbom) if form == "cyclonedx" else _spdx(sbom)


def sbom_of_report(report: dict[str, Any], form: SbomFormat) -> dict[str, Any]:
    """Return the packages of a report as a bill of materials: their names, versions, URLs.

    For scanners that make none themselves.
    """
    name = str(report["ArtifactName"])
    packages = [each for result in report["Results"] for each in result.get("Packages") or ()]
    make = _plain_cyclonedx if form == "cyclonedx" else _plain_spdx
    return make_reproducible(make(name, packages), form)


def _plain_cyclonedx(name: str, packages: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "bom-ref": name}},
        "components": [
            {
                "type": "library",
                "bom-ref": f"{number}-{each['Name']}",
                "name": each["Name"],
                "version": each["Version"],
                **({"purl": purl} if (purl := each["Identifier"]["PURL"]) else {}),
                "licenses": [{"license": {"name": text}} for text in each["Licenses"]],
            }
            for number, each in enumerate(packages)
        ],
    }


def _plain_spdx(name: str, packages: list[dict[str, Any]]) -> dict[str, Any]:
    image = {"SPDXID": "SPDXRef-Image", "name": name, "downloadLocation": "NOASSERTION"}
    described = [
        {
            "SPDXID": f"SPDXRef-Package-{number}",
            "name": each["Name"],
            "versionInfo": each["Version"],
            "downloadLocation": "NOASSERTION",
            "externalRefs": [
                {
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": purl,
                }
                for purl in [each["Identifier"]["PURL"]]
                if purl
            ],
        }
        for number, each in enumerate(packages)
    ]
    contains = [
        {
            "spdxElementId": "SPDXRef-Image",
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": each["SPDXID"],
        }
        for each in described
    ]
    describes = {
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-Image",
    }
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        # Its identifier is made from the content: see ``_spdx``.
        "documentNamespace": f"https://aksci.dev/spdx/{uuid.UUID(int=0)}",
        "creationInfo": {"creators": ["Tool: aksci"]},
        "packages": [image, *described],
        "relationships": [describes, *contains],
    }


def _cyclonedx(sbom: dict[str, Any]) -> dict[str, Any]:
    sbom = json.loads(json.dumps(sbom))
    metadata = sbom.get("metadata") or {}
    metadata.pop("timestamp", None)
    sbom.pop("serialNumber", None)
    sbom.pop("vulnerabilities", None)  # an empty list
    root = metadata.get("component") or {}
    names: dict[str, str] = {}
    identify = _identifier(root)
    for component in sorted((root, *sbom.get("components", [])), key=_identity):
        reference = str(component.get("bom-ref"))
        if _UUID.fullmatch(reference):
            names[reference] = str(identify(component, len(names)))
    text = _UUID.sub(lambda match: names.get(match[0], match[0]), json.dumps(sbom))
    sbom = dict(json.loads(text))
    for name, key in (("components", "bom-ref"), ("dependencies", "ref")):
        if isinstance(sbom.get(name), list):
            sbom[name].sort(key=lambda entry: str(entry.get(key)))
    for entry in sbom.get("dependencies", []):
        entry["dependsOn"] = sorted(entry.get("dependsOn") or [])
    return sbom | {"serialNumber": f"urn:uuid:{_uuid(root, sbom)}"}


def _spdx(sbom: dict[str, Any]) -> dict[str, Any]:
    undated: dict[str, Any] = json.loads(json.dumps(sbom), object_hook=_undated)
    undated["creationInfo"] = {**(undated.get("creationInfo") or {}), "created": _EPOCH}
    # The namespace has to be unique to the document: it is made from its content.
    name = _uuid(undated)
    undated["documentNamespace"] = _UUID.sub(name, str(undated.get("documentNamespace")))
    return undated


def _undated(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"annotationDate": _EPOCH} if "annotationDate" in entry else entry


def _identity(component: dict[str, Any]) -> str:
    return json.dumps(
        {key: value for key, value in component.items() if key != "bom-ref"}, sort_keys=True
    )


def _uuid(*parts: Any) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(_stable(parts), sort_keys=True)))


def _identifier(first: Any) -> Callable[..., uuid.UUID]:
    """Return ``_uuid(first, …)``, with the first part encoded once: an image's labels are in it."""
    begun = hashlib.sha1(uuid.NAMESPACE_OID.bytes, usedforsecurity=False)  # RFC 9562, version 5
    begun.update(("[" + _encoded(first)).encode())

    def identify(*parts: Any) -> uuid.UUID:
        state = begun.copy()
        state.update("".join(f", {_encoded(part)}" for part in parts).encode() + b"]")
        return uuid.UUID(bytes=state.digest()[:16], version=5)

    return identify


def _encoded(part: Any) -> str:
    return json.dumps(_stable(part), sort_keys=True)


def _stable(parts: Any) -> Any:
    """Leave out what is random itself."""
    return json.loads(_UUID.sub("", json.dumps(parts, sort_keys=True)))
