"""Base images that a project does not build: which digest FROM means now, and their ONBUILD.

OCI image specification, "Image Index", "Image Manifest"; ``config.OnBuild`` is Docker's own field
of an image's configuration (Docker image specification v1.2).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from typing import TYPE_CHECKING, Protocol

from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry, RegistryError, UnreachableError
from aksci.core.files import write_atomically
from aksci.core.strict_json import parse_json
from aksci.images.platforms import normalise_platform
from aksci.oci.references import ImageRef, Reference, parse_reference
from aksci.oci.registry import read_child, read_configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from aksci.images.build.build_record import BuiltImage
    from aksci.oci.manifest import Manifest
    from aksci.oci.registry import Registry

__all__ = ["BaseImageError", "BaseResolver", "PinnedBases", "RegistryBases"]

_HUB = "docker.io"
_FRONTENDS = frozenset({"docker/dockerfile", "docker/dockerfile-upstream"})
_HUB_HOST = "registry-1.docker.io"
_DEBIAN = "library/debian"
_MOST_VARIANTS = 64
"""Of the machines that are asked for: each is read."""


class BaseImageError(RegistryError):
    """What an image from outside is made of can't be told. It never means "not changed"."""

    def __init__(self, reference: str, message: str, *, why: str, hint: str | None) -> None:
        super().__init__(message, hint=hint)
        self.reference = reference
        """In full."""
        self.why = why
        """A sentence that fits other images of the same registry, too."""


class _GoneError(BaseImageError):
    """The registry has answered, and does not have the digest."""


