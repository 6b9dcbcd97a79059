"""Why ACR Tasks can't build an image as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.azure.acr_tasks.seen_bases import ScanError
from aksci.images.discovery.specs import INLINE
from aksci.images.platforms import normalise_platform
from aksci.oci.names import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.azure.acr_tasks.project_bases import Placed
    from aksci.azure.acr_tasks.seen_bases import SeenBases
    from aksci.images.discovery.specs import ImageSpec
    from aksci.images.graph import Edge, Graph, Image

__all__ = ["obstacles_of", "uses_mount"]

_PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v6", "linux/arm/v7", "linux/386")
"""ACR Tasks overview, "Image platforms"; there is Windows, too, which BuildKit here does not do."""

_ARGS = ("REGISTRY", "OUR_REGISTRY", "PROJECT_REGISTRY", "ACR_REGISTRY")


def obstacles_of(
    graph: Graph, name: str, placed: Placed, seen: SeenBases | ScanError, *, ssh: bool
) -> tuple[str, ...]:
    """Return all that stands in an image's way, as sentences; none: ACR Tasks can build it."""
    image = graph.images[name]
    return (
        *_of_spec(image.spec),
        *_of_dockerfile(image, seen, ssh=ssh),
        *_lost(image, placed.lost),
        *_previous(graph, name),
    )


def uses_mount(image: Image, kind: str) -> bool:
    """Tell whether an image's RUN instructions mount something of a kind."""
    return any(
        flag == "mount" and f"type={kind}" in value.replace('"', "").split(",")
        for one in image.recipe.instructions
        for flag, value in one.flags
    )


def _of_spec(spec: ImageSpec) -> Iterator[str]:
    if spec.contexts:
        names = ", ".join(sorted(spec.contexts))
        yield f"It has named contexts ({names}), which only buildx knows."
    if len(spec.platforms) > 1:
        platforms = ", ".join(spec.platforms)
        yield (
            f"It is for {platforms}: a task builds one platform, and its push would take the "
            "others away from the tag."
        )
    elif normalise_platform(spec.platforms[0]) not in _PLATFORMS:
        yield f"ACR Tasks has no {spec.platforms[0]}; it has {', '.join(_PLATFORMS)}."
    if spec.dockerfile.startswith(f"{INLINE}/"):
        yield "Its Dockerfile is text in another tool's file; a task needs it in the repository."
    if any(len(text.split()) > 1 for text in (spec.dockerfile, spec.context)):
        yield f"ACR Tasks can't read a path with blanks ({spec.dockerfile}, {spec.context})."
    for arg, value in sorted(spec.args.items()):
        words = f"{arg}={value}".split()
        if any(word.startswith("-") for word in words[1:]) or "\0" in value:
            yield (
                f"ACR Tasks would take words of the build argument {arg} for options: it splits at "
                "blanks whatever stands in quotes."
            )


def _of_dockerfile(image: Image, seen: SeenBases | ScanError, *, ssh: bool) -> Iterator[str]:
    if not image.dockerfile.standard_frontend:
        yield (
            f"Nobody knows what it is built from: its frontend {image.dockerfile.frontend} has a "
            "grammar of its own."
        )
    elif isinstance(seen, ScanError):
        yield f"ACR Tasks would not build {image.spec.dockerfile}: {seen}."
    if ssh and uses_mount(image, "ssh"):
        yield "It logs in by SSH (RUN --mount=type=ssh), and a task has no keys."


def _lost(image: Image, edges: tuple[Edge, ...]) -> Iterator[str]:
    """Say which bases would be looked for elsewhere, and how to write them."""
    if not edges:
        return
    names = sorted({edge.reference for edge in edges})
    arg = next((one for one in _ARGS if one not in image.recipe.declared), _ARGS[-1])
    ways = dict.fromkeys(_way(edge, arg) for edge in edges)
    yield (
        f"In {image.spec.dockerfile}, ACR Tasks would not find {', '.join(names)} in the task's "
        f"registry, but take what has that name elsewhere, or nothing. Write ARG {arg}=docker.io "
        f"before the first FROM, and {', '.join(ways)}; an export then sets {arg}."
    )


def _way(edge: Edge, arg: str) -> str:
    reference = parse_reference(edge.reference)
    way = f"FROM ${{{arg}}}/{reference.repository}:{reference.tag}"
    if edge.type in {"copy", "mount"}:
        stage = edge.base.rpartition("/")[2]
        return f"{way} AS {stage} for --from={stage}"
    return way


def _previous(graph: Graph, name: str) -> Iterator[str]:
    for one in graph.external_of[name]:
        if one.previous:
            yield (
                f"It takes files from what {one.reference} was before, which ACR Tasks would look "
                "for there, and not in the task's registry."
            )
