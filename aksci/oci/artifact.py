"""Push, find and read artifacts: what is kept beside an image, or under a tag of its own.

Image specification 1.1, "Guidelines for Artifact Usage". The same input gives the same bytes. What
is read can have been written by whoever may push: who trusts it has to know why.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.allowance import Allowance
from aksci.core.concurrency import gather
from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry, RegistryError
from aksci.core.strict_json import parse_json
from aksci.oci.manifest import (
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    parse_descriptor,
)
from aksci.oci.references import ImageRef, digest_of, is_digest
from aksci.oci.referrers import list_referrers, record_referrer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aksci.oci.registry import Registry

__all__ = [
    "CREATED",
    "Artifact",
    "Content",
    "attach",
    "attached",
    "canonical_json",
    "find_artifacts",
    "newest_first",
    "push_artifact",
    "push_image",
    "read_artifact",
]

CREATED = "org.opencontainers.image.created"
"""Annotation: when it was made, in UTC, as ``2026-11-23T12:00:00Z``."""
LARGEST_LAYER = 64 << 20
"""Bytes of a layer that are read unless a caller says otherwise."""
_MOST_LISTED = 20_000
_MOST_ATTACHED = 256 << 20  # bytes
_THREADS = 8
_EMPTY_CONTENT = b"{}"
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Content:
    """One blob of an artifact."""

    media_type: str
    content: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One artifact that was found and is of the type that was asked for."""

    ref: ImageRef
    manifest: Manifest
    registry: Registry = field(repr=False, compare=False)

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations."""
        return self.manifest.annotations

    def layer(self, media_type: str = "") -> Descriptor:
        """Return the first layer, or the first of a media type.

        :raises DamagedInRegistry: there is none.
        """
        for layer in self.manifest.layers:
            if media_type in {"", layer.media_type}:
                return layer
        raise self.manifest.damaged(f"it has no layer {media_type}".rstrip())

    def read(self, layer: Descriptor | None = None, *, largest: int = LARGEST_LAYER) -> bytes:
        """Return a layer's content, the first one's unless another is given.

        :raises DamagedInRegistry: it is larger than is allowed, or not what its digest says.
        :raises NotFoundInRegistry: it is gone.
        """
        chosen = layer or self.layer()
        if not is_digest(chosen.digest):
            raise self.manifest.damaged("a layer has no digest")
        if (chosen.size or 0) > largest:  # before it is fetched
            raise self.manifest.damaged(f"its content has more than {largest:,} bytes")
        content = self.registry.blob(self.ref.repository, chosen.digest)
        _require_content(content, chosen.digest, self.manifest)
        if len(content) > largest:
            raise self.manifest.damaged(f"its content has more than {largest:,} bytes")
        return content

    def read_json(self, layer: Descriptor | None = None, *, largest: int = LARGEST_LAYER) -> Any:
        """Return a layer's content as JSON. It raises what ``read`` does."""
        try:
            return parse_json(self.read(layer, largest=largest))
        except ValueError as error:
            raise self.manifest.damaged(f"its content is no JSON ({error})") from None


def find_artifacts(registry: Registry, ref: ImageRef, artifact_type: str) -> tuple[Descriptor, ...]:
    """Return what of one type refers to an image, the newest first by what it says itself.

    :raises RegistryError: the registry can't be asked, or its list is damaged.
    """
    listed = list_referrers(registry, ref, artifact_type=artifact_type)
    found = [parse_descriptor(entry) for entry in listed]
    return tuple(newest_first(found))


def newest_first(entries: Iterable[Descriptor]) -> list[Descriptor]:
    """Sort artifacts by when they say that they were made."""
    # Of two that were made in the same second, the one that was entered later is the newer one.
    return sorted(entries, key=lambda entry: entry.annotations.get(CREATED, ""))[::-1]


def read_artifact(
    registry: Registry,
    repository: str,
    reference: str,
    *,
    artifact_type: str,
    subject: str = "",
) -> Artifact:
    """Return an artifact by tag or digest.

    :param subject: digest of what it has to be about.
    :raises NotFoundInRegistry: it is not there.
    :raises DamagedInRegistry: it is no artifact, one of another type, or about something else.
    """
    manifest = registry.manifest(repository, reference)
    if ":" in reference:
        _require_content(manifest.content, reference, manifest)
    if manifest.artifact_type != artifact_type:
        raise manifest.damaged(f"it is no {artifact_type}")
    if manifest.may_run:  # an image that poses as a record: promoted with it, it could be run
        raise manifest.damaged("it could be run as an image")
    if subject and manifest.subject != subject:
        raise manifest.damaged("it is about something else")
    ref = ImageRef(registry.host, repository, manifest.digest)
    return Artifact(ref=ref, manifest=manifest, registry=registry)