class BaseResolver(Protocol):
    """Tells what FROM means now, of images that a project does not build.

    Digest and ONBUILD both count in keys: nobody may know the digest of an image and pass over its
    ONBUILD. That is why one object answers for both. Its methods are called from several threads.
    """

    def digest(self, reference: str) -> str:
        """Return the digest that a full reference means.

        :raises BaseImageError: no registry has it, or one can't be asked.
        """

    def onbuild(self, reference: str, digest: str, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the ONBUILD instructions of the digest that a full reference means.

        :param platforms: of the images that are based on it, and of the builder.
        :raises BaseImageError: no registry has it, or one can't be asked.
        """

    def only_platform(self, reference: str, digest: str) -> str:  # noqa: ARG002 - as ``for_image``
        """Return what an image is for that is one manifest and no index; empty: nobody knows.

        BuildKit takes it for any other platform as well, and warns at most. It is asked about what
        is to be built, never for a plan.
        """
        return ""

    def for_image(self, name: str) -> BaseResolver:  # noqa: ARG002 - for those who need it
        """Return what answers for the bases of one image: a policy may hold them, or pin them."""
        return self


class PinnedBases(BaseResolver):
    """Hold some bases at digests that were chosen; another resolver answers for the rest.

    :param pinned: full reference -> digest.
    """

    def __init__(self, pinned: Mapping[str, str], otherwise: BaseResolver) -> None:
        self.pinned = pinned
        self._otherwise = otherwise

    def digest(self, reference: str) -> str:
        """Return the digest that is chosen, or that the reference means now."""
        return self.pinned.get(reference) or self._otherwise.digest(reference)

    def onbuild(self, reference: str, digest: str, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the ONBUILD instructions of a digest; of a pinned one that is gone, none."""
        try:
            return self._otherwise.onbuild(reference, digest, platforms)
        except _GoneError:
            # A registry may have deleted what no tag names any more. If it had an ONBUILD, the
            # source key now differs from the recorded one: nothing is taken for the same.
            if self.pinned.get(reference) != digest:
                raise
            return ()

    def only_platform(self, reference: str, digest: str) -> str:
        """Return what an image is for that is one manifest and no index."""
        return self._otherwise.only_platform(reference, digest)


class RegistryBases(BaseResolver):
    """Ask registries for base images, for each once a run.

    :param mirror: a registry that stands in for docker.io: asked first, under the same repository.
    :param connect: returns the client of a registry's host; it is asked once for each.
    :param cache: a folder for what never changes; None: nothing is kept.
    :param brief: for a look of seconds, where hundreds of images may have one base: what failed is
        not tried again, and a registry that can't be reached is not asked for anything else.
    """

    def __init__(
        self,
        *,
        mirror: Registry | None,
        connect: Callable[[str], Registry],
        cache: Path | None = None,
        brief: bool = False,
    ) -> None:
        self._brief = brief
        self._mirror = mirror
        self._connect = connect
        self._cache = cache
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._known: dict[str, str] = {}
        self._onbuild: dict[str, tuple[str, ...]] = {}
        self._platforms: dict[str, str] = {}
        self._clients: dict[str, Registry] = {}
        self._failed: dict[str, BaseImageError] = {}
        self._lost: dict[str, UnreachableError] = {}

    def digest(self, reference: str) -> str:
        """Return the digest that a full reference means, as the first answer of this run was."""
        # A lock for each: hundreds of images may ask for one base at once, and one request goes
        # out, while a slow registry holds up only who needs its answer.
        with self._lock_of(reference):
            if reference not in self._known:
                with self._once(reference):
                    self._known[reference] = self._resolve(parse_reference(reference))
            return self._known[reference]

    def onbuild(self, reference: str, digest: str, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the ONBUILD instructions of the digest that a full reference means."""
        asked = sorted(set(platforms))
        key = " ".join([digest, *asked])
        with self._lock_of(key):
            if key not in self._onbuild:
                with self._once(f"{reference} {key}"):
                    self._onbuild[key] = self._read_onbuild(
                        parse_reference(reference), digest, asked
                    )
            return self._onbuild[key]

    def only_platform(self, reference: str, digest: str) -> str:
        """Return what an image is for that is one manifest and no index."""
        with self._lock_of(f"platform {digest}"):
            if digest not in self._platforms:
                registry, repository = self.where(reference)
                try:
                    found = _platform_of(registry, repository, digest)
                except RegistryError:  # BuildKit will say what is wrong with it
                    found = ""
                self._platforms[digest] = found
            return self._platforms[digest]

    def where(self, reference: str) -> tuple[Registry, str]:
        """Return the registry that is asked for an external image, and its repository there."""
        parsed = parse_reference(reference)
        if parsed.registry != _HUB:
            return self.client(parsed.registry), parsed.repository
        return self._mirror or self.client(_HUB_HOST), parsed.repository

    def base_of(self, image: BuiltImage, *, host: str, own: Mapping[str, str]) -> ImageRef | None:
        """Return what an image is based on, where it can be read; None: nothing.

        :param host: the project's registry.
        :param own: image of the project -> its repository there.
        """
        base = next((one for one in image.bases if one.runtime), None)
        if base is None:
            return None
        if base.image in own:
            return ImageRef(host, own[base.image], base.digest)
        registry, repository = self.where(base.reference)
        return ImageRef(registry.host, repository, base.digest)

    @contextlib.contextmanager
    def _once(self, key: str) -> Iterator[None]:
        """Remember a failure, if the look is brief."""
        if key in self._failed:
            raise self._failed[key]
        try:
            yield
        except BaseImageError as error:
            if self._brief:
                self._failed[key] = error
            raise

    def _lock_of(self, key: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(key, threading.Lock())

    def client(self, host: str) -> Registry:
        """Return the client of a registry's host, the same each time."""
        with self._lock_of(f"host {host}"):
            if host not in self._clients:
                self._clients[host] = self._connect(host)
            return self._clients[host]

    def _read_onbuild(
        self, reference: Reference, digest: str, platforms: list[str]
    ) -> tuple[str, ...]:
        host = reference.registry
        if host == _HUB:
            if self._mirror is not None:
                try:
                    return _onbuild_of(
                        self._mirror, reference.repository, digest, platforms, cache=self._cache
                    )
                except NotFoundInRegistry:
                    pass
            host = _HUB_HOST
        with self._blaming(reference, host):
            return _onbuild_of(
                self.client(host), reference.repository, digest, platforms, cache=self._cache
            )

    def _resolve(self, reference: Reference) -> str:
        if reference.digest:
            return reference.digest
        host = reference.registry
        if host == _HUB:
            if self._mirror is not None:
                # Outside of ``_blaming``: the mirror is the project's own registry. Without it, no
                # image can be planned, whatever its base.
                digest = self._mirror.resolve(reference.repository, reference.tag)
                if digest is not None:
                    return digest
            host = _HUB_HOST
        with self._blaming(reference, host):
            digest = self.client(host).resolve(reference.repository, reference.tag)
        if digest is None:
            raise BaseImageError(
                str(reference),
                f"The base image {reference} does not exist.",
                why=f"The registry {host} has no such image.",
                hint=self._hint(reference),
            )
        return digest

    @contextlib.contextmanager
    def _blaming(self, reference: Reference, host: str) -> Iterator[None]:
        """Say for which base a registry was asked."""
        try:
            if host in self._lost:
                raise self._lost[host]
            yield
        except RegistryError as error:
            if self._brief and isinstance(error, UnreachableError):
                self._lost[host] = error
            kind = _GoneError if isinstance(error, NotFoundInRegistry) else BaseImageError
            raise kind(
                str(reference),
                f"The base image {reference} can't be resolved. {error.message}",
                why=error.message,
                hint=self._hint(reference) or error.hint,
            ) from None

    def _hint(self, reference: Reference) -> str | None:
        """Say how the local mirror could have it, where there is one."""
        if self._mirror is None or reference.registry != _HUB:
            return None
        if reference.repository in _FRONTENDS:
            return (
                "without the internet, remove the Dockerfile's line # syntax=…: "
                "the platform's BuildKit reads Dockerfiles itself."
            )
        if reference.repository != _DEBIAN or not reference.tag:
            return None  # nothing else can be made here
        return (
            "without the internet, let `nox -s up` make it: in aksci.toml, "
            f'[local] seeds = {{ "debian:{reference.tag}" = [] }}.'
        )


def _platform_of(registry: Registry, repository: str, digest: str) -> str:
    manifest = registry.manifest(repository, digest)
    if manifest.is_index or manifest.config is None:
        return ""
    found = read_configuration(registry, repository, manifest).platform
    words = [word for word in (found.os, found.architecture, found.variant) if word]
    return normalise_platform("/".join(words)) if found.os and found.architecture else ""


def _onbuild_of(
    registry: Registry,
    repository: str,
    digest: str,
    platforms: Iterable[str],
    *,
    cache: Path | None = None,
) -> tuple[str, ...]:
    """Return the ONBUILD instructions of an image for any of some platforms.

    It takes two requests for a manifest, at least three for an index; none once ``cache`` has it.

    :param cache: a folder. What is in it is known by digest, so it never grows old.
    :raises RegistryError: it can't be read, or is no image.
    """
    machines = sorted({_machine(platform) for platform in platforms})
    # Part of the name: an index of many platforms is read only for those that are asked for.
    name = hashlib.sha256("\n".join([digest, *machines]).encode()).hexdigest()
    known = cache / f"{name}.json" if cache is not None else None
    if known is not None and (found := _kept(known)) is not None:
        return found
    manifest = registry.manifest(repository, digest)
    try:
        texts = tuple(dict.fromkeys(_read(registry, repository, manifest, machines)))
    except DamagedInRegistry as error:
        name = f"{registry.host}/{repository}@{digest}"
        raise RegistryError(f"{name} is not an image: {error.why}.") from None
    if known is not None:
        with contextlib.suppress(OSError):  # a tree that is only read can be planned, too
            known.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(known, json.dumps(texts))
    return texts


def _kept(path: Path) -> tuple[str, ...] | None:
    try:
        found = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    good = isinstance(found, list) and all(isinstance(one, str) for one in found)
    return tuple(found) if good else None


def _machine(platform: str) -> str:
    """Return a platform without its variant: which one of several fits is for BuildKit to say."""
    return "/".join(normalise_platform(platform).split("/")[:2])


def _read(
    registry: Registry, repository: str, manifest: Manifest, machines: list[str]
) -> list[str]:
    found: list[str] = []
    for one in _chosen(registry, repository, manifest, machines):
        if one.config is None:
            continue
        texts = read_configuration(registry, repository, one).settings.get("OnBuild") or []
        if not isinstance(texts, list):
            raise one.damaged("its OnBuild is no list")
        found += map(str, texts)
    return found


def _chosen(
    registry: Registry, repository: str, manifest: Manifest, machines: list[str]
) -> Iterator[Manifest]:
    """Yield the manifest, or those that an index has for some machines."""
    if not manifest.is_index:
        yield manifest
        return
    # Not only its ``images``: BuildKit chooses by the platform alone.
    entries = [
        one
        for one in manifest.entries
        if one.platform and f"{one.platform.os}/{one.platform.architecture}" in machines
    ]
    if len(entries) > _MOST_VARIANTS:
        raise manifest.damaged(f"it lists {len(entries):,} images for {', '.join(machines)}")
    for entry in entries:
        child = read_child(registry, repository, entry)
        # Which of its images counts, programs choose in different ways; and its end is nowhere.
        if child.is_index:
            raise manifest.damaged(f"it lists an index, {child.digest}, in place of an image")
        yield child
