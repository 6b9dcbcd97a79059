"""The registries outside of a project, where its base images are: ``MemoryBases``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from aksci.oci.references import parse_reference
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import push_sample_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.oci.manifest import Manifest

__all__ = ["MemoryBases"]

_HUB, _HUB_HOST = "docker.io", "registry-1.docker.io"
_PLATFORMS = ("linux/amd64", "linux/arm64")


class MemoryBases:
    """Every registry in the world, in memory: each base image exists once it is requested.

    What ``FROM debian:bookworm`` means is made of the name alone, so that it is the same in every
    test, until ``move`` lets the tag mean something newer. An image has one small layer for each
    of its platforms, and neither packages nor programs. What is named by a digest is there, too,
    though its content can't have that digest. Several threads may use it.

    >>> bases = MemoryBases()
    >>> before = bases.digest("debian:bookworm")
    >>> bases.move("debian:bookworm") == bases.digest("debian:bookworm") != before
    True

    :param platforms: of each image.
    """

    def __init__(self, platforms: Sequence[str] = _PLATFORMS) -> None:
        self.platforms = tuple(platforms)
        self._lock = threading.RLock()
        self._registries: dict[str, MemoryRegistry] = {}
        self._versions: dict[tuple[str, str, str], int] = {}
        self._missing: set[tuple[str, str, str]] = set()

    def connect(self, host: str) -> MemoryRegistry:
        """Return the registry of a host, the same each time; ``docker.io`` may be called so."""
        host = _HUB_HOST if host == _HUB else host
        with self._lock:
            if host not in self._registries:
                self._registries[host] = _BaseRegistry(host, self)
            return self._registries[host]

    def digest(self, reference: str) -> str:
        """Return the current digest of a reference, such as ``python:3.13-slim``."""
        host, repository, tag = _place(reference)
        return self.connect(host).resolve(repository, tag) or ""

    def move(self, reference: str) -> str:
        """Point a reference to a newer image from now on; return its digest.

        The image before stays, and can be had by its digest.
        """
        host, repository, tag = _place(reference)
        with self._lock:
            self._missing.discard((host, repository, tag))
            version = self._versions.get((host, repository, tag), 1) + 1
            return self._publish(host, repository, tag, version)

    def remove(self, reference: str) -> None:
        """Delete an image, until ``move``."""
        host, repository, tag = _place(reference)
        with self._lock:
            self._missing.add((host, repository, tag))
            self.connect(host).delete(repository, tag)

    def _provide(self, host: str, repository: str, tag: str) -> None:
        """Make an image, unless there is one, or there must be none."""
        with self._lock:
            place = (host, repository, tag)
            if place not in self._missing and place not in self._versions:
                self._publish(host, repository, tag, 1)

    def _pinned(self, host: str, repository: str) -> str:
        """Return the digest of what stands for all images that are only named by digest."""
        with self._lock:
            return self._publish(host, repository, "", 1)

    def _publish(self, host: str, repository: str, tag: str, version: int) -> str:
        if tag:
            self._versions[host, repository, tag] = version
        text = f"{host}/{repository}:{tag} {version}\n"
        ref = push_sample_index(
            self.connect(host),
            repository,
            tag or None,
            platforms=self.platforms,
            files={"etc/base-image": text.encode()},
        )
        return ref.digest


class _BaseRegistry(MemoryRegistry):
    """Makes an image for each tag that is requested."""

    def __init__(self, host: str, bases: MemoryBases) -> None:
        super().__init__(host)
        self._bases = bases

    def resolve(self, repository: str, reference: str) -> str | None:
        if ":" not in reference:  # a digest is there or not; a tag is a wish
            self._bases._provide(self.host, repository, reference)  # noqa: SLF001 - of this module
        else:
            self._have(repository, reference)
        return super().resolve(repository, reference)

    def manifest(self, repository: str, reference: str) -> Manifest:
        self.resolve(repository, reference)
        return super().manifest(repository, reference)

    def _have(self, repository: str, digest: str) -> None:
        """Keep an image under a digest that a Dockerfile names."""
        if self.store.digest(repository, digest) is not None:
            return
        stands_for = self._bases._pinned(self.host, repository)  # noqa: SLF001 - of this module
        like = self.store.manifest(repository, stands_for)
        if like is not None:
            self.plant(repository, like.content, digest=digest, media_type=like.media_type)


def _place(reference: str) -> tuple[str, str, str]:
    """Return host, repository and tag of a reference as FROM has it."""
    parsed = parse_reference(reference)
    host = _HUB_HOST if parsed.registry == _HUB else parsed.registry
    return host, parsed.repository, parsed.tag or "latest"
