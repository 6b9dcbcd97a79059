"""Decide which images ACR Tasks can build, how, and what a task does otherwise than aksci."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from aksci.azure.acr_tasks.acr_export import AcrExport, AcrTask, LeftOut
from aksci.azure.acr_tasks.obstacles import obstacles_of, uses_mount
from aksci.azure.acr_tasks.project_bases import place_bases
from aksci.azure.acr_tasks.seen_bases import ScanError, SeenBases, scan_bases
from aksci.images.platforms import normalise_platform
from aksci.oci.names import parse_reference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from aksci.azure.acr_tasks.project_bases import Placed
    from aksci.azure.acr_tasks.seen_bases import SeenBases
    from aksci.azure.acr_tasks.source_location import SourceLocation
    from aksci.config.models import Config
    from aksci.images.graph import Edge, External, Graph, Image

__all__ = ["notes_of", "plan_acr_tasks", "registry_name", "task_name"]

_LOGIN = re.compile(r"([a-z0-9]{5,50})(?:-[a-z0-9]+)?\.azurecr\.(?:io|cn|us)")
_UNNAMED = "registry.azurecr.io"
"""Stands for the registry that is not known yet."""
_SHORTEST, _LONGEST = 5, 50
_EMBEDDED = "localhost:5000"
_LONGEST_RUN = 28_800  # seconds: az acr task create, --timeout


def plan_acr_tasks(
    graph: Graph, config: Config, *, login: str, source: SourceLocation
) -> AcrExport:
    """Return the tasks that do what can be done of a project by ACR Tasks.

    :param login: the environment's registry; of another kind than ACR, it is left open.
    """
    registry = registry_name(login)
    here = login if registry else _UNNAMED
    hosts = {"docker.io", _EMBEDDED, login}
    hosts |= {one.registry for one in config.environments.values() if one.registry}
    tasks: dict[str, AcrTask] = {}
    left_out: list[LeftOut] = []
    for name in graph.order:
        placed = place_bases(graph, name, login=here, hosts=frozenset(hosts))
        seen = _seen(graph, name, placed, here)
        reasons = obstacles_of(graph, name, placed, seen, ssh=bool(config.build.ssh))
        if reasons or isinstance(seen, ScanError):
            left_out.append(LeftOut(image=name, reasons=reasons))
            continue
        notes = notes_of(graph, name, placed=placed, seen=seen, tasks=tasks, login=here)
        tasks[name] = _task(graph, name, config.project.name, placed, seen, notes)
    return AcrExport(
        project=config.project.name,
        registry=registry,
        source=source,
        tasks=tuple(tasks.values()),
        left_out=tuple(left_out),
        step_timeout=min(config.build.timeout, _LONGEST_RUN // 2),
    )


def registry_name(login: str) -> str | None:
    """Return the name of the Azure container registry of a login server; None: it is none.

    A registry made with a domain name label has ``name-hash.azurecr.io``; names have no dashes.
    """
    found = _LOGIN.fullmatch(login.lower())
    return found[1] if found else None


def task_name(project: str, image: str) -> str:
    """Return the name of an image's task, which depends on nothing else.

    Azure REST API, "Tasks - Create": 5 to 50 letters, digits and dashes. What that changes gets a
    hash of the whole name, so that ``a/b`` and ``a-b`` have tasks of their own.
    """
    whole = f"{project}-{image}"
    plain = re.sub(r"[^A-Za-z0-9-]+", "-", whole)
    if plain == whole and _SHORTEST <= len(whole) <= _LONGEST:
        return whole
    mark = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{plain[: _LONGEST - len(mark) - 1]}-{mark}"


def _seen(graph: Graph, name: str, placed: Placed, login: str) -> SeenBases | ScanError:
    image = graph.images[name]
    filled = {arg: f"{login}{rest}" for arg, rest in placed.args.items()}
    try:
        return scan_bases(image.dockerfile.text, {**image.spec.args, **filled}, image.spec.target)
    except ScanError as error:
        return error


def _task(
    graph: Graph,
    name: str,
    project: str,
    placed: Placed,
    seen: SeenBases,
    notes: tuple[str, ...],
) -> AcrTask:
    spec = graph.images[name].spec
    return AcrTask(
        image=name,
        name=task_name(project, name),
        repository=spec.repository,
        tags=spec.tags,
        dockerfile=spec.dockerfile,
        context=spec.context,
        target=spec.target,
        args={arg: value for arg, value in sorted(spec.args.items()) if arg not in placed.args},
        registry_args=dict(sorted(placed.args.items())),
        platform=normalise_platform(spec.platforms[0]),
        trigger="All" if seen.others else "Runtime",
        notes=notes,
    )


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
