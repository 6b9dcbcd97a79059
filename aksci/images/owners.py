"""Which image of the project a name means, if any: said here, for all that asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.images.dockerfile.contexts import DOCKER_IMAGE, OUR_IMAGE
from aksci.oci.references import HUB_NAMES, Reference, parse_reference, says_hub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.config.models import Config
    from aksci.images.discovery.specs import ImageSpec

__all__ = ["Owners", "find_owners", "own_registries"]

# The embedded platform's registry, which no environment has to name.
_EMBEDDED = "localhost:5000"
_HUB = "docker.io"
_OFFICIAL = "library/"
"""Before Docker Hub's own names of one word."""


@dataclass(frozen=True, kw_only=True)
class Owners:
    """What makes a name ours.

    A name with a registry means an image of the project if that is a registry of the project's. One
    without means ours if it is an image's repository, or what a file of another tool calls it.

    Docker Hub is where nobody here publishes what only another tool's file calls so (``nginx``), or
    one of its own images. So such a name means what Docker takes it for

    - in the Dockerfile of the very image that is called so: ``FROM nginx`` is what it is made of;
    - where ``docker.io/`` stands before it, unless that file says ``docker.io/acme/web``, too, or
      Docker Hub is the registry of an environment. None of this makes ``docker.io/library/`` ours.
    """

    own: Mapping[str, str]
    """In full -> image: its repository, with each registry of the project's, and with none."""
    called: Mapping[str, str]
    """In full -> image: what other tools' files call it."""
    said: frozenset[str]
    """Those of ``called`` that a file writes with ``docker.io/``."""
    hub: bool
    """Whether Docker Hub is a registry of the project's."""

    def find(self, reference: str, *, asking: str) -> str | None:
        """Return the image of this project that a need means; None: it is from outside.

        :param asking: the image that needs it.
        """
        if reference.startswith(OUR_IMAGE):
            return reference.removeprefix(OUR_IMAGE)
        written = reference.removeprefix(DOCKER_IMAGE)
        parsed = parse_reference(written)
        full = str(parsed)
        # A digest names one build of the past, even of ours: nothing of this run replaces it.
        if parsed.digest:
            return None
        owner = self.own.get(full) or self.called.get(full)
        official = parsed.repository.startswith(_OFFICIAL)
        if parsed.registry != _HUB or (full in self.own and not official):
            return owner
        published = not official and (self.hub or full in self.said)
        if owner == asking or (says_hub(written) and not published):
            return None
        return owner


def find_owners(config: Config, specs: Mapping[str, ImageSpec]) -> Owners:
    """Return which image a full reference means: with no registry, or with one of the project's."""
    registries = own_registries(config)
    owners: dict[str, str] = {}
    for spec in specs.values():
        for tag in spec.tags:
            claimed = parse_reference(f"{spec.repository}:{tag}").repository
            for registry in registries:
                # Docker Hub alone puts ``library/`` before a name of one word.
                repository = claimed if registry == _HUB else spec.repository
                reference = str(Reference(registry, repository, tag))
                other = owners.setdefault(reference, spec.name)
                if other != spec.name:
                    raise ConfigError(
                        f"The images {other} and {spec.name} are both {spec.repository}:{tag}.",
                        hint=f"give [images.{spec.name}] another repository or other tags.",
                    )
    called: dict[str, str] = {}
    for spec in specs.values():
        for alias in spec.aliases:
            called.setdefault(alias, spec.name)
    return Owners(
        own=owners,
        called=called,
        said=frozenset().union(*(spec.said for spec in specs.values())),
        hub=not _given_registries(config).isdisjoint(HUB_NAMES),
    )


def own_registries(config: Config) -> frozenset[str]:
    """Return the registries in which a name may be one of the project's.

    Docker Hub's stands for none, too: that is how a reference without a registry is read.
    """
    return frozenset({_HUB, _EMBEDDED, *_given_registries(config)})


def _given_registries(config: Config) -> frozenset[str]:
    # One Dockerfile serves all environments: none of their names is an image from outside.
    return frozenset(env.registry for env in config.environments.values() if env.registry)
