"""Bills of materials (SBOM) that are the same for the same image.

Trivy's carry a time and random identifiers: each would be stored again. CycloneDX 1.7, SPDX 2.3.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any, Literal

__all__ = ["BILL_TYPES", "BillFormat", "make_reproducible", "without_findings"]

BillFormat = Literal["cyclonedx", "spdx"]
BILL_TYPES: dict[BillFormat, str] = {
    "cyclonedx": "application/vnd.cyclonedx+json",
    "spdx": "application/spdx+json",
}
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_EPOCH = "1970-01-01T00:00:00Z"
_FINDINGS = ("Vulnerabilities", "Secrets", "Misconfigurations", "Licenses")


def without_findings(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report's packages only: a bill must not change with the database."""
    results = report.get("Results") or []
    return report | {
        "Results": [
            {key: value for key, value in result.items() if key not in _FINDINGS}
            for result in results
        ]
    }


def make_reproducible(bill: dict[str, Any], form: BillFormat) -> dict[str, Any]:
    """Return a bill without its time, its random identifiers made from what they identify.

    A time that the format requires becomes 1970, as in every image that is made here.
    """
    return _cyclonedx(bill) if form == "cyclonedx" else _spdx(bill)


def _cyclonedx(bill: dict[str, Any]) -> dict[str, Any]:
    bill = json.loads(json.dumps(bill))
    metadata = bill.get("metadata") or {}
    metadata.pop("timestamp", None)
    bill.pop("serialNumber", None)
    bill.pop("vulnerabilities", None)  # an empty list
    root = metadata.get("component") or {}
    names: dict[str, str] = {}
    for component in sorted((root, *bill.get("components", [])), key=_identity):
        reference = str(component.get("bom-ref"))
        if _UUID.fullmatch(reference):
            names[reference] = _uuid(root, component, len(names))
    text = _UUID.sub(lambda match: names.get(match[0], match[0]), json.dumps(bill))
    bill = dict(json.loads(text))
    for name, key in (("components", "bom-ref"), ("dependencies", "ref")):
        if isinstance(bill.get(name), list):
            bill[name].sort(key=lambda entry: str(entry.get(key)))
    for entry in bill.get("dependencies", []):
        entry["dependsOn"] = sorted(entry.get("dependsOn") or [])
    return bill | {"serialNumber": f"urn:uuid:{_uuid(root, bill)}"}


def _spdx(bill: dict[str, Any]) -> dict[str, Any]:
    undated: dict[str, Any] = json.loads(json.dumps(bill), object_hook=_undated)
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


def _stable(parts: Any) -> Any:
    """Leave out what is random itself."""
    return json.loads(_UUID.sub("", json.dumps(parts, sort_keys=True)))
