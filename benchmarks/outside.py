"""A base from outside the repositories that are measured: Debian, and one layer that moves."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.oci.artifact import canonical_json

if TYPE_CHECKING:
    from aksci.oci.client import RegistryClient

__all__ = ["Outside", "layers_of"]

_DEBIAN = ("library/debian", "bookworm-slim")
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_TAG = "1"


@dataclass(frozen=True, kw_only=True)
class Outside:
    """One base in the registry, under one tag."""

    registry: RegistryClient
    repository: str

    @property
    def reference(self) -> str:
        """What Dockerfiles call it."""
        return f"{self.registry.host}/{self.repository}:{_TAG}"

    def move(self) -> None:
        """Push a version that never was before: Debian with another /etc/version."""
        debian = json.loads(self.registry.manifest(*_DEBIAN).content)
        config = json.loads(self.registry.blob(_DEBIAN[0], debian["config"]["digest"]))
        for layer in debian["layers"]:
            self.registry.mount_blob(self.repository, layer["digest"], _DEBIAN[0])
        content = _version_layer(f"{uuid.uuid4()}\n".encode())
        config["rootfs"]["diff_ids"].append(f"sha256:{hashlib.sha256(content).hexdigest()}")
        # As all images that a public registry serves: an entry for each layer. The embedded
        # platform's own Debian has none.
        config["history"] = [{"created_by": "ADD"} for _ in config["rootfs"]["diff_ids"]]
        debian["config"] |= self._store(canonical_json(config))
        debian["layers"].append({"mediaType": _LAYER, **self._store(content)})
        self.registry.put_manifest(
            self.repository, canonical_json(debian), debian["mediaType"], tag=_TAG
        )

    def version(self) -> str:
        """Return the digest of the layer that its last move has brought."""
        return layers_of(self.registry, self.repository, _TAG)[-1]

    def _store(self, content: bytes) -> dict[str, Any]:
        digest = self.registry.put_blob(self.repository, content)
        return {"digest": digest, "size": len(content)}


def layers_of(registry: RegistryClient, repository: str, tag: str) -> list[str]:
    """Return the layers of an image for one platform; attestations beside it don't count."""
    document = json.loads(registry.manifest(repository, tag).content)
    if "manifests" in document:
        document = json.loads(
            registry.manifest(repository, document["manifests"][0]["digest"]).content
        )
    return [layer["digest"] for layer in document["layers"]]


def _version_layer(text: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("etc/version")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return packed.getvalue()
