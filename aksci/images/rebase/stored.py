"""Images as a registry has them: index, manifests, configurations.

OCI image specification 1.1, "Image Index", "Image Manifest"; BuildKit, "Image Attestation Storage".
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.images.platforms import normalise_platform
from aksci.images.rebase.settings import Settings, read_settings
from aksci.images.rebase.texts import DamagedError, strict_json
from aksci.oci.answers import is_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.oci.registry import Manifest, TransferRegistry

__all__ = ["BaseCache", "Place", "PlatformImage", "Stored", "convert_layer"]

_OCI = "application/vnd.oci.image."
_DOCKER = "application/vnd.docker."
_INDEXES = frozenset({f"{_OCI}index.v1+json", f"{_DOCKER}distribution.manifest.list.v2+json"})
_MANIFESTS = frozenset({f"{_OCI}manifest.v1+json", f"{_DOCKER}distribution.manifest.v2+json"})
_CONFIGS = frozenset({f"{_OCI}config.v1+json", f"{_DOCKER}container.image.v1+json"})
_LAYERS = {
    f"{_OCI}layer.v1.tar": f"{_DOCKER}image.rootfs.diff.tar",
    f"{_OCI}layer.v1.tar+gzip": f"{_DOCKER}image.rootfs.diff.tar.gzip",
    f"{_OCI}layer.v1.tar+zstd": f"{_DOCKER}image.rootfs.diff.tar.zstd",
}
"""OCI's media types of layers, and Docker's."""
_OCI_LAYERS = {docker: oci for oci, docker in _LAYERS.items()}
_INDEX_KEYS = frozenset({"schemaVersion", "mediaType", "manifests", "annotations"})
_ENTRY_KEYS = frozenset({"mediaType", "digest", "size", "platform", "annotations"})
_MANIFEST_KEYS = frozenset({"schemaVersion", "mediaType", "config", "layers", "annotations"})
_DESCRIPTOR_KEYS = frozenset({"mediaType", "digest", "size"})
_REFERENCE = "vnd.docker.reference.type"


@dataclass(kw_only=True)
class BaseCache:
    """What was read of images in this run, by digest: many stand on one base.

    Several threads may use it; what one of them is reading, others wait for.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _kept: dict[str, Future[Any]] = field(default_factory=dict, repr=False)

    def get(self, key: str, read: Callable[[], Any]) -> Any:
        """Return what is kept, or read it now. A failure is not kept."""
        with self._lock:
            future = self._kept.get(key)
            ours = future is None
            if future is None:
                future = self._kept[key] = Future()
        if ours:
            try:
                future.set_result(read())
            except BaseException as error:  # noqa: BLE001 - those who wait must be told
                with self._lock:
                    del self._kept[key]
                future.set_exception(error)
        return future.result()


@dataclass(frozen=True, kw_only=True)
class PlatformImage:
    """One platform's manifest, and what it names."""

    platform: str
    """``linux/arm64``."""
    manifest: Mapping[str, Any]
    media_type: str
    settings: Settings

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Return the descriptors of its layers, the lowest first."""
        return self.manifest.get("layers") or []


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An image: one manifest, or an index and its manifests."""

    index: Mapping[str, Any] | None
    media_type: str
    images: tuple[PlatformImage, ...]
    """In the order of the index."""
    attested: bool


