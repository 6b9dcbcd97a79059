"""The image graph: which image needs which, and what comes from outside."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import dropwhile
from typing import TYPE_CHECKING, Any, TypeVar

from aksci.core.errors import ConfigError
from aksci.core.inside import Inside
from aksci.images.discovery.importers.import_notes import note_document
from aksci.images.discovery.specs import INLINE, ImageSpec, discover_images
from aksci.images.dockerfile.contexts import DOCKER_IMAGE, OUR_IMAGE
from aksci.images.dockerfile.parser import Dockerfile, parse_dockerfile
from aksci.images.dockerfile.recipe import EdgeType, Need, Recipe, unite
from aksci.images.dockerfile.stages import resolve_stages
from aksci.images.owners import find_owners
from aksci.images.platforms import is_served, platform_args, this_platform
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from aksci.config.models import Config
    from aksci.images.discovery.importers.import_notes import ImportNote
    from aksci.images.discovery.importers.imported import Importer
    from aksci.images.discovery.specs import ImageSpec
    from aksci.images.dockerfile.parser import Instruction
    from aksci.images.graph_warning import GraphWarning
    from aksci.images.owners import Owners

__all__ = [
    "SYNTAX_ARG",
    "Edge",
    "External",
    "Graph",
    "Image",
    "build_graph",
    "graph_document",
    "interpret",
    "own_reference",
    "read_image",
]

SYNTAX_ARG = "BUILDKIT_SYNTAX"
"""The build argument that names the frontend, in place of ``# syntax=``."""

_T = TypeVar("_T")
_MOST_ROUNDS = 20
"""How often ONBUILD may make an image need bases that have an ONBUILD of their own."""
_SHOWN = 20
"""Names of a circle that an error tells."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image: what to build, and what its Dockerfile means."""

    spec: ImageSpec
    dockerfile: Dockerfile
    recipe: Recipe
    triggers: Mapping[str, tuple[Instruction, ...]] = field(default_factory=dict)
    """What the ONBUILD of its bases adds: reference -> instructions. They are
    part of the recipe already; ``read_image`` needs them to come to the same one again."""


