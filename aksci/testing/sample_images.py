"""Put small images into a registry: of one platform or several, attested or not."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from aksci.oci.references import ImageRef, digest_of
from aksci.oci.registry import read_child, read_configuration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aksci.oci.registry import Registry

__all__ = ["push_sample", "push_sample_index"]

_OCI = "application/vnd.oci.image."
MANIFEST, INDEX = f"{_OCI}manifest.v1+json", f"{_OCI}index.v1+json"
_CONFIG, _LAYER = f"{_OCI}config.v1+json", f"{_OCI}layer.v1.tar+gzip"
_IN_TOTO = "application/vnd.in-toto+json"


def push_sample(
    registry: Registry,
    repository: str,
    tag: str | None = None,
    *,
    files: Mapping[str, bytes] | None = None,
    runs: Mapping[str, Any] | None = None,
    platform: str = "linux/amd64",
    annotations: Mapping[str, str] | None = None,
    base: tuple[Registry, ImageRef] | None = None,
    **config: Any,
) -> ImageRef:
    """Store an image of one platform with one layer of its own; the same words, the same digest.

    :param files: path -> content.
    :param runs: what a container runs, such as ``{"Entrypoint": ["/app"]}``.
    :param platform: ``os/architecture[/variant]``.
    :param base: whose layers are below, and where it is. Of an index, those for the platform.
    :param config: more of its configuration, such as ``history``.
    """
    tar = _tar(files or {})
    below, inherited = _inherit(registry, repository, *base, platform) if base else ([], [])
    document = {
        "created": "1970-01-01T00:00:00Z",
        **_platform(platform),
        "config": dict(runs or {}),
        "rootfs": {"type": "layers", "diff_ids": [*inherited, digest_of(tar)]},
        **config,
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _blob(registry, repository, json.dumps(document).encode(), _CONFIG),
        # Without the time in gzip's header, the digest stays the same.
        "layers": [*below, _blob(registry, repository, gzip.compress(tar, mtime=0), _LAYER)],
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    content = json.dumps(manifest).encode()
    digest = registry.put_manifest(repository, content, MANIFEST, tag=tag)
    return ImageRef(registry.host, repository, digest)


def push_sample_index(
    registry: Registry,
    repository: str,
    tag: str | None = None,
    *,
    platforms: Sequence[str] = ("linux/amd64", "linux/arm64"),
    attestation: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    **image: Any,
) -> ImageRef:
    """Store an index with an image for each platform.

    :param attestation: an in-toto statement for each image, stored as BuildKit does: see its
        "Image attestation storage".
    :param image: what ``push_sample`` takes.
    """
    entries = []
    for platform in platforms:
        ref = push_sample(registry, repository, platform=platform, **image)
        entries.append({**_entry(registry, ref), "platform": _platform(platform)})
    if attestation is not None:
        images = [str(each["digest"]) for each in entries]
        entries += [_attest(registry, repository, each, attestation) for each in images]
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": entries,
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    content = json.dumps(index).encode()
    return ImageRef(
        registry.host, repository, registry.put_manifest(repository, content, INDEX, tag=tag)
    )


def _inherit(
    registry: Registry, repository: str, source: Registry, base: ImageRef, platform: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Copy a base's layers; return their descriptors and their DiffIDs."""
    manifest = source.manifest(base.repository, base.digest)
    if manifest.is_index:
        fit = [one for one in manifest.images if one.platform and one.platform.name == platform]
        if not fit:
            raise manifest.damaged(f"it has no image for {platform}")
        manifest = read_child(source, base.repository, fit[0])
    layers = [
        _blob(registry, repository, source.blob(base.repository, one.digest), one.media_type)
        for one in manifest.layers
    ]
    return layers, list(read_configuration(source, base.repository, manifest).diff_ids)


def _attest(
    registry: Registry, repository: str, image: str, statement: Mapping[str, Any]
) -> dict[str, Any]:
    layer = _blob(registry, repository, json.dumps(statement).encode(), _IN_TOTO)
    kind = str(statement.get("predicateType", ""))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _blob(registry, repository, json.dumps({"image": image}).encode(), _CONFIG),
        "layers": [{**layer, "annotations": {"in-toto.io/predicate-type": kind}}],
    }
    content = json.dumps(manifest).encode()
    digest = registry.put_manifest(repository, content, MANIFEST)
    notes = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image,
    }
    # So that no container runtime ever chooses it.
    unknown = {"architecture": "unknown", "os": "unknown"}
    ref = ImageRef(registry.host, repository, digest)
    return {**_entry(registry, ref), "annotations": notes, "platform": unknown}


def _entry(registry: Registry, ref: ImageRef) -> dict[str, Any]:
    found = registry.manifest(ref.repository, ref.digest)
    return {"mediaType": found.media_type, "digest": ref.digest, "size": len(found.content)}


def _blob(registry: Registry, repository: str, content: bytes, media_type: str) -> dict[str, Any]:
    digest = registry.put_blob(repository, content)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _platform(text: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def _tar(files: Mapping[str, bytes]) -> bytes:
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w") as archive:
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return found.getvalue()
