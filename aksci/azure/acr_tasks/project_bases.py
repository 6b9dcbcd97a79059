"""Let a Dockerfile find this project's images in the registry of the task that builds it.

To ``docker build``, a name without a registry is on docker.io. ACR Tasks fills ``$Registry`` in in
a task, not in a Dockerfile, so only a build argument can bring it there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.images.dockerfile.variables import arg_pairs
from aksci.images.graph import interpret
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.images.dockerfile.recipe import Recipe
    from aksci.images.graph import Edge, Graph, Image

__all__ = ["Placed", "place_bases"]

_IN_DOCKERFILES = frozenset({"runtime", "stage", "copy", "mount"})


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where an image's bases in this project are looked for."""

    args: Mapping[str, str]
    """Build arguments that begin with the registry -> what follows it."""
    lost: tuple[Edge, ...]
    """What would be looked for elsewhere all the same."""
    runtime: str
    """What the image is then based on, in full; ``scratch``: nothing."""


def place_bases(graph: Graph, name: str, *, login: str, hosts: frozenset[str]) -> Placed:
    """Find the build arguments with which an image is built from this registry's images.

    Each is tried, and kept where it brings one more of this project's images into the registry and
    moves nothing else.

    :param login: the registry that tasks run in.
    :param hosts: what an argument may say for "our registry" otherwise, docker.io among them.
    """
    image = graph.images[name]
    edges = [edge for edge in graph.edges_to[name] if edge.type in _IN_DOCKERFILES]
    ours = {edge.reference: _path(graph, edge) for edge in edges}
    outside = {
        one.reference for one in graph.external_of[name] if one.type in _IN_DOCKERFILES
    } - ours.keys()
    inside = {f"{login}{path}" for path in ours.values()}
    chosen: dict[str, str] = {}
    # One argument after the other, each on top of what was found: two may name the registry in one
    # Dockerfile.
    best = _recipe(image, chosen, login, ours) or image.recipe
    for arg, rests in _candidates(image, ours, hosts):
        for rest in rests:
            attempt = {**chosen, arg: rest}
            recipe = _recipe(image, attempt, login, ours)
            if (
                recipe is not None
                # An argument that also names somebody else's image must not lead that into our
                # registry.
                and outside <= _references(recipe)
                and len(_references(recipe) & inside) > len(_references(best) & inside)
            ):
                chosen, best = attempt, recipe
                break
    found = _references(best)
    return Placed(
        args=chosen,
        lost=tuple(edge for edge in edges if f"{login}{ours[edge.reference]}" not in found),
        runtime=_full(best.runtime or "") or "scratch",
    )


def _path(graph: Graph, edge: Edge) -> str:
    """Return what follows the registry in a base's name."""
    spec = graph.images[edge.base].spec
    tag = parse_reference(edge.reference).tag
    return f"/{spec.repository}:{tag if tag in spec.tags or not spec.tags else spec.tags[0]}"


def _candidates(
    image: Image, ours: Mapping[str, str], hosts: frozenset[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the ARGs before the first FROM that may name the registry, and what may follow it."""
    for one in image.dockerfile.head:
        for arg, default in arg_pairs(one, image.dockerfile.escape):
            # Quotes are Docker's to remove, and not a part of the value.
            value = image.spec.args.get(arg, (default or "").strip("'\""))
            if not value:
                yield arg, ("/",)
            elif value.rstrip("/") in hosts:
                yield arg, ("/" if value.endswith("/") else "",)
            elif (path := ours.get(_full(value))) is not None:
                yield arg, (path,)


def _full(value: str) -> str:
    try:
        return str(parse_reference(value))
    except ConfigError:
        return ""


def _recipe(
    image: Image, args: Mapping[str, str], login: str, ours: Mapping[str, str]
) -> Recipe | None:
    """Return what a Dockerfile means with some arguments; None: it can't be built with them."""
    filled = {arg: f"{login}{rest}" for arg, rest in args.items()}
    triggers = dict(image.triggers)
    for base, added in image.triggers.items():  # ONBUILD comes from wherever its image is
        if (path := ours.get(_full(base))) is not None:
            # A Dockerfile may leave ":latest" out; triggers are looked up as it is written.
            for written in (path, path.removesuffix(":latest")):
                triggers[f"{login}{written}"] = added
    try:
        spec = replace(image.spec, args={**image.spec.args, **filled})
        return interpret(spec, image.dockerfile, triggers).recipe
    except ConfigError:
        return None


def _references(recipe: Recipe) -> frozenset[str]:
    return frozenset(_full(need.reference) for need in recipe.needs if need.type in _IN_DOCKERFILES)
