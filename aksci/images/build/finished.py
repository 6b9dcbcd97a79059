"""What is finished in the registry, and the identity by which its children's keys know it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry
from aksci.images.keys import in_tag
from aksci.oci.manifest import parse_descriptor

if TYPE_CHECKING:
    from aksci.oci.manifest import Manifest
    from aksci.oci.registry import Registry

__all__ = ["Finished", "content_identity", "find_finished"]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """One image that the registry has."""

    digest: str
    identity: str
    """See ``content_identity``. The digest itself unless attestations are attached."""


def find_finished(
    registry: Registry, repository: str, key: str, *, attested: bool
) -> Finished | None:
    """Return the finished build of an input key, or None. It takes one request.

    :param attested: attestations may be attached, so that the manifest must be read.
    """
    if not attested:
        digest = registry.resolve(repository, in_tag(key))
        return Finished(digest=digest, identity=digest) if digest else None
    try:
        manifest = registry.manifest(repository, in_tag(key))
    except NotFoundInRegistry:
        return None
    return Finished(digest=manifest.digest, identity=content_identity(manifest))


def content_identity(manifest: Manifest) -> str:
    """Return what stays the same when the same image is built again: ``sha256:`` and 64 digits.

    That is the digest, but for an index with attestations, whose times differ in each build. It
    counts without them: as the one platform's manifest, or as a hash over all platforms' manifests.
    An entry that something may run is never left out, whatever it is called.

    Source: BuildKit, "Image Attestation Storage".
    """
    try:
        entries, images = manifest.entries, manifest.images
    except DamagedInRegistry:  # a damaged one is nothing but itself
        return manifest.digest
    if len(images) == len(entries) or not images:
        return manifest.digest
    if len(images) == 1:
        return images[0].digest
    listed = sorted(
        json.dumps([one.get("platform"), one["digest"]], sort_keys=True)
        for one in manifest.document["manifests"]
        if not parse_descriptor(one).is_attestation
    )
    return "sha256:" + hashlib.sha256("\n".join(listed).encode()).hexdigest()
