"""Images that are one build by several names: three Compose services, say, with one ``build``."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aksci.images.discovery.specs import INLINE
from aksci.images.keys import counting_args

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from aksci.images.graph import Edge, External, Graph, Image

__all__ = ["find_same_builds", "same_as", "same_build_lines", "same_reason"]


def find_same_builds(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return for each image that is the same build as others the names of those, sorted.

    The same are those that BuildKit would be asked the same for: Dockerfile, context, target,
    arguments that count, platforms, named contexts, and what each of their references means. How
    they are called, tagged and validated is no part of a build.
    """
    alike: dict[Hashable, list[str]] = defaultdict(list)
    for name, image in graph.images.items():
        alike[image.spec.context, image.spec.target, _dockerfile(image)].append(name)
    found = {}
    for names in alike.values():
        if len(names) > 1:  # nearly always there is one, so that no more is looked at
            found.update(_same(graph, names))
    return dict(sorted(found.items()))


def same_build_lines(graph: Graph) -> list[str]:
    """Return a line for each build that images share: ``beat, web, worker: one build``."""
    groups = {tuple(sorted((name, *others))) for name, others in find_same_builds(graph).items()}
    return [f"{', '.join(names)}: one build" for names in sorted(groups)]


def _same(graph: Graph, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for name in names:
        outside = graph.external_of[name]
        # Its own earlier version is another one for each.
        if not any(one.previous for one in outside):
            groups[_asked(graph.images[name], graph.edges_to[name], outside)].append(name)
    return {
        name: tuple(other for other in group if other != name)
        for group in groups.values()
        if len(group) > 1
        for name in group
    }


def _dockerfile(image: Image) -> tuple[str, str]:
    """Return what tells Dockerfiles apart; one that stands in another tool's file has no path."""
    path = image.spec.dockerfile
    return ("", image.dockerfile.text) if path.startswith(f"{INLINE}/") else (path, "")


def _asked(image: Image, edges: Iterable[Edge], outside: Iterable[External]) -> Hashable:
    spec = image.spec
    return (
        tuple(counting_args(image).items()),
        spec.platforms,
        spec.builder_platform,
        tuple(sorted(spec.contexts.items())),
        spec.attestations,
        frozenset((edge.base, edge.type, edge.reference) for edge in edges),
        frozenset((one.reference, one.type) for one in outside),
    )


def same_reason(image: str) -> dict[str, Any]:
    """Return the reason that an image is the same build as another one, and is copied."""
    return {"code": "SAME", "image": image}


def same_as(reasons: Iterable[Mapping[str, Any]]) -> str:
    """Return the image that an image is copied from, as its reasons say; empty: it is none."""
    return next((str(one["image"]) for one in reasons if one["code"] == "SAME"), "")
