"""Names of images: as people write them, and by the digest that alone counts.

One grammar for both: the OCI distribution specification 1.1, "Pulling manifests", for repositories,
tags and digests, and Docker's rules for what is left out: no host means docker.io, one word means
library/, no tag means latest. After a build, only ``ImageRef`` is passed on: it has no tag.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from aksci.core.errors import ConfigError

__all__ = [
    "HUB_NAMES",
    "ImageRef",
    "Reference",
    "digest_of",
    "is_digest",
    "is_repository",
    "parse_reference",
    "says_hub",
]

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ANY_DIGEST = re.compile(rf"{_DIGEST.pattern}|sha384:[0-9a-f]{{96}}|sha512:[0-9a-f]{{128}}")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
_LONGEST = 1024
"""Characters: host and repository have at most 255 each, a tag 128 and a digest 135."""
_SHOWN = 100
_HUB = "docker.io"
HUB_NAMES = frozenset({"docker.io", "index.docker.io"})
"""How Docker Hub is written; a name without a registry is read as one there."""


def says_hub(reference: str) -> bool:
    """Tell whether a reference is written with Docker Hub's name, where most leave it out."""
    return reference.partition("/")[0] in HUB_NAMES


def is_repository(name: str) -> bool:
    """Tell whether a name is a repository's by the distribution specification's grammar."""
    return bool(_REPOSITORY.fullmatch(name))


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest of the one kind that is checked here: sha256."""
    return bool(_DIGEST.fullmatch(text))


def digest_of(content: bytes) -> str:
    """Return the digest of some bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, order=True)
class _Name:
    registry: str
    """``host[:port]``."""
    repository: str

    @property
    def name(self) -> str:
        """``registry/repository``, without tag and digest."""
        return f"{self.registry}/{self.repository}"


@dataclass(frozen=True, order=True)
class ImageRef(_Name):
    """One manifest or index in one repository, by digest."""

    digest: str
    """``sha256:`` and 64 hexadecimal digits."""

    def __post_init__(self) -> None:
        if not self.registry or not is_repository(self.repository) or not is_digest(self.digest):
            raise ConfigError(f"{self} is not a valid image reference.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``registry/repository@sha256:…``. Nothing may be left out: it comes from a program.

        :raises ConfigError: it is anything else, a tag for example.
        """
        name, at, digest = text.partition("@")
        registry, slash, repository = name.partition("/")
        if not at or not slash:
            raise ConfigError(
                f"{text!r} is not a digest reference.",
                hint="write it as registry/repository@sha256:<64 hex digits>.",
            )
        return cls(registry, repository, digest)

    def beside(self, digest: str) -> ImageRef:
        """Return another manifest of the same repository.

        :raises ConfigError: the text is not a digest.
        """
        return ImageRef(self.registry, self.repository, digest)

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"


@dataclass(frozen=True, order=True)
class Reference(_Name):
    """An image's name as somebody wrote it, in full. With a digest, the tag is decoration."""

    tag: str
    digest: str | None = None

    @property
    def familiar(self) -> str:
        """As Docker shortens it, without a tag ``latest``: the name of a BuildKit named context."""
        name = self.name
        if self.registry == _HUB:
            name = self.repository.removeprefix("library/")
        return name if self.tag == "latest" else f"{name}:{self.tag}"

    def at(self, digest: str) -> ImageRef:
        """Return what it names, by the digest that it means.

        :raises ConfigError: the text is not a digest.
        """
        return ImageRef(self.registry, self.repository, digest)

    @property
    def pinned(self) -> ImageRef | None:
        """What it names where it has a digest that is checked here; None: it may move."""
        return self.at(self.digest) if self.digest and is_digest(self.digest) else None

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"


@lru_cache(maxsize=4096)
def parse_reference(text: str) -> Reference:
    """Read ``[host[:port]/]name[:tag][@digest]``.

    :raises ConfigError: it can't be the name of an image.
    """
    if len(text) > _LONGEST:
        raise ConfigError(f"{text[:_SHOWN]!r}… is too long for the name of an image.")
    name, at, digest = text.partition("@")
    head, slash, rest = name.partition("/")
    is_host = bool(slash) and (
        "." in head or ":" in head or head == "localhost" or head != head.lower()
    )
    registry, path = (head, rest) if is_host else (_HUB, name)
    repository, colon, tag = path.partition(":")
    if registry in HUB_NAMES:
        registry = _HUB
        repository = repository if "/" in repository else f"library/{repository}"
    valid = (
        is_repository(repository)
        and _HOST.fullmatch(registry)
        and (not colon or _TAG.fullmatch(tag))
        and (not at or _ANY_DIGEST.fullmatch(digest))
    )
    if not valid:
        hint = "names are lower case." if repository != repository.lower() else None
        raise ConfigError(f"{text!r} is not the name of an image.", hint=hint)
    return Reference(registry, repository, tag or "latest", digest or None)
