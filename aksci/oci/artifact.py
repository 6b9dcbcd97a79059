"""Write images and OCI artifacts, the same bytes for the same input."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aksci.oci.references import ImageRef
from aksci.oci.referrers import record_referrer
from aksci.oci.registry import Manifest, Registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Content", "canonical_json", "push_artifact", "push_image"]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_EMPTY = "application/vnd.oci.empty.v1+json"
_EMPTY_CONTENT = b"{}"
_EPOCH = "1970-01-01T00:00:00Z"


class FileRegistry(Registry, Protocol):
    """A registry that also takes files, so that a layer need not fit in memory."""

    def put_blob_file(self, repository: str, path: Path) -> str:
        """Store a file as a blob unless it is there already, and return its digest."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """One blob of an artifact."""

    media_type: str
    content: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)


def canonical_json(document: Any) -> bytes:
    """Encode JSON with sorted keys and no white space: one value, one digest."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def push_artifact(
    registry: Registry,
    repository: str,
    *,
    artifact_type: str,
    layers: Sequence[Content] = (),
    config: Content | None = None,
    annotations: Mapping[str, str] | None = None,
    subject: ImageRef | None = None,
    about: Manifest | None = None,
    tag: str | None = None,
) -> ImageRef:
    """Store an artifact and return its digest reference.

    Image specification 1.1, "Guidelines for Artifact Usage".

    :param subject: what the artifact is about; it is then found by ``list_referrers``.
    :param about: the subject's manifest, where it is at hand.
    """
    config = config or Content(media_type=_EMPTY, content=_EMPTY_CONTENT)
    contents = tuple(layers) or (Content(media_type=_EMPTY, content=_EMPTY_CONTENT),)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": _store(registry, repository, config),
        "layers": [_store(registry, repository, layer) for layer in contents],
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    if subject:
        found = about or registry.manifest(subject.repository, subject.digest)
        manifest["subject"] = _descriptor(found.media_type, found.digest, len(found.content))
    content = canonical_json(manifest)
    digest = registry.put_manifest(repository, content, MANIFEST, tag=tag)
    if subject:
        record_referrer(registry, repository, content)
    return ImageRef(registry.host, repository, digest)


def push_image(
    registry: FileRegistry,
    repository: str,
    tag: str,
    *,
    layers: Sequence[Path],
    config: Mapping[str, Any],
) -> ImageRef:
    """Store an image made of uncompressed tar files, lowest first; return its digest reference.

    The layers are gzipped here without name and time: the same files give the same digest.

    :param config: of the image specification, without ``rootfs``: at least ``architecture`` and
        ``os``; what the container runs is in its ``config`` table.
    """
    stored = [_store_layer(registry, repository, layer) for layer in layers]
    document = {
        "created": _EPOCH,
        **config,
        "rootfs": {"type": "layers", "diff_ids": [diff_id for diff_id, _ in stored]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _store(
            registry, repository, Content(media_type=_CONFIG, content=canonical_json(document))
        ),
        "layers": [descriptor for _, descriptor in stored],
    }
    digest = registry.put_manifest(repository, canonical_json(manifest), MANIFEST, tag=tag)
    return ImageRef(registry.host, repository, digest)


def _store(registry: Registry, repository: str, content: Content) -> dict[str, Any]:
    digest = registry.put_blob(repository, content.content)
    descriptor = _descriptor(content.media_type, digest, len(content.content))
    if content.annotations:
        descriptor["annotations"] = dict(content.annotations)
    return descriptor


def _store_layer(registry: FileRegistry, repository: str, tar: Path) -> tuple[str, dict[str, Any]]:
    """Store one layer; return its DiffID (of the tar) and its descriptor (of the gzip)."""
    with tempfile.TemporaryDirectory(prefix="aksci-layer-") as folder:
        packed = Path(folder) / "layer.tar.gz"
        with tar.open("rb") as source, packed.open("wb") as raw:
            diff_id = "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()
            source.seek(0)
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as target:
                shutil.copyfileobj(source, target, 1 << 20)
        digest = registry.put_blob_file(repository, packed)
        return diff_id, _descriptor(_LAYER, digest, packed.stat().st_size)


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}
