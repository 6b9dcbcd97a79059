"""Decide which images ACR Tasks can build, how, and what a task does otherwise than aksci.

Sources: "About base image updates for ACR Tasks"; "ACR Tasks overview";
github.com/Azure/acr-builder.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aksci.azure.acr_tasks.project_bases import place_bases
from aksci.azure.acr_tasks.seen_bases import ScanError, SeenBases, scan_bases
from aksci.core.errors import ConfigError
from aksci.images.discovery.specs import INLINE
from aksci.images.platforms import normalise_platform
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from aksci.azure.acr_tasks.project_bases import Placed
    from aksci.azure.acr_tasks.seen_bases import SeenBases
    from aksci.azure.acr_tasks.source_location import SourceLocation
    from aksci.config.models import Config
    from aksci.images.discovery.specs import ImageSpec
    from aksci.images.graph import Edge, External, Graph, Image

__all__ = [
    "AcrExport",
    "AcrTask",
    "LeftOut",
    "notes_of",
    "obstacles_of",
    "plan_acr_tasks",
    "registry_name",
    "task_name",
    "uses_mount",
]


@dataclass(frozen=True, kw_only=True)
class AcrTask:
    """One image that ACR Tasks can build."""

    image: str
    name: str
    """The task's: 5 to 50 letters, digits and dashes."""
    repository: str
    tags: tuple[str, ...]
    """Stable ones."""
    dockerfile: str
    """Relative to the project, as is ``context``."""
    context: str
    target: str | None
    args: Mapping[str, str]
    registry_args: Mapping[str, str]
    """Build arguments that begin with the registry -> what follows it: ``/shop/base:latest``."""
    platform: str
    trigger: Literal["Runtime", "All"]
    """Which bases ACR Tasks is asked to follow."""
    notes: tuple[str, ...] = ()
    """What the task does otherwise than aksci, as sentences."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """One image that ACR Tasks can't build as it is."""

    image: str
    reasons: tuple[str, ...]
    """Sentences; each says what to do where something can be done."""


@dataclass(frozen=True, kw_only=True)
class AcrExport:
    """Everything that an export writes."""

    project: str
    registry: str | None
    """The name of the Azure container registry; None: the environment's is another kind."""
    source: SourceLocation
    tasks: tuple[AcrTask, ...]
    """Bases before their dependents."""
    left_out: tuple[LeftOut, ...]
    step_timeout: int
    """Seconds."""

    @property
    def run_timeout(self) -> int:
        """Seconds for both steps of a run (``az acr task create --timeout``: 300 to 28,800)."""
        return min(28_800, max(300, 2 * self.step_timeout))

    def require(self) -> None:
        """Require that there is a task.

        :raises ConfigError: ACR Tasks can build none of the images.
        """
        if not self.tasks:
            reasons = "\n".join(
                f"  {one.image}: {reason}" for one in self.left_out for reason in one.reasons
            )
            raise ConfigError(f"ACR Tasks can build none of the images:\n{reasons}")

    def warnings(self, login: str) -> Iterator[str]:
        """Yield what the files lack.

        :param login: the environment's registry, as ``host[:port]``.
        """
        for one in self.left_out:
            yield f"{one.image} has no task. {' '.join(one.reasons)}"
        if self.registry is None:
            yield (
                f"{login} is no Azure container registry: the scripts and the template ask for "
                "one. -- --env NAME chooses another environment."
            )
        if not self.source.repository:
            yield (
                "[project] source is no address of a Git repository: the scripts and the template "
                "ask for one."
            )

    def as_json(self) -> dict[str, Any]:
        """Return it for the run record."""
        return {
            "tasks": {task.image: task.name for task in self.tasks},
            "leftOut": {one.image: list(one.reasons) for one in self.left_out},
        }


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
    # What a build argument for the registry may be set to: docker.io so that the Dockerfile works
    # without one.
    hosts = {"docker.io", _EMBEDDED, login}
    hosts |= {one.registry for one in config.environments.values() if one.registry}
    tasks: dict[str, AcrTask] = {}
    left_out: list[LeftOut] = []
    for name in graph.order:
        placed = place_bases(graph, name, login=here, hosts=frozenset(hosts))
        seen = _seen(graph, name, placed, here)
        reasons = obstacles_of(graph, name, placed, seen, ssh=bool(config.build.ssh))
        # All reasons at once, and every other image is exported all the same.
        if reasons or isinstance(seen, ScanError):
            left_out.append(LeftOut(image=name, reasons=reasons))
            continue
        # Bases come first in the order, so ``tasks`` has all that this one may be triggered by.
        notes = notes_of(graph, name, placed=placed, seen=seen, tasks=tasks, login=here)
        tasks[name] = _task(graph, name, config.project.name, placed, seen, notes)
    return AcrExport(
        project=config.project.name,
        registry=registry,
        source=source,
        tasks=tuple(tasks.values()),
        left_out=tuple(left_out),
        # A run has two steps, build and push.
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
    # Of the whole name, which tells apart what becomes alike.
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
        # Those that name the registry are filled in by the task itself.
        args={arg: value for arg, value in sorted(spec.args.items()) if arg not in placed.args},
        registry_args=dict(sorted(placed.args.items())),
        platform=normalise_platform(spec.platforms[0]),
        trigger="All" if seen.others else "Runtime",
        notes=notes,
    )


# What a task does otherwise than aksci

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
    """Return what a task does otherwise than aksci, as sentences, about the bases first.

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
        yield "It is based on nothing: no base triggers it."
        return
    reference = parse_reference(runtime)
    shown = runtime if reference.registry != login else f"$Registry{runtime.removeprefix(login)}"
    if reference.digest:
        yield f"It is based on {shown}, which is pinned: no update of it triggers a run."
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
            "Other stages are based on further images, which ACR Tasks is asked to follow "
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


# Why ACR Tasks can't build an image as it is

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
    # A variant or another spelling (x86_64) must not make a known platform an unknown one.
    elif normalise_platform(spec.platforms[0]) not in _PLATFORMS:
        yield f"ACR Tasks has no {spec.platforms[0]}; it has {', '.join(_PLATFORMS)}."
    if spec.dockerfile.startswith(f"{INLINE}/"):
        yield "Its Dockerfile is text in another tool's file; a task needs it in the repository."
    if any(len(text.split()) > 1 for text in (spec.dockerfile, spec.context)):
        yield f"ACR Tasks can't read a path with blanks ({spec.dockerfile}, {spec.context})."
    for arg, value in sorted(spec.args.items()):
        words = f"{arg}={value}".split()
        # A shell's quotes don't help: acr-builder splits the line before.
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
