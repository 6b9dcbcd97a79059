"""What a builder is asked for each image: its inputs, and what all images of a run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.config.models import CacheConfig
from aksci.images.annotations import BASE_DIGEST, BASE_NAME
from aksci.images.build.build_record import Base
from aksci.images.context.hasher import ignore_override
from aksci.images.engines.builder import BuildCache, BuildRequest, BuildSecret, BuildSsh
from aksci.images.graph import SYNTAX_ARG
from aksci.images.keys import unchecked_tag
from aksci.images.reasons import edges_of
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.images.inputs import Inputs
    from aksci.images.lookup import Lookup

__all__ = ["BuildRequests", "BuildSettings"]

_LONGEST_TAG = 128  # distribution specification 1.1, "Pulling manifests"


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What is the same for all images of a run."""

    concurrency: int = 2
    """How many images build at once."""
    timeout: float = 3600
    """For one image, in seconds."""
    secrets: tuple[BuildSecret, ...] = ()
    ssh: tuple[BuildSsh, ...] = ()
    cache: CacheConfig = field(default_factory=CacheConfig)
    source: str = ""
    """Address of the source repository."""
    revision: str = ""
    """Commit of the source tree."""
    run_id: str = ""
    environment: str = ""
    """The environment's name."""
    known: Path | None = None
    """The file that keeps what earlier runs have read of the sources."""


@dataclass(frozen=True, kw_only=True)
class BuildRequests:
    """What a builder is asked for one image: its inputs, and what all images of a run share."""

    lookup: Lookup
    settings: BuildSettings

    def of(self, name: str, inputs: Inputs, key: str) -> BuildRequest:
        """Return what a builder is asked for."""
        spec = self.lookup.graph.images[name].spec
        args = dict(spec.args)
        if inputs.syntax:
            args[SYNTAX_ARG] = inputs.syntax
        return BuildRequest(
            name=name,
            dockerfile=self.lookup.graph.root / spec.dockerfile,
            context=self.lookup.graph.root / spec.context,
            target=spec.target,
            args=args,
            platforms=spec.platforms,
            parents=inputs.pins,
            contexts={
                name: self.lookup.graph.root / path for name, path in inputs.contexts.items()
            },
            annotations=self._annotations(inputs),
            secrets=self.settings.secrets,
            repository=f"{self.lookup.registry.host}/{spec.repository}",
            tag=unchecked_tag(key),
            fresh=self.lookup.forced(name),
            timeout=self.settings.timeout,
            ssh=self.settings.ssh,
            cache=self._cache(name),
            attestations=spec.attestations,
            ignore=ignore_override(self.lookup.graph.root, spec.context, spec.dockerfile),
        )

    def _cache(self, name: str) -> BuildCache | None:
        """Return where an image's layer cache is: beside it, in a tag of its own."""
        cache = self.settings.cache
        if cache.type == "none":
            return None
        # By the image's name: several may have one repository.
        tag = f"cache-{name.replace('/', '-')}"[:_LONGEST_TAG]
        return BuildCache(
            ref=f"{self.lookup.registry.host}/{self.lookup.graph.images[name].spec.repository}:{tag}",
            mode=cache.mode,
            read_only=cache.read_only,
        )

    def _annotations(self, inputs: Inputs) -> dict[str, str]:
        """Return what the image's manifest says: only what its content depends on anyway.

        Image specification 1.1, "Pre-Defined Annotation Keys".
        """
        found = {}
        if self.settings.source:
            found["org.opencontainers.image.source"] = self.settings.source
        digest = inputs.parents.get(inputs.runtime or "")
        if inputs.runtime and digest:
            found[BASE_NAME] = self._base_name(inputs)
            found[BASE_DIGEST] = _pinned(inputs, inputs.runtime) or digest
        return found

    def _base_name(self, inputs: Inputs) -> str:
        """Return the full name of the image's base; ours are in this registry."""
        name = inputs.runtime or ""
        if name not in inputs.internal:
            return name
        repository = self.lookup.graph.images[inputs.internal[name]].spec.repository
        return f"{self.lookup.registry.host}/{repository}:{parse_reference(name).tag}"

    def bases(self, name: str, inputs: Inputs) -> tuple[Base, ...]:
        """Return what an image is built from, each by the digest that its build is handed."""
        edges = edges_of(self.lookup.graph, name, inputs)
        return tuple(
            Base(
                reference=reference,
                digest=_pinned(inputs, reference) or str(digest),
                type=edges[reference]["type"],
                image=inputs.internal.get(reference, ""),
                runtime=reference == inputs.runtime,
            )
            for reference, digest in sorted(inputs.parents.items())
        )


def _pinned(inputs: Inputs, reference: str) -> str:
    """Return the digest that a reference is pinned by.

    A parent of ours may count as something else in keys: see ``content_identity``.
    """
    return inputs.pins.get(parse_reference(reference).familiar, "").partition("@")[2]
