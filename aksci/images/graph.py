"""The image graph: which image needs which, and what comes from outside."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aksci.errors import ConfigError
from aksci.images.discovery import ImageSpec, discover_images
from aksci.images.dockerfile import Dockerfile, parse_dockerfile
from aksci.images.names import Reference, parse_reference
from aksci.images.platforms import platform_args, this_platform
from aksci.images.stages import EdgeType, Recipe, resolve_stages, unite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.config import Config

__all__ = [
    "SYNTAX_ARG",
    "Edge",
    "External",
    "Graph",
    "Image",
    "build_graph",
    "graph_document",
    "read_image",
]

SYNTAX_ARG = "BUILDKIT_SYNTAX"
"""The build argument that names the frontend, in place of ``# syntax=``."""

_EMBEDDED = "localhost:5000"
_HUB = "docker.io"


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image: what to build, and what its Dockerfile means."""

    spec: ImageSpec
    dockerfile: Dockerfile
    recipe: Recipe


@dataclass(frozen=True, order=True, kw_only=True)
class Edge:
    """``to`` needs ``base``; both are images of this project."""

    base: str
    to: str
    type: EdgeType
    reference: str
    """What the Dockerfile says, in full. It may name one base in several ways."""


@dataclass(frozen=True, order=True, kw_only=True)
class External:
    """``image`` needs something that this project does not build."""

    image: str
    reference: str
    """In full."""
    type: EdgeType
    previous: bool = False
    """It is the image itself: an earlier version of it."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """All images of a project."""

    root: Path
    images: Mapping[str, Image]
    """Sorted by name."""
    edges: tuple[Edge, ...]
    external: tuple[External, ...]

    @cached_property
    def parents(self) -> dict[str, frozenset[str]]:
        """Name of each image -> the images that it needs."""
        found: dict[str, set[str]] = {name: set() for name in self.images}
        for edge in self.edges:
            found[edge.to].add(edge.base)
        return {name: frozenset(needed) for name, needed in found.items()}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All names, parents before children, otherwise alphabetical."""
        return _order(self.parents)

    def with_parents(self, names: frozenset[str]) -> frozenset[str]:
        """Return some images and everything that they need.

        :raises ConfigError: there is no such image.
        """
        unknown = sorted(names - set(self.images))
        if unknown:
            known = ", ".join(self.images)
            raise ConfigError(f"There is no image {', '.join(unknown)}. Known: {known}.")
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(self.parents[name])
        return frozenset(found)


def build_graph(root: Path, config: Config, *, builder_platform: str | None = None) -> Graph:
    """Read a project's Dockerfiles and connect its images.

    :param builder_platform: of images whose platforms are not configured; default: this machine's.
    :raises ConfigError: a Dockerfile is missing or wrong, two images would have the same name and
        tag, or images need each other in a circle.
    """
    builder_platform = builder_platform or this_platform()
    specs = discover_images(root, config, builder_platform=builder_platform)
    parsed: dict[str, Dockerfile] = {}
    images = {name: read_image(root, spec, parsed) for name, spec in specs.items()}
    owners = _owners(config, specs)
    edges: set[Edge] = set()
    external: set[External] = set()
    for name, image in images.items():
        for need in image.recipe.needs:
            reference = parse_reference(need.reference)
            owner = None if reference.digest else owners.get(str(reference))
            if owner is None or owner == name or need.type == "syntax":
                # An image that copies from itself means its previous version.
                one = External(
                    image=name,
                    reference=str(reference),
                    type=need.type,
                    previous=owner == name,
                )
                external.add(one)
            else:
                edges.add(Edge(base=owner, to=name, type=need.type, reference=str(reference)))
    graph = Graph(
        root=root, images=images, edges=tuple(sorted(edges)), external=tuple(sorted(external))
    )
    _ = graph.order  # a circle is an error now, not later
    return graph


def graph_document(graph: Graph) -> dict[str, Any]:
    """Return the graph as ``graph --format json`` prints it (DESIGN §4)."""
    return {
        "schema": 1,
        "images": [
            {
                "name": name,
                "dockerfile": image.spec.dockerfile,
                "context": image.spec.context,
                "target": image.spec.target,
                "args": dict(sorted(image.spec.args.items())),
                "opaque": bool(image.recipe.opaque),
            }
            for name, image in graph.images.items()
        ],
        "edges": [
            {"from": base, "to": to, "type": kind}
            for base, to, kind in sorted({(edge.base, edge.to, edge.type) for edge in graph.edges})
        ],
        "external": [
            {"image": one.image, "reference": one.reference, "type": one.type}
            for one in graph.external
        ],
    }


def read_image(root: Path, spec: ImageSpec, parsed: dict[str, Dockerfile]) -> Image:
    """Read what an image's Dockerfile means.

    :param parsed: the Dockerfiles that were read already, by path; this one is added.
    :raises ConfigError: the Dockerfile is wrong.
    """
    dockerfile = parsed.get(spec.dockerfile)
    if dockerfile is None:
        content = (root / spec.dockerfile).read_bytes()
        dockerfile = parsed[spec.dockerfile] = parse_dockerfile(content, name=spec.dockerfile)
    if syntax := spec.args.get(SYNTAX_ARG, "").strip():
        dockerfile = replace(dockerfile, syntax=syntax)
    recipe = unite(
        [
            resolve_stages(
                dockerfile,
                target=spec.target,
                args=spec.args,
                platform=platform_args(build=spec.builder_platform, target=target),
            )
            for target in spec.platforms
        ]
    )
    return Image(spec=spec, dockerfile=dockerfile, recipe=recipe)


def _owners(config: Config, specs: Mapping[str, ImageSpec]) -> dict[str, str]:
    """Return which image a full reference means: with no registry, or with one of the project's."""
    registries = {_HUB, _EMBEDDED}
    registries |= {env.registry for env in config.environments.values() if env.registry}
    owners: dict[str, str] = {}
    for spec in specs.values():
        for tag in spec.tags:
            claimed = parse_reference(f"{spec.repository}:{tag}").repository
            for registry in registries:
                repository = claimed if registry == _HUB else spec.repository
                reference = str(Reference(registry, repository, tag))
                other = owners.setdefault(reference, spec.name)
                if other != spec.name:
                    raise ConfigError(
                        f"The images {other} and {spec.name} are both {spec.repository}:{tag}.",
                        hint=f"give [images.{spec.name}] another repository or other tags.",
                    )
    return owners


def _order(parents: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    waiting = {name: set(needed) for name, needed in parents.items()}
    children: dict[str, list[str]] = defaultdict(list)
    for name, needed in parents.items():
        for parent in needed:
            children[parent].append(name)
    ready = sorted(name for name, needed in waiting.items() if not needed)
    order: list[str] = []
    while ready:
        name = ready.pop(0)
        order.append(name)
        for child in sorted(children[name]):
            waiting[child].discard(name)
            if not waiting[child]:
                ready.append(child)
    if len(order) < len(parents):
        circle = " -> ".join(_circle(parents, set(parents) - set(order)))
        raise ConfigError(f"Images need each other in a circle: {circle}.")
    return tuple(order)


def _circle(parents: Mapping[str, frozenset[str]], stuck: set[str]) -> list[str]:
    """Return one circle among images that wait for each other, its first name again at its end."""
    path = [min(stuck)]
    while True:
        following = min(parents[path[-1]] & stuck)
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)
