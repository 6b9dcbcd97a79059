"""What a task does otherwise than aksci: told where the task is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aksci.azure.acr_tasks.obstacles import uses_mount
from aksci.oci.names import parse_reference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from aksci.azure.acr_tasks.project_bases import Placed
    from aksci.azure.acr_tasks.seen_bases import SeenBases
    from aksci.images.graph import Edge, External, Graph, Image

__all__ = ["notes_of"]

_PUBLIC = frozenset({"docker.io", "mcr.microsoft.com"})
_UNSEEN = frozenset({"copy", "mount", "syntax"})
_ACR = re.compile(r"[a-z0-9-]+\.azurecr\.(io|cn|us)")


def notes_of(
    graph: Graph,
    name: str,
    *,
    placed: Placed,
    seen: SeenBases,
    tasks: Collection[str],
    login: str,
) -> tuple[str, ...]:
    """Return them as sentences, about the bases first.

    Sources: "About base image updates for ACR Tasks"; github.com/Azure/acr-builder.

    :param tasks: the images before it that have a task.
    :param login: the registry that the tasks run in.
    """
    image = graph.images[name]
    return (
        *_of_runtime(seen.runtime, placed.runtime, login),
        *_of_others(graph, name, seen),
        *_of_parents(graph, name, tasks),
        *_of_build(image),
    )


def _of_runtime(runtime: str, true: str, login: str) -> Iterator[str]:
    if runtime != true:
        yield f"ACR Tasks takes {runtime} for its base, which is {true}: no update of that counts."
        return
    if runtime == "scratch":
        yield "It stands on nothing: no base triggers it."
        return
    reference = parse_reference(runtime)
    shown = runtime if reference.registry != login else f"$Registry{runtime.removeprefix(login)}"
    if reference.digest:
        yield f"It stands on {shown}, which is pinned: no update of it triggers a run."
    elif reference.registry == login:
        yield f"Triggered when {shown} is pushed."
    elif reference.registry in _PUBLIC:
        yield f"Triggered within 10 to 60 minutes of an update of {shown}."
    elif _ACR.fullmatch(reference.registry):
        yield (
            f"Triggered when {shown} is pushed, if the task may read there: "
            "az acr task credential add."
        )
    else:
        yield f"{shown} is in a registry that ACR Tasks does not follow: no update triggers a run."


def _of_others(graph: Graph, name: str, seen: SeenBases) -> Iterator[str]:
    if seen.others:
        yield (
            "Other stages stand on further images, which ACR Tasks is asked to follow "
            "(--base-image-trigger-type All); Microsoft's documentation says that it follows the "
            "runtime image only."
        )
    everything: tuple[Edge | External, ...] = (*graph.edges_to[name], *graph.external_of[name])
    copied = {one.reference for one in everything if one.type in _UNSEEN}
    if copied:
        yield f"Never followed, since no FROM names it: {', '.join(sorted(copied))}."


def _of_parents(graph: Graph, name: str, tasks: Collection[str]) -> Iterator[str]:
    without = sorted(graph.parents[name] - set(tasks))
    if without:
        yield f"No task builds its base {', '.join(without)}: somebody else must push it."
    for edge in graph.edges_to[name]:
        if edge.type == "requires":
            yield f"It requires {edge.base} by aksci.toml alone, which ACR Tasks knows nothing of."


def _of_build(image: Image) -> Iterator[str]:
    if uses_mount(image, "secret"):
        yield "No secret is mounted; where one is required, the build fails."
    if image.spec.attestations.words:
        yield "No provenance and no SBOM is attached."
