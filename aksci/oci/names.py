"""Image references as people write them, brought into one form.

The rules are Docker's: no host means docker.io, one word means library/, no tag means latest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from aksci.core.errors import ConfigError
from aksci.oci.references import is_repository

__all__ = ["Reference", "parse_reference"]

_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
_HUB = "docker.io"
_HUB_NAMES = frozenset({"docker.io", "index.docker.io"})


@dataclass(frozen=True, order=True)
class Reference:
    """An image's name in full. With a digest, the tag is decoration."""

    registry: str
    repository: str
    tag: str
    digest: str | None = None

    @property
    def name(self) -> str:
        """``registry/repository``."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """As Docker shortens it, without a tag ``latest``: the name of a BuildKit named context."""
        name = self.name
        if self.registry == _HUB:
            name = self.repository.removeprefix("library/")
        return name if self.tag == "latest" else f"{name}:{self.tag}"

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"


@lru_cache(maxsize=4096)
def parse_reference(text: str) -> Reference:
    """Read ``[host[:port]/]name[:tag][@digest]``.

    :raises ConfigError: it can't be the name of an image.
    """
    name, at, digest = text.partition("@")
    head, slash, rest = name.partition("/")
    is_host = bool(slash) and (
        "." in head or ":" in head or head == "localhost" or head != head.lower()
    )
    registry, path = (head, rest) if is_host else (_HUB, name)
    repository, colon, tag = path.partition(":")
    if registry in _HUB_NAMES:
        registry = _HUB
        repository = repository if "/" in repository else f"library/{repository}"
    valid = (
        is_repository(repository)
        and _HOST.fullmatch(registry)
        and (not colon or _TAG.fullmatch(tag))
        and (not at or _DIGEST.fullmatch(digest))
    )
    if not valid:
        hint = "names are lower case." if repository != repository.lower() else None
        raise ConfigError(f"{text!r} is not the name of an image.", hint=hint)
    return Reference(registry, repository, tag or "latest", digest or None)
