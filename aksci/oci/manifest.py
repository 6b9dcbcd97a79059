"""Manifests, indexes, descriptors and configurations: the one model of what a registry keeps.

OCI image specification 1.1, "Image Manifest", "Image Index", "Content Descriptors" and "Image
Configuration"; Docker's own media types mean the same. A user with push access can have written all
of it: a document is read whole when it is first looked at, every field that is known here has its
type or the document is damaged, and unknown fields are left alone.

What can be read in two ways is damaged: a document that is manifest and index at once
(CVE-2021-41190), one whose media type is another than the registry says, and fields in another
case, which Go's JSON takes for the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DamagedInRegistry
from aksci.core.strict_json import parse_json
from aksci.core.text import short_line
from aksci.oci.references import is_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


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
    "require_plain",
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
_MOST_IMAGES = 256
_SCHEMA = 2
_LARGEST = 1 << 63
"""A size that is no 64-bit integer, as which the specification has it."""
_OF_MANIFEST = ("config", "layers", "blobs", "fsLayers", "signatures", "history")
"""What no index has: "layers" of an image, "blobs" of OCI's old artifacts, Docker's schema 1."""
_OF_CONFIG = ("schemaVersion", "layers", "manifests", "subject")
"""What no configuration has."""
_FIELDS = {
    "manifest": (
        *("schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests"),
        *("blobs", "fsLayers", "subject", "annotations"),
    ),
    "descriptor": (
        *("mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"),
    ),
    "platform": ("os", "architecture", "variant"),
}


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
    """``sha256:…``; ``read_child`` refuses what is none, of a descriptor that was not read."""
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
        """The content: an object of which all that is known here has been checked."""
        return self._parts.document

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests."""
        return self._parts.is_index

    @property
    def is_image(self) -> bool:
        """Whether it is one platform's image, and no artifact that looks like one."""
        parts = self._parts
        config = parts.config
        known = config is not None and config.media_type in CONFIG_TYPES
        return known and not parts.is_index and "artifactType" not in parts.document

    @property
    def may_run(self) -> bool:
        """Whether a runtime takes it for an image, or finds one in it: none looks at its type."""
        parts = self._parts
        return parts.is_index or (
            parts.config is not None and parts.config.media_type in CONFIG_TYPES
        )

    @property
    def entries(self) -> tuple[Descriptor, ...]:
        """What an index lists, attestations too; nothing where it is none."""
        return self._parts.entries

    @property
    def images(self) -> tuple[Descriptor, ...]:
        """What an index lists and something may run."""
        found = tuple(entry for entry in self.entries if not entry.is_attestation)
        # Each takes a request: an index of millions would take hours.
        if len(found) > _MOST_IMAGES:
            raise self.damaged(f"it lists {len(found):,} images, more than there are platforms")
        return found

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers, lowest first. BuildKit writes null where there is none."""
        return self._parts.layers

    @property
    def config(self) -> Descriptor | None:
        """The configuration's descriptor."""
        return self._parts.config

    @property
    def subject(self) -> str:
        """Digest of what it refers to, or nothing."""
        return self._parts.subject

    @property
    def artifact_type(self) -> str:
        """What it is, where it is no image: its own word, or its configuration's media type."""
        parts = self._parts
        if parts.artifact_type or parts.config is None:
            return parts.artifact_type
        return parts.config.media_type

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations."""
        return dict(self._parts.annotations)

    def damaged(self, why: str) -> DamagedInRegistry:
        """Return the error for content that is not what it should be."""
        return DamagedInRegistry(f"The manifest {self.digest}", why)

    @cached_property
    def _parts(self) -> _Parts:
        try:
            return _read_parts(parse_json(self.content), self.media_type)
        except ValueError as error:
            raise self.damaged(str(error)) from None


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What a manifest or an index holds, all of it checked."""

    document: Mapping[str, Any]
    is_index: bool
    entries: tuple[Descriptor, ...]
    layers: tuple[Descriptor, ...]
    config: Descriptor | None
    subject: str
    artifact_type: str
    annotations: Mapping[str, str]


