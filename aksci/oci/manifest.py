"""Manifests, indexes, descriptors and configurations: the one model of what a registry keeps.

OCI image specification 1.1, "Image Manifest", "Image Index", "Content Descriptors" and "Image
Configuration"; Docker's own media types mean the same. Whoever may push can have written all of it:
what is read is checked when it is looked at, and unknown fields are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DamagedInRegistry
from aksci.core.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping


__all__ = [
    "CONFIG_TYPES",
    "INDEX_TYPES",
    "MANIFEST_TYPES",
    "OCI_CONFIG",
    "OCI_EMPTY",
    "OCI_INDEX",
    "OCI_LAYER_GZIP",
    "OCI_MANIFEST",
    "Configuration",
    "Descriptor",
    "Manifest",
    "Platform",
    "parse_configuration",
    "parse_descriptor",
    "parse_platform",
]

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
_DOCKER = "application/vnd.docker."

INDEX_TYPES = frozenset({OCI_INDEX, f"{_DOCKER}distribution.manifest.list.v2+json"})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, f"{_DOCKER}distribution.manifest.v2+json"})
CONFIG_TYPES = frozenset({OCI_CONFIG, f"{_DOCKER}container.image.v1+json"})

_KIND = "vnd.docker.reference.type"
_ATTESTATION = "attestation-manifest"


@dataclass(frozen=True, kw_only=True)
class Platform:
    """For which machine an image is."""

    os: str
    architecture: str
    variant: str = ""

    @property
    def name(self) -> str:
        """``os/arch`` or ``os/arch/variant``; what is not told is left out."""
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """What a manifest, an index or a list of referrers says of another document."""

    digest: str
    """As it stands there: ``read_child`` and ``blob`` refuse what is none."""
    media_type: str = ""
    size: int | None = None
    """Bytes; None where it is not told."""
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    urls: bool = False
    """Whether it says where else it can be fetched."""

    @property
    def is_attestation(self) -> bool:
        """Whether it is an attestation of BuildKit's, which is no image.

        BuildKit, "Image Attestation Storage", writes two marks: a platform that no runtime takes,
        and an annotation. Both are needed. Annotations are whatever somebody has pushed: with the
        platform of a machine, that machine runs the entry, so it is to be scanned and validated.
        """
        nowhere = self.platform == Platform(os="unknown", architecture="unknown")
        return nowhere and self.annotations.get(_KIND) == _ATTESTATION


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest or index as the registry has it.

    Every property that reads the content raises ``DamagedInRegistry`` where it can't.
    """

    media_type: str
    digest: str
    """sha256 of ``content``, computed here and not taken from a header."""
    content: bytes

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The content, an object."""
        try:
            found = parse_json(self.content)
        except ValueError as error:
            raise self.damaged(str(error)) from None
        if not isinstance(found, dict):
            raise self.damaged("it is no object")
        return found

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests, by what it holds, too: who pushes names the media type."""
        return self.media_type in INDEX_TYPES or "manifests" in self.document

    @property
    def is_image(self) -> bool:
        """Whether it is one platform's image, and no artifact that looks like one."""
        config = self.config
        known = config is not None and config.media_type in CONFIG_TYPES
        return known and not self.document.get("artifactType")

    @property
    def entries(self) -> tuple[Descriptor, ...]:
        """What an index lists, attestations too; nothing where it is none."""
        return self._descriptors("manifests")

    @property
    def images(self) -> tuple[Descriptor, ...]:
        """What an index lists and something may run."""
        return tuple(entry for entry in self.entries if not entry.is_attestation)

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers, lowest first. BuildKit writes null where there is none."""
        return self._descriptors("layers")

    @property
    def config(self) -> Descriptor | None:
        """The configuration's descriptor."""
        found = self.document.get("config")
        return None if found is None else self._descriptor(found)

    @property
    def subject(self) -> str:
        """Digest of what it refers to, or nothing."""
        found = self.document.get("subject")
        return "" if found is None else self._descriptor(found).digest

    @property
    def artifact_type(self) -> str:
        """What it is, where it is no image: its own word, or its configuration's media type."""
        named = _text(self.document.get("artifactType"))
        if named or self.config is None:
            return named
        return self.config.media_type

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations, without what is no text."""
        return _texts(self.document.get("annotations"))

    def damaged(self, why: str) -> DamagedInRegistry:
        """Return the error for content that is not what it should be."""
        return DamagedInRegistry(f"The manifest {self.digest}", why)

    def _descriptors(self, key: str) -> tuple[Descriptor, ...]:
        found = self.document.get(key)
        if not isinstance(found, list | None):
            raise self.damaged(f"{key} is no list")
        return tuple(map(self._descriptor, found or ()))

    def _descriptor(self, found: object) -> Descriptor:
        try:
            return parse_descriptor(found)
        except ValueError as error:
            raise self.damaged(str(error)) from None


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What an image is to run, and what it is made of."""

    platform: Platform
    document: Mapping[str, Any]

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a container of it gets: ``config``."""
        found = self.document.get("config")
        return found if isinstance(found, dict) else {}

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """Digests of the unpacked layers, lowest first. Raise ``DamagedInRegistry``."""
        found = self.document.get("rootfs")
        listed = found.get("diff_ids") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise DamagedInRegistry("An image's configuration", "it does not tell its layers")
        return tuple(map(str, listed))


def parse_descriptor(found: object) -> Descriptor:
    """Read one descriptor. What is optional and damaged counts as not there, but for a platform.

    :raises ValueError: it names nothing, or a platform that can't be read.
    """
    if not isinstance(found, dict) or not isinstance(found.get("digest"), str):
        raise ValueError("it holds a descriptor that is none")  # noqa: TRY004 - the document's fault
    size = found.get("size")
    return Descriptor(
        digest=found["digest"],
        media_type=_text(found.get("mediaType")),
        size=size if type(size) is int and size >= 0 else None,
        artifact_type=_text(found.get("artifactType")),
        annotations=_texts(found.get("annotations")),
        platform=parse_platform(found.get("platform")),
        urls=bool(found.get("urls")),
    )


def parse_configuration(manifest: Manifest, content: bytes) -> Configuration:
    """Read the configuration of one platform's image.

    :raises DamagedInRegistry: it is none.
    """
    try:
        found = parse_json(content)
        if not isinstance(found, dict):
            raise ValueError("it is no object")  # noqa: TRY301, TRY004 - the document's fault
        platform = parse_platform(found)
    except ValueError as error:
        raise manifest.damaged(f"its configuration can't be read ({error})") from None
    return Configuration(platform=platform or Platform(os="", architecture=""), document=found)


def parse_platform(found: object) -> Platform | None:
    """Read a platform: an entry's, or what a configuration says of itself.

    :raises ValueError: it is none.
    """
    if found is None:
        return None
    if not isinstance(found, dict):
        raise ValueError("a platform is none")  # noqa: TRY004 - the document's fault
    return Platform(
        os=_text(found.get("os")),
        architecture=_text(found.get("architecture")),
        variant=_text(found.get("variant")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}