def _require_content(content: bytes, digest: str, manifest: Manifest) -> None:
    """Check once more what every registry client checks: much is decided by what is read here."""
    if digest_of(content) != digest:
        raise manifest.damaged(f"its content is not {digest}")


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

    :param subject: what the artifact is about; it is then found by ``find_artifacts``.
    :param about: the subject's manifest, where it is at hand.
    """
    config = config or Content(media_type=OCI_EMPTY, content=_EMPTY_CONTENT)
    contents = tuple(layers) or (Content(media_type=OCI_EMPTY, content=_EMPTY_CONTENT),)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
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
    digest = registry.put_manifest(repository, content, OCI_MANIFEST, tag=tag)
    if subject:
        record_referrer(registry, repository, content)
    return ImageRef(registry.host, repository, digest)


def attach(
    registry: Registry,
    ref: ImageRef,
    kind: str,
    content: bytes,
    *,
    annotations: Mapping[str, str] | None = None,
) -> ImageRef:
    """Keep something beside an image, as an artifact that refers to it; a promotion takes it along.

    >>> attach(registry, ref, "application/vnd.acme.note", b"seen")  # doctest: +SKIP

    :param kind: its media type, which tells it from what others keep there.
    :returns: the artifact. The same content is kept once.
    :raises RegistryError: the registry does not take it.
    """
    return push_artifact(
        registry,
        ref.repository,
        artifact_type=kind,
        layers=[Content(media_type=kind, content=content)],
        annotations=annotations,
        subject=ref,
    )


def attached(registry: Registry, ref: ImageRef, kind: str) -> tuple[bytes, ...]:
    """Return all of a kind that is kept beside an image, and that can be read, in no set order.

    A user with push access can put anything there: only a signature says who did.

    :raises RegistryError: the registry can't be asked, or there are more than 20,000 of them, or
        256 MiB.
    """
    listed = find_artifacts(registry, ref, kind)
    too_many = RegistryError(
        f"{len(listed):,} artifacts of the type {kind} refer to {ref}: too many to read.",
        hint=f"delete those in {ref.repository} that are not yours.",
    )
    if len(listed) > _MOST_LISTED:
        raise too_many
    allowance = Allowance(_MOST_ATTACHED)
    taking = threading.Lock()

    def read(entry: Descriptor) -> bytes | None:
        # Damaged ones are left out: they must not hide the others.
        with contextlib.suppress(DamagedInRegistry, NotFoundInRegistry):
            artifact = read_artifact(
                registry, ref.repository, entry.digest, artifact_type=kind, subject=ref.digest
            )
            content = artifact.read()
            with taking:
                fits = allowance.take(len(content))
            if not fits:
                raise too_many
            return content
        return None

    found = gather(read, listed, limit=_THREADS, name="attached")
    return tuple(content for content in found if content is not None)


def push_image(
    registry: Registry,
    repository: str,
    tag: str | None,
    *,
    layers: Sequence[Path],
    config: Mapping[str, Any],
    annotations: Mapping[str, str] | None = None,
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
        "mediaType": OCI_MANIFEST,
        "config": _store(
            registry, repository, Content(media_type=OCI_CONFIG, content=canonical_json(document))
        ),
        "layers": [descriptor for _, descriptor in stored],
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    digest = registry.put_manifest(repository, canonical_json(manifest), OCI_MANIFEST, tag=tag)
    return ImageRef(registry.host, repository, digest)


def _store(registry: Registry, repository: str, content: Content) -> dict[str, Any]:
    digest = registry.put_blob(repository, content.content)
    descriptor = _descriptor(content.media_type, digest, len(content.content))
    if content.annotations:
        descriptor["annotations"] = dict(content.annotations)
    return descriptor


def _store_layer(registry: Registry, repository: str, tar: Path) -> tuple[str, dict[str, Any]]:
    """Store one layer; return its DiffID (of the tar) and its descriptor (of the gzip)."""
    with tempfile.TemporaryDirectory(prefix="aksci-layer-") as folder:
        packed = Path(folder) / "layer.tar.gz"
        with tar.open("rb") as source, packed.open("wb") as raw:
            diff_id = "sha256:" + hashlib.file_digest(source, "sha256").hexdigest()
            source.seek(0)
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as target:
                shutil.copyfileobj(source, target, 1 << 20)
        digest = registry.put_blob_file(repository, packed)
        return diff_id, _descriptor(OCI_LAYER_GZIP, digest, packed.stat().st_size)


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}