@dataclass(frozen=True, kw_only=True)
class Place:
    """A repository, to read from."""

    registry: TransferRegistry
    repository: str
    cache: BaseCache

    def image(self, digest: str) -> Stored:
        """Read all of an image.

        :raises NotFoundInRegistry: it, or a part of it, is not there.
        :raises DamagedError: it is no image, or one that has what we do not know.
        """
        manifest = self._manifest(digest)
        document = _document(manifest)
        if manifest.media_type not in _INDEXES:
            one = self._platform_image(manifest, document, exact=True)
            return Stored(index=None, media_type=manifest.media_type, images=(one,), attested=False)
        _known(document, _INDEX_KEYS, "index")
        entries = _entries(document)
        attested = any(_is_attestation(one) for one in entries)
        images = []
        for entry in () if attested else entries:
            _known(entry, _ENTRY_KEYS, "index")
            below = self._manifest(entry["digest"])
            one = self._platform_image(below, _document(below), exact=True)
            if _platform(entry.get("platform")) != one.platform:
                raise DamagedError("its index and its configuration name different platforms")
            images.append(one)
        return Stored(
            index=document, media_type=manifest.media_type, images=tuple(images), attested=attested
        )

    def base(self, digest: str, platform: str) -> PlatformImage | None:
        """Read a base for one platform; None: it has none for it, or several that could be meant.

        :raises NotFoundInRegistry: as ``image``.
        :raises DamagedError: as ``image``.
        """
        manifest = self._manifest(digest)
        document = _document(manifest)
        if manifest.media_type in _INDEXES:
            fitting = [
                one
                for one in _entries(document)
                if not _is_attestation(one) and _platform(one.get("platform")) == platform
            ]
            if len(fitting) != 1:
                return None
            manifest = self._manifest(fitting[0]["digest"])
            document = _document(manifest)
        one = self._platform_image(manifest, document, exact=False)
        return one if one.platform == platform else None

    def _manifest(self, digest: str) -> Manifest:
        found: Manifest = self.cache.get(
            f"{self.registry.host}/{self.repository}@{digest}",
            lambda: self.registry.manifest(self.repository, digest),
        )
        return found

    def _platform_image(
        self, manifest: Manifest, document: dict[str, Any], *, exact: bool
    ) -> PlatformImage:
        if manifest.media_type not in _MANIFESTS:
            raise DamagedError(f"it is a {manifest.media_type}"[:200])
        if exact:
            _known(document, _MANIFEST_KEYS, "manifest")
        config = _descriptor(document.get("config"))
        if exact:
            _known(config, _DESCRIPTOR_KEYS, "configuration's descriptor")
        if config["mediaType"] not in _CONFIGS:
            raise DamagedError(f"its configuration is a {config['mediaType']}"[:200])
        layers = document.get("layers") or []
        if not isinstance(layers, list):
            raise DamagedError("its layers are no list")
        for layer in layers:
            _known(_descriptor(layer), _DESCRIPTOR_KEYS, "layer")
            if layer["mediaType"] not in _LAYERS.keys() | _OCI_LAYERS.keys():
                raise DamagedError(f"a layer is a {layer['mediaType']}"[:200])
        settings: Settings = self.cache.get(
            f"{self.registry.host}/{self.repository}@{config['digest']} read",
            lambda: read_settings(self.registry.blob(self.repository, config["digest"])),
        )
        if not len(layers) == len(settings.diff_ids) == settings.layers_told:
            raise DamagedError("its manifest, diff_ids and history tell of different layers")
        return PlatformImage(
            platform=_platform(settings.platform),
            manifest=document,
            media_type=manifest.media_type,
            settings=settings,
        )


def convert_layer(layer: Mapping[str, Any], media_type: str) -> dict[str, Any]:
    """Return a layer's descriptor with the media type that goes with a manifest's.

    BuildKit, ``util/compression``: an image has all OCI's or all Docker's.
    """
    found = layer["mediaType"]
    if media_type.startswith(_OCI):
        found = _OCI_LAYERS.get(found, found)
    else:
        found = _LAYERS.get(found, found)
    return {"mediaType": found, "digest": layer["digest"], "size": layer["size"]}


def _document(manifest: Manifest) -> dict[str, Any]:
    document = strict_json(manifest.content)
    if document.get("mediaType", manifest.media_type) != manifest.media_type:
        raise DamagedError("it is called by another media type than it names")
    if not isinstance(document.get("annotations"), dict | None):
        raise DamagedError("its annotations are no object")
    return document


def _entries(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = document.get("manifests")
    if not isinstance(entries, list):
        raise DamagedError("its index has no list of manifests")
    return [_descriptor(one) for one in entries]


def _descriptor(value: object) -> dict[str, Any]:
    if not (
        isinstance(value, dict)
        and isinstance(value.get("mediaType"), str)
        and isinstance(value.get("digest"), str)
        and is_digest(value["digest"])
        and type(value.get("size")) is int
        and value["size"] >= 0
        and isinstance(value.get("annotations"), dict | None)
    ):
        raise DamagedError("it holds a descriptor that is none")
    return value


def _known(found: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise DamagedError(
            f"its {what} has what a rebase does not know: {', '.join(unknown)}"[:200]
        )


def _is_attestation(entry: Mapping[str, Any]) -> bool:
    platform = entry.get("platform")
    unknown = isinstance(platform, dict) and platform.get("os") == "unknown"
    return _REFERENCE in (entry.get("annotations") or {}) or unknown


def _platform(value: object) -> str:
    if not isinstance(value, dict):
        raise DamagedError("it names no platform")
    parts = [value.get("os"), value.get("architecture"), value.get("variant") or ""]
    if not all(isinstance(part, str) for part in parts) or not all(parts[:2]):
        raise DamagedError("it names no platform")
    return normalise_platform("/".join(filter(None, parts)))