@dataclass(frozen=True, order=True, kw_only=True)
class Edge:
    """``to`` needs ``base``; both are images of this project."""

    base: str
    to: str
    type: EdgeType
    reference: str
    """What the Dockerfile says, in full. It may name one base in several ways. Where it says
    nothing (``context``, ``requires``): the base's repository and first tag."""


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
    project: str = ""
    """Its name."""
    warnings: tuple[GraphWarning, ...] = ()
    """What is most often not meant so; the step ``graph`` looks for it."""
    notes: tuple[ImportNote, ...] = ()
    """What is read in another way than other tools' files say."""

    @cached_property
    def parents(self) -> dict[str, frozenset[str]]:
        """Name of each image -> the images that it needs."""
        found: dict[str, set[str]] = {name: set() for name in self.images}
        for edge in self.edges:
            found[edge.to].add(edge.base)
        return {name: frozenset(needed) for name, needed in found.items()}

    @cached_property
    def edges_to(self) -> dict[str, tuple[Edge, ...]]:
        """Name of each image -> the edges that end there."""
        return _by_name(self.images, self.edges, lambda edge: edge.to)

    @cached_property
    def external_of(self) -> dict[str, tuple[External, ...]]:
        """Name of each image -> what it needs from outside."""
        return _by_name(self.images, self.external, lambda one: one.image)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All names, parents before children, otherwise alphabetical."""
        return _order(self.parents)


def build_graph(
    root: Path,
    config: Config,
    *,
    builder_platform: str | None = None,
    importer: Importer | None = None,
) -> Graph:
    """Read a project's Dockerfiles and connect its images.

    :param builder_platform: of images whose platforms are not configured; default: this machine's.
    :param importer: for other tools' files that [discover] names.
    :raises ConfigError: a Dockerfile is missing or wrong, two images would have the same name and
        tag, or images need each other in a circle.
    """
    builder_platform = builder_platform or this_platform()
    notes: list[ImportNote] = []
    specs = discover_images(
        root, config, builder_platform=builder_platform, importer=importer, notes=notes
    )
    parsed: dict[str, Dockerfile] = {}
    inside = Inside(root)
    owners = find_owners(config, specs)
    # Which ONBUILD counts where is known only once every image has been read.
    read = _for_each(specs, config, lambda spec: read_image(root, spec, parsed, inside=inside))
    images = _for_each(specs, config, lambda spec: _with_triggers(read[spec.name], read, owners))
    needs = _for_each(specs, config, lambda spec: _needs(images[spec.name], specs, owners))
    found = frozenset[Edge | External]().union(*needs.values())
    graph = Graph(
        root=root,
        images=images,
        edges=tuple(sorted(one for one in found if isinstance(one, Edge))),
        external=tuple(sorted(one for one in found if isinstance(one, External))),
        project=config.project.name,
        notes=tuple(notes),
    )
    _ = graph.order  # a circle is an error now, not later
    _require_platforms(graph, owners)
    return graph


def graph_document(graph: Graph) -> dict[str, Any]:
    """Return the graph as ``graph --format json`` prints it: report/schemas/graph.schema.json."""
    document = {
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
        # As a project that has none has always printed it.
        **({"warnings": [one.as_json() for one in graph.warnings]} if graph.warnings else {}),
    }
    return document | ({"notes": note_document(graph.notes)} if graph.notes else {})


def read_image(
    root: Path,
    spec: ImageSpec,
    parsed: dict[str, Dockerfile],
    *,
    inside: Inside | None = None,
    triggers: Mapping[str, tuple[Instruction, ...]] | None = None,
) -> Image:
    """Read what an image's Dockerfile means.

    :param parsed: the Dockerfiles that were read already, by path; this one is added.
    :param inside: what has looked at the project's folders before.
    :param triggers: what the ONBUILD of its bases adds, as in ``Image.triggers``.
    :raises ConfigError: the Dockerfile is wrong, or outside of the project.
    """
    syntax = spec.args.get(SYNTAX_ARG, "").strip() or None
    # Another frontend may read the same file in another way.
    key = f"{spec.dockerfile}\0{syntax}" if syntax else spec.dockerfile
    dockerfile = parsed.get(key)
    if dockerfile is None:
        content = _content(inside or Inside(root), spec.dockerfile)
        dockerfile = parse_dockerfile(
            content,
            name=spec.dockerfile,
            syntax=syntax,
            standard_frontends=spec.standard_frontends,
        )
        parsed[key] = dockerfile
    return interpret(spec, dockerfile, triggers or {})


def _content(inside: Inside, name: str) -> bytes:
    try:
        return inside.read(name)
    except FileNotFoundError:
        raise ConfigError(f"{name}: the Dockerfile does not exist.") from None


def interpret(
    spec: ImageSpec, dockerfile: Dockerfile, triggers: Mapping[str, tuple[Instruction, ...]]
) -> Image:
    """Tell what a Dockerfile means for an image, all of its platforms together.

    :raises ConfigError: the Dockerfile is wrong.
    """
    recipe = unite(
        [
            resolve_stages(
                dockerfile,
                target=spec.target,
                args=spec.args,
                platform=platform_args(build=spec.builder_platform, target=target),
                contexts=spec.contexts,
                triggers=triggers,
            )
            for target in spec.platforms
        ]
    )
    return Image(spec=spec, dockerfile=dockerfile, recipe=recipe, triggers=triggers)


def own_reference(spec: ImageSpec) -> str:
    """Return the full reference of an image of the project by its first tag."""
    tag = spec.tags[0] if spec.tags else "latest"
    return str(parse_reference(f"{spec.repository}:{tag}"))


def _by_name(
    names: Iterable[str], things: Iterable[_T], name_of: Callable[[_T], str]
) -> dict[str, tuple[_T, ...]]:
    found: dict[str, list[_T]] = {name: [] for name in names}
    for one in things:
        found[name_of(one)].append(one)
    return {name: tuple(its) for name, its in found.items()}


def _owner_of(spec: ImageSpec, need: Need, owners: Owners) -> str | None:
    """Return the image of this project that a need means.

    :raises ConfigError: it is a frontend that can't be the name of an image.
    """
    try:
        return owners.find(need.reference, asking=spec.name)
    except ConfigError as error:
        raise ConfigError(
            f"{spec.dockerfile}: its frontend: {error.message}", hint=error.hint
        ) from None


def _with_triggers(image: Image, images: Mapping[str, Image], owners: Owners) -> Image:
    """Add what the ONBUILD of this project's images makes their dependents do.

    It may copy from a stage that nothing needed before, which is based on further images.
    """
    for _ in range(_MOST_ROUNDS):
        triggers = {}
        for base in image.recipe.bases:
            owner = owners.find(base, asking=image.spec.name)
            # An image based on itself means an earlier version, not this one.
            if owner is not None and owner in images and owner != image.spec.name:
                triggers[base] = images[owner].recipe.onbuild
        triggers = {base: found for base, found in triggers.items() if found}
        if triggers == image.triggers:
            return image
        image = interpret(image.spec, image.dockerfile, triggers)
    raise ConfigError(
        f"{image.spec.dockerfile}: ONBUILD of its bases makes it need further bases, and theirs "
        f"again, more than {_MOST_ROUNDS} times."
    )


def _needs(
    image: Image, specs: Mapping[str, ImageSpec], owners: Owners
) -> frozenset[Edge | External]:
    """Return what leads to an image.

    :raises ConfigError: one name would mean two images. BuildKit replaces an image's name by a
        named context however it is written, ``docker.io/library/`` before it or not.
    """
    found = frozenset(_connect(image, specs, owners))
    outside = {one.reference for one in found if isinstance(one, External) and one.type != "syntax"}
    for one in found:
        if isinstance(one, Edge) and one.reference in outside:
            ours = parse_reference(own_reference(specs[one.base])).familiar
            raise ConfigError(
                f"{image.spec.dockerfile}: {one.reference} is an image of Docker Hub where it is "
                f"written so, and the image {one.base} of this project where it is written short: "
                "BuildKit can't be told which is meant where.",
                hint=f"write {ours} where the project's own image is meant.",
            )
    return found


def _connect(
    image: Image, specs: Mapping[str, ImageSpec], owners: Owners
) -> Iterator[Edge | External]:
    """Yield what leads to an image: from its Dockerfile, its contexts and its ``requires``."""
    name = image.spec.name
    connected: set[str] = set()
    for need in image.recipe.needs:
        owner = _owner_of(image.spec, need, owners)
        if owner is not None and owner not in specs:
            raise _unknown(image.spec, "contexts", owner, specs)
        if need.reference.startswith(OUR_IMAGE):
            reference = own_reference(specs[owner or name])
        else:
            reference = str(parse_reference(need.reference.removeprefix(DOCKER_IMAGE)))
        # A frontend must be there before BuildKit can read the file: it is not built on the way.
        # An image that copies from itself means its previous version.
        if owner is None or owner == name or need.type == "syntax":
            previous = owner == name
            yield External(image=name, reference=reference, type=need.type, previous=previous)
        else:
            connected.add(owner)
            yield Edge(base=owner, to=name, type=need.type, reference=reference)
    for required in image.spec.requires:
        if required not in specs:
            raise _unknown(image.spec, "requires", required, specs)
        if required in connected:  # by the Dockerfile, most often through an ARG that it is given
            continue
        reference = own_reference(specs[required])
        yield Edge(base=required, to=name, type="requires", reference=reference)


def _require_platforms(graph: Graph, owners: Owners) -> None:
    """Refuse an image for a platform that an image below it is not built for.

    BuildKit notices it of an index alone: of a base that is one manifest, it takes the layers for
    every platform (docker/buildx pull request 2877: a target may need a subset of the platforms).

    :raises ConfigError: there is one.
    """
    for name, image in graph.images.items():
        wanted: dict[str, set[str]] = defaultdict(set)
        for reference, platform in image.recipe.platforms:
            if "$" not in reference and "://" not in reference.removeprefix(DOCKER_IMAGE):
                base = owners.find(reference, asking=name)
                if base is not None and base != name:
                    wanted[base].add(platform)
        for base, platforms in sorted(wanted.items()):
            has = graph.images[base].spec.platforms
            lacks = sorted(one for one in platforms if not is_served(one, has))
            if lacks:
                raise _lacking(image.spec, base, lacks, has)


def _lacking(spec: ImageSpec, base: str, lacks: Sequence[str], has: Sequence[str]) -> ConfigError:
    own = all(one in spec.platforms for one in lacks)
    what = f"{spec.name} is built" if own else f"{spec.dockerfile} takes files"
    return ConfigError(
        f"{what} for {', '.join(lacks)}, and {base}, which it takes files from, is built for "
        f"{', '.join(has)} alone.",
        hint=f"add them to the platforms of {base}, or say in {spec.dockerfile} which platform is "
        "meant: FROM --platform=…",
    )


def _unknown(spec: ImageSpec, key: str, name: str, specs: Mapping[str, ImageSpec]) -> ConfigError:
    return ConfigError(
        f"images.{spec.name}.{key}: there is no image {name}. Known: {', '.join(specs)}."
    )


def _order(parents: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    sorter = TopologicalSorter(parents)
    with contextlib.suppress(CycleError):  # told below, always by the same names
        sorter.prepare()
    order = sorted(sorter.get_ready())
    for name in order:  # grows as it is gone through
        sorter.done(name)
        order += sorted(sorter.get_ready())
    if len(order) < len(parents):
        circle = _circle(parents, set(parents) - set(order))
        if len(circle) > _SHOWN:
            circle[_SHOWN // 2 : -_SHOWN // 2] = [f"… ({len(circle) - _SHOWN} more)"]
        raise ConfigError(f"Images need each other in a circle: {' -> '.join(circle)}.")
    return tuple(order)


def _circle(parents: Mapping[str, frozenset[str]], stuck: set[str]) -> list[str]:
    """Return one circle among images that wait for each other, its first name again at its end."""
    name = min(stuck)
    path: dict[str, None] = {}
    while name not in path:
        path[name] = None
        name = min(parents[name] & stuck)
    return [*dropwhile(lambda one: one != name, path), name]


def _for_each(
    specs: Mapping[str, ImageSpec], config: Config, work: Callable[[ImageSpec], _T]
) -> dict[str, _T]:
    """Do something for each image; tell what is wrong of all of them, not of the first alone.

    :raises ConfigError: all that is wrong, at once: a foreign repository may well hold several
        Dockerfiles that no tool can read, such as templates.
    """
    done: dict[str, _T] = {}
    wrong: dict[str, ConfigError] = {}
    for name, spec in specs.items():
        try:
            done[name] = work(spec)
        except ConfigError as error:
            wrong[name] = error
    if wrong:
        raise _all_wrong(wrong, specs, config)
    return done


def _all_wrong(
    wrong: Mapping[str, ConfigError], specs: Mapping[str, ImageSpec], config: Config
) -> ConfigError:
    """Make one error of several; a Dockerfile that makes several images is told once."""
    causes = {(error.message, error.hint): error for error in wrong.values()}
    hints = list(dict.fromkeys(hint for _, hint in causes if hint))
    found = sorted({specs[name].dockerfile for name in wrong if name not in config.images})
    found = [one for one in found if not one.startswith(INLINE)]
    if found:  # by [discover]; what has a table is meant
        listed = ", ".join(f'"{dockerfile}"' for dockerfile in found)
        hints.append(f"leave out what is no image of this project: [discover] exclude = [{listed}]")
    messages = [message for message, _ in causes]
    if len(messages) > 1:
        messages.insert(0, f"{len(messages)} errors in Dockerfiles:")
    return ConfigError("\n".join(messages), hint="\n      ".join(hints) or None)
