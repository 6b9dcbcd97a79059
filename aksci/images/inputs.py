"""What goes into one image in this run: its source, its parents by digest, its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.images.dockerfile.contexts import DOCKER_IMAGE, OUR_IMAGE, normalised_contexts
from aksci.images.dockerfile.parser import parse_onbuild
from aksci.images.graph import Edge, External, Image, interpret, own_reference
from aksci.images.keys import Source, input_key, source_of
from aksci.oci.references import Reference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.images.bases import BaseResolver
    from aksci.images.context.hasher import TreeHasher
    from aksci.images.dockerfile.parser import Instruction
    from aksci.images.graph import Graph

__all__ = ["Inputs", "inputs_of"]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One image's inputs."""

    image: Image
    """With what the ONBUILD of images from outside adds to it. To come to the same source again:
    ``read_image(…, triggers=inputs.image.triggers)``."""
    source: Source
    parents: Mapping[str, str | None]
    """Full reference -> digest; None where the parent is still to be built."""
    internal: Mapping[str, str]
    """Full reference -> image of this project."""
    pins: Mapping[str, str]
    """Name of a BuildKit named context -> digest reference (``docker-image://`` stands before it
    on buildx's command line)."""
    contexts: Mapping[str, str]
    """Name of a BuildKit named context -> folder, relative to the project."""
    syntax: str | None
    """The frontend as a digest reference, with the words for it; None: as the Dockerfile says."""
    reusable: bool
    """Whether the key says all: of an opaque image, nobody knows what else it is made of."""
    runtime: str | None
    """Full reference of what its final stage is based on."""
    digests: frozenset[str] = frozenset()
    """Of all images that its build may use, by whatever name."""
    unpinned: Mapping[str, str] = field(default_factory=dict)
    """Full reference -> digest of what BuildKit can't be told the digest of: a stage has its name.
    BuildKit asks the registry itself, so that its answer must be checked."""

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
    bases: BaseResolver,
) -> Inputs:
    """Collect an image's inputs.

    :param built: each parent in this project -> its digest, or None while it is not known.
    :param identities: what a parent counts as in the key, where that is not its digest: see
        ``content_identity``.
    :param bases: tells what FROM means now.
    """
    collected = _Collector(graph, registry_host, built, identities or {}, bases)
    image = collected.collect(name)
    return Inputs(
        image=image,
        source=source_of(image, hasher),
        parents=collected.parents,
        internal=collected.internal,
        pins=collected.pins,
        contexts={
            context: value
            for context, value in normalised_contexts(image.spec.contexts).items()
            if not value.startswith((OUR_IMAGE, DOCKER_IMAGE))
        },
        syntax=collected.syntax,
        reusable=not image.recipe.opaque,
        runtime=_full(graph, image.recipe.runtime) if image.recipe.runtime else None,
        digests=frozenset(collected.digests),
        unpinned=collected.unpinned,
    )


def _full(graph: Graph, reference: str) -> str:
    """Return the full reference of what a stage is based on, or of the context in its place."""
    if reference.startswith(OUR_IMAGE):
        return own_reference(graph.images[reference.removeprefix(OUR_IMAGE)].spec)
    return str(parse_reference(reference.removeprefix(DOCKER_IMAGE)))


