"""What goes into one image in this run: its source, its parents by digest, its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.images.keys import Source, input_key, source_of
from aksci.images.names import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.images.graph import Graph
    from aksci.images.tree import TreeHasher

__all__ = ["Inputs", "inputs_of"]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One image's inputs."""

    source: Source
    parents: Mapping[str, str | None]
    """Full reference -> digest; None where the parent is still to be built."""
    internal: Mapping[str, str]
    """Full reference -> image of this project."""
    pins: Mapping[str, str]
    """Name of a BuildKit named context -> digest reference."""
    syntax: str | None
    """The frontend as a digest reference, with the words for it; None: as the Dockerfile says."""
    reusable: bool
    """Whether the key says all: of an opaque image, nobody knows what else it is made of."""
    runtime: str | None
    """Full reference of what its final stage stands on."""

    @property
    def key(self) -> str | None:
        """The input key; None while a parent's digest is not known."""
        known = {name: digest for name, digest in self.parents.items() if digest is not None}
        return input_key(self.source, known) if len(known) == len(self.parents) else None


def inputs_of(
    graph: Graph,
    name: str,
    *,
    hasher: TreeHasher,
    registry_host: str,
    built: Mapping[str, str | None],
    identities: Mapping[str, str] | None = None,
    resolve_external: Callable[[str], str],
) -> Inputs:
    """Collect an image's inputs.

    :param built: each parent in this project -> its digest, or None while it is not known.
    :param identities: what a parent counts as in the key, where that is not its digest: see
        ``content_identity``.
    :param resolve_external: returns the digest that a full reference means now.
    """
    image = graph.images[name]
    parents: dict[str, str | None] = {}
    internal: dict[str, str] = {}
    pins: dict[str, str] = {}
    for edge in graph.edges:
        if edge.to == name:
            digest = built[edge.base]
            parents[edge.reference] = (identities or {}).get(edge.base, digest)
            internal[edge.reference] = edge.base
            repository = graph.images[edge.base].spec.repository
            if digest:
                pins[parse_reference(edge.reference).familiar] = (
                    f"{registry_host}/{repository}@{digest}"
                )
    syntax = None
    for one in graph.external:
        reference = parse_reference(one.reference)
        if one.image != name or reference.digest:
            continue
        digest = resolve_external(one.reference)
        if not one.previous:  # or its own last version would make it differ for ever
            parents[one.reference] = digest
        if one.type == "syntax":
            _, *words = (image.dockerfile.syntax or "").split(maxsplit=1)
            syntax = " ".join([f"{reference.name}@{digest}", *words])
            continue
        # A named context would replace a stage of the same name, too (FROM debian AS debian).
        if reference.familiar not in image.recipe.stage_names:
            pins[reference.familiar] = f"{reference.name}@{digest}"
    runtime = image.recipe.runtime
    return Inputs(
        source=source_of(image, hasher),
        parents=parents,
        internal=internal,
        pins=pins,
        syntax=syntax,
        reusable=not image.recipe.opaque,
        runtime=str(parse_reference(runtime)) if runtime else None,
    )
