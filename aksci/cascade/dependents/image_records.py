"""Read what an image in a registry says of itself. All of it is whatever somebody has pushed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aksci.cascade.dependents.survey_result import Record
from aksci.images.annotations import BASE_DIGEST, BASE_NAME
from aksci.images.lineage import ARTIFACT_TYPE, read_lineage
from aksci.oci.referrers import list_referrers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.images.lineage import Lineage
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["DAMAGE", "read_lineage_of", "read_record"]

DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What reading a damaged document raises; ArithmeticError: JSON has Infinity in Python."""
_CONFIGS = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
_MANIFESTS = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_KIND = "vnd.docker.reference.type"


def read_record(registry: Registry, ref: ImageRef) -> Record:
    """Read one image: two requests where it has no lineage, up to six otherwise.

    :raises RegistryError: the registry failed.
    """
    document = json.loads(registry.manifest(ref.repository, ref.digest).content)
    annotations = _texts(document.get("annotations"))
    platforms = [one for one in document.get("manifests") or [] if _is_platform(one)]
    if not (platforms or _is_image(document)):
        return Record(image=False)
    lineage = read_lineage_of(registry, ref)
    base = _base(annotations)
    if lineage is None and base is None and platforms:
        # Annotations of an image with several platforms may be on each of them only.
        child = registry.manifest(ref.repository, platforms[0]["digest"])
        base = _base(_texts(json.loads(child.content).get("annotations")))
    return Record(image=True, base=base, lineage=lineage)


def read_lineage_of(registry: Registry, ref: ImageRef) -> Lineage | None:
    """Return the record of the latest build, if there is one; one request where there is none."""
    if not list_referrers(registry, ref, artifact_type=ARTIFACT_TYPE):
        return None
    return read_lineage(registry, ref.repository, ref.digest)


def _texts(annotations: Any) -> dict[str, str]:
    """Leave out what is no text; without any there is nothing."""
    found: Mapping[Any, Any] = annotations if isinstance(annotations, dict) else {}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _base(annotations: Mapping[str, str]) -> tuple[str, str] | None:
    name = annotations.get(BASE_NAME)
    return (name, annotations.get(BASE_DIGEST, "")) if name else None


def _is_image(document: dict[str, Any]) -> bool:
    config = document.get("config")
    return (
        isinstance(config, dict)
        and config.get("mediaType") in _CONFIGS
        and not document.get("artifactType")
    )


def _is_platform(entry: dict[str, Any]) -> bool:
    """Tell a platform's manifest from an attestation, and from a layer of a cache."""
    annotations = entry.get("annotations") or {}
    return entry.get("mediaType") in _MANIFESTS and _KIND not in annotations