class _Collector:
    """Collect what one image needs."""

    def __init__(
        self,
        graph: Graph,
        registry_host: str,
        built: Mapping[str, str | None],
        identities: Mapping[str, str],
        bases: BaseResolver,
    ) -> None:
        self._graph = graph
        self._host = registry_host
        self._built = built
        self._identities = identities
        self._bases = bases
        self.parents: dict[str, str | None] = {}
        self.internal: dict[str, str] = {}
        self.pins: dict[str, str] = {}
        self.syntax: str | None = None
        self.digests: set[str] = set()
        self.unpinned: dict[str, str] = {}

    def collect(self, name: str) -> Image:
        """Fill the parts in; return the image with what images from outside add to it."""
        image = self._with_triggers(self._graph.images[name])
        for edge in self._graph.edges_to[name]:
            self._add_edge(image, edge)
        for one in (*self._graph.external_of[name], *self._added(image)):
            self._add_external(image, one)
        for context, value in normalised_contexts(image.spec.contexts).items():
            self._pin_context(name, context, value)
        return image

    def _digest_reference(self, base: str) -> str | None:
        digest = self._built.get(base)
        repository = self._graph.images[base].spec.repository
        if digest is None:
            return None
        self.digests.add(digest)
        return f"{self._host}/{repository}@{digest}"

    def _add_edge(self, image: Image, edge: Edge) -> None:
        digest = self._built[edge.base]
        # The key counts what the parent is, the pin says where it is: rebuilt to the same content,
        # it may have another digest.
        self.parents[edge.reference] = self._identities.get(edge.base, digest) if digest else None
        self.internal[edge.reference] = edge.base
        pin = self._digest_reference(edge.base)
        if edge.type in {"context", "requires"} or pin is None:
            return
        familiar = parse_reference(edge.reference).familiar
        if familiar in image.recipe.stage_names:
            raise ConfigError(
                f"{image.spec.dockerfile} has a stage {familiar}, and takes the image {familiar} "
                "of this project, too: BuildKit can't be told which is meant.",
                hint=f"give the stage another name: FROM … AS {familiar}-stage",
            )
        self.pins[familiar] = pin

    def _add_external(self, image: Image, one: External) -> None:
        reference = parse_reference(one.reference)
        # Pinned where it is named, so the source key says which already.
        if reference.digest:
            self.digests.add(reference.digest)
            return
        digest = self._bases.digest(one.reference)
        self.digests.add(digest)
        if not one.previous:  # or its own last version would make it differ for ever
            self.parents[one.reference] = digest
        if one.type == "syntax":
            _, *words = (image.dockerfile.syntax or "").split(maxsplit=1)
            self.syntax = " ".join([f"{reference.name}@{digest}", *words])
        # A named context would replace a stage of the same name, too (FROM debian AS debian).
        elif one.type != "context":
            if reference.familiar in image.recipe.stage_names:
                self.unpinned[one.reference] = digest
            else:
                self.pins[reference.familiar] = f"{reference.name}@{digest}"

    def _pin_context(self, name: str, context: str, value: str) -> None:
        if value.startswith(OUR_IMAGE):
            base = value.removeprefix(OUR_IMAGE)
            reference = own_reference(self._graph.images[base].spec)
            if base == name:
                self.pins[context] = self._external_pin(parse_reference(reference))
            elif (pin := self._digest_reference(base)) is not None:
                self.pins[context] = pin
        elif value.startswith(DOCKER_IMAGE):
            reference = value.removeprefix(DOCKER_IMAGE)
            full = str(parse_reference(reference))
            base = self.internal.get(full, "")
            pin = self._digest_reference(base) if base else None
            if base and pin is None:
                return
            self.pins[context] = pin or self._external_pin(parse_reference(reference))

    def _external_pin(self, reference: Reference) -> str:
        digest = reference.digest or self._bases.digest(str(reference))
        self.digests.add(digest)
        return f"{reference.name}@{digest}"

    # ONBUILD

    def _with_triggers(self, image: Image) -> Image:
        """Add the ONBUILD of images that only the registry knows.

        It may copy from a stage that nothing needed before, which is based on further images.
        """
        seen: set[str] = set()
        while waiting := image.recipe.bases - seen:
            seen |= waiting
            triggers = dict(image.triggers)
            for base in sorted(waiting):
                if found := self._triggers_of(image, base):
                    triggers[base] = found
            if triggers != image.triggers:
                image = interpret(image.spec, image.dockerfile, triggers)
        return image

    def _triggers_of(self, image: Image, base: str) -> tuple[Instruction, ...]:
        full = _full(self._graph, base)
        owner = self._owner(image.spec.name, full)
        if owner is None:
            reference = parse_reference(full)
            digest = reference.digest or self._bases.digest(full)
        elif self._graph.images[owner].dockerfile.standard_frontend:
            return ()  # the graph knows what it says
        else:
            pin = self._digest_reference(owner)
            if pin is None:
                return ()  # without its digest, there is no key either
            full, _, digest = pin.partition("@")
        platforms = {*image.spec.platforms, image.spec.builder_platform}
        texts = self._bases.onbuild(full, digest, platforms)
        return parse_onbuild(texts, name=f"ONBUILD of {full}")

    def _owner(self, name: str, full: str) -> str | None:
        edges = self._graph.edges_to[name]
        return next((edge.base for edge in edges if edge.reference == full), None)

    def _added(self, image: Image) -> list[External]:
        """Return what is needed because of ONBUILD in images from outside, and only so."""
        name = image.spec.name
        known = set(self._graph.images[name].recipe.needs)
        return [
            External(image=name, reference=str(parse_reference(need.reference)), type=need.type)
            for need in image.recipe.needs
            if need not in known
        ]
