"""ONBUILD of images that are in a registry: what they make a build do that stands on them.

OCI image specification, "Image Index", "Image Manifest"; ``config.OnBuild`` is Docker's own field
of an image's configuration (Docker image specification v1.2).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol

from aksci.core.errors import RegistryError
from aksci.core.files import write_atomically
from aksci.images.dockerfile.parser import Instruction, parse_dockerfile
from aksci.images.platforms import normalise_platform

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from aksci.oci.registry import Registry

__all__ = ["Bases", "parse_onbuild", "read_onbuild"]


class Bases(Protocol):
    """What knows the images that a project does not build; ``BaseResolver`` does.

    Both count in keys: nobody may know the digest of an image and pass over its ONBUILD.
    """

    def __call__(self, reference: str, /) -> str:
        """Return the digest that a full reference means now."""

    def onbuild(self, reference: str, digest: str, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the ONBUILD instructions of the digest that a full reference means."""


def parse_onbuild(texts: Iterable[str], *, name: str) -> tuple[Instruction, ...]:
    """Read the instructions of an image's configuration.

    :raises ConfigError: BuildKit would refuse one.
    """
    return tuple(
        one
        for text in texts
        for one in parse_dockerfile(text.encode("utf-8", "replace"), name=name).instructions
    )


def read_onbuild(
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
    wanted = sorted({_machine(platform) for platform in platforms})
    name = hashlib.sha256("\n".join([digest, *wanted]).encode()).hexdigest()
    known = cache / f"{name}.json" if cache is not None else None
    if known is not None and (found := _kept(known)) is not None:
        return found
    texts = tuple(dict.fromkeys(_read(registry, repository, digest, wanted)))
    if known is not None:
        with contextlib.suppress(OSError):  # a tree that is only read can be planned, too
            known.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(known, json.dumps(texts))
    return texts


def _kept(path: Path) -> tuple[str, ...] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    good = isinstance(found, list) and all(isinstance(one, str) for one in found)
    return tuple(found) if good else None


def _machine(platform: str) -> str:
    """Return a platform without its variant: which one of several fits is for BuildKit to say."""
    return "/".join(normalise_platform(platform).split("/")[:2])


def _read(registry: Registry, repository: str, digest: str, wanted: list[str]) -> list[str]:
    try:
        manifest = json.loads(registry.manifest(repository, digest).content)
        if "manifests" in manifest:
            return [
                text
                for one in manifest["manifests"]
                if _is_wanted(one.get("platform") or {}, wanted)
                for text in _read(registry, repository, one["digest"], wanted)
            ]
        config = manifest.get("config", {}).get("digest")
        if config is None:
            return []
        settings: Any = json.loads(registry.blob(repository, config)).get("config") or {}
        return [str(text) for text in settings.get("OnBuild") or []]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RegistryError(f"{registry.host}/{repository}@{digest} is not an image.") from None


def _is_wanted(platform: dict[str, Any], wanted: list[str]) -> bool:
    return f"{platform.get('os')}/{platform.get('architecture')}" in wanted
