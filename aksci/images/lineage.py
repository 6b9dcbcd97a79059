"""What an image was made of, stored beside it in the registry as a referrer.

It is not in the image's own manifest: two builds that give the same bytes then have the same
digest, whatever commit or comment asked for them, and the images that stand on it need no new build
(docs/adr/0003-lineage.md).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.errors import NotFoundInRegistry
from aksci.registry import list_referrers, push_artifact
from aksci.registry.push import Content, canonical_json
from aksci.registry.refs import ImageRef

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from aksci.registry import Registry

__all__ = ["ARTIFACT_TYPE", "Lineage", "read_lineage", "write_lineage"]

ARTIFACT_TYPE = "application/vnd.aksci.build.v1+json"
_PROVENANCE = "application/vnd.aksci.buildkit-provenance.v0.2+json"
_CREATED = "org.opencontainers.image.created"


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """One build's inputs."""

    image: str
    key_schema: int
    input_key: str
    source: Mapping[str, Any]
    """``Source.document()``."""
    parents: Mapping[str, str]
    """Full reference -> digest."""
    revision: str
    """Commit of the source tree; empty where unknown."""


def write_lineage(
    registry: Registry,
    ref: ImageRef,
    lineage: Lineage,
    *,
    provenance: Mapping[str, Any] | None,
    now: datetime,
) -> ImageRef:
    """Store a build's inputs, and its provenance if there is one, beside the image."""
    document = {
        "schema": 1,
        "image": lineage.image,
        "keySchema": lineage.key_schema,
        "inputKey": lineage.input_key,
        "source": lineage.source,
        "parents": lineage.parents,
        "revision": lineage.revision,
    }
    layers = [Content(media_type=ARTIFACT_TYPE, content=canonical_json(document))]
    if provenance:
        layers.append(Content(media_type=_PROVENANCE, content=canonical_json(provenance)))
    annotations = {
        _CREATED: now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "dev.aksci.input-key": lineage.input_key,
    }
    if lineage.revision:
        annotations["org.opencontainers.image.revision"] = lineage.revision
    return push_artifact(
        registry,
        ref.repository,
        artifact_type=ARTIFACT_TYPE,
        layers=layers,
        annotations=annotations,
        subject=ref,
    )


def read_lineage(registry: Registry, repository: str, reference: str) -> Lineage | None:
    """Return the inputs of the latest build that gave the image of a tag; None when unknown."""
    digest = registry.resolve(repository, reference)
    if digest is None:
        return None
    ref = ImageRef(registry.host, repository, digest)
    found = list_referrers(registry, ref, artifact_type=ARTIFACT_TYPE)
    if not found:
        return None
    latest = max(found, key=lambda entry: (entry.get("annotations") or {}).get(_CREATED, ""))
    try:
        manifest = json.loads(registry.manifest(repository, latest["digest"]).content)
        document = json.loads(registry.blob(repository, manifest["layers"][0]["digest"]))
        return Lineage(
            image=document["image"],
            key_schema=document["keySchema"],
            input_key=document["inputKey"],
            source=document["source"],
            parents=document["parents"],
            revision=document["revision"],
        )
    except (NotFoundInRegistry, ValueError, KeyError, TypeError, IndexError):
        return None  # a damaged record explains nothing; it decides nothing either