def _read_parts(found: Any, told: str) -> _Parts:
    """Read a manifest or an index.

    :param told: the media type that the registry tells.
    :raises ValueError: it is neither, or both.
    """
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - the document's fault
    require_plain(found, _FIELDS["manifest"])
    version = found.get("schemaVersion", _SCHEMA)
    if type(version) is not int or version != _SCHEMA:
        raise ValueError(f"its schema is {short_line(version, 20)}, and not {_SCHEMA}")
    config, subject = _optional(found, "config"), _optional(found, "subject")
    # A configuration that is a manifest, too, could be run by its digest, and nothing has seen it.
    if config and config.media_type in INDEX_TYPES | MANIFEST_TYPES:
        raise ValueError("its configuration is a manifest")
    return _Parts(
        document=found,
        is_index=_is_index(found, told),
        entries=_descriptors(found, "manifests"),
        layers=_descriptors(found, "layers"),
        config=config,
        subject=subject.digest if subject else "",
        artifact_type=_text(found, "artifactType"),
        annotations=_texts(found, "annotations"),
    )


def _is_index(found: Mapping[str, Any], told: str) -> bool:
    """Tell an index from a manifest, by what it says and by what it holds: they must agree.

    :raises ValueError: they do not.
    """
    named = _text(found, "mediaType")
    known = INDEX_TYPES | MANIFEST_TYPES
    if named and told in known and named != told:
        raise ValueError(f"the registry says that it is {told}, and it says {short_line(named)}")
    declared = {each for each in (named, told) if each in known}
    lists = "manifests" in found or bool(declared & INDEX_TYPES)
    if lists and (declared & MANIFEST_TYPES or any(key in found for key in _OF_MANIFEST)):
        raise ValueError("it is a manifest and an index at once")
    return lists


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
    """Read one descriptor.

    :raises ValueError: a field of it is not of its type, or its digest is not one of the one kind
        that is checked here, sha256.
    """
    if not isinstance(found, dict) or not isinstance(found.get("digest"), str):
        raise ValueError("it holds a descriptor that is none")  # noqa: TRY004 - the document's fault
    require_plain(found, _FIELDS["descriptor"])
    if not is_digest(found["digest"]):
        raise ValueError(f"{short_line(found['digest'], 80)!r} is no digest (sha256)")
    size = found.get("size")
    if size is not None and not (type(size) is int and 0 <= size < _LARGEST):
        raise ValueError(f"{short_line(size, 40)!r} is no size")
    urls = found.get("urls")
    if urls is not None and not (
        isinstance(urls, list) and all(isinstance(each, str) for each in urls)
    ):
        raise ValueError("the urls of a descriptor are none")
    _text(found, "data")
    return Descriptor(
        digest=found["digest"],
        media_type=_text(found, "mediaType"),
        size=size,
        artifact_type=_text(found, "artifactType"),
        annotations=_texts(found, "annotations"),
        platform=parse_platform(found.get("platform")),
        urls=bool(urls),
    )


def parse_configuration(manifest: Manifest, content: bytes) -> Configuration:
    """Read the configuration of one platform's image.

    :raises DamagedInRegistry: it is none.
    """
    try:
        found = parse_json(content)
        if not isinstance(found, dict):
            raise ValueError("it is no object")  # noqa: TRY301, TRY004 - the document's fault
        if any(key in found for key in _OF_CONFIG):
            raise ValueError("it is a manifest, too")  # noqa: TRY301 - one place says so
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
    require_plain(found, _FIELDS["platform"])
    return Platform(
        os=_text(found, "os"),
        architecture=_text(found, "architecture"),
        variant=_text(found, "variant"),
    )


def _descriptors(found: Mapping[str, Any], key: str) -> tuple[Descriptor, ...]:
    listed = found.get(key)
    if not isinstance(listed, list | None):
        raise ValueError(f"{key} is no list")  # noqa: TRY004 - the document's fault
    return tuple(map(parse_descriptor, listed or ()))


def _optional(found: Mapping[str, Any], key: str) -> Descriptor | None:
    value = found.get(key)
    return None if value is None else parse_descriptor(value)


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str | None):
        raise ValueError(f"{key} is no text")  # noqa: TRY004 - the document's fault
    return value or ""


def _texts(found: Mapping[str, Any], key: str) -> dict[str, str]:
    values = found.get(key)
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(one, str) for one in values.values()):
        raise ValueError(f"{key} are no texts")
    return values


def require_plain(found: Mapping[str, Any], fields: Collection[str]) -> None:
    """Refuse fields in another case: Go, which runs the image, takes them for the same.

    :raises ValueError: it has one.
    """
    folded = {field.casefold() for field in fields}
    odd = next((key for key in found if key not in fields and key.casefold() in folded), None)
    if odd is not None:
        raise ValueError(f"{short_line(odd)!r} can be read in two ways")
