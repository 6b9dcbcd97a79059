"""Decide which images ACR Tasks can build, and how."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from aksci.azure.acr_tasks.acr_export import AcrExport, AcrTask, LeftOut
from aksci.azure.acr_tasks.notes import notes_of
from aksci.azure.acr_tasks.obstacles import obstacles_of
from aksci.azure.acr_tasks.project_bases import place_bases
from aksci.azure.acr_tasks.seen_bases import ScanError, SeenBases, scan_bases
from aksci.images.platforms import normalise_platform

if TYPE_CHECKING:
    from aksci.azure.acr_tasks.project_bases import Placed
    from aksci.azure.acr_tasks.source_location import SourceLocation
    from aksci.config.models import Config
    from aksci.images.graph import Graph

__all__ = ["plan_acr_tasks", "registry_name", "task_name"]

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
