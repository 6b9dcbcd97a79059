"""What a project's files say that is legal, and most often not what is meant.

BuildKit says nothing of these: it takes a secret that is missing for empty, passes over arguments
that nothing declares, and pulls an image from elsewhere (moby/buildkit issues 6498 and 2128).
Each cause is one warning, however many images share it.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING

from aksci.core.spelling import did_you_mean
from aksci.core.text import short_line
from aksci.images.context.hasher import ignore_file, ignore_of, unread_ignore_file
from aksci.images.context.walk import parse_sources
from aksci.images.dockerfile.parser import frontend_name
from aksci.images.dockerfile.variables import arg_pairs
from aksci.images.graph_warning import GraphWarning
from aksci.images.keys import PROXY_ARGS
from aksci.images.missing_mounts import missing_mounts
from aksci.images.near_names import own_names_near

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aksci.config.models import Config
    from aksci.images.graph import Graph, Image

__all__ = ["graph_warnings"]

_GIT = ".git"
_FRONTENDS = frozenset({"dockerfile", "dockerfile-upstream"})
_EPOCH = "SOURCE_DATE_EPOCH"
_SHOWN = 3
"""Places or images in one line."""
_MILLISECONDS = 1e11
"""From here on, a date counts no seconds: it would be in the year 5138."""
_DAY = dt.timedelta(days=1)


def graph_warnings(graph: Graph, config: Config, *, now: dt.datetime) -> tuple[GraphWarning, ...]:
    """Return a warning for each thing that is near to what is meant, sorted.

    :param now: a date of creation after it is no date of a source.
    """
    found = [
        *_alike(graph),
        *_near_names(graph, config),
        *_mirrored_frontends(graph),
        *_unused_args(graph, config),
        *_missing_mounts(graph, config),
        *_git_folders(graph),
        *_ignore_links(graph),
        *_future_dates(graph, now),
    ]
    return tuple(sorted(found))


def _alike(graph: Graph) -> Iterator[GraphWarning]:
    """Yield one for each image from Docker Hub that is called like one of the project's.

    ``FROM base`` means the one there, to aksci as to Docker; ``FROM shop/base`` means ours. Where
    ours is made of the one there (``nginx/Dockerfile``: ``FROM nginx``), that is what is meant.
    """
    called = {f"docker.io/library/{name}:latest": name for name in graph.images}
    users: dict[str, dict[str, None]] = defaultdict(dict)
    for one in graph.external:
        if one.reference in called:
            users[one.reference][one.image] = None
    for reference, images in users.items():
        name = called[reference]
        if name not in images:
            where, path = _dockerfiles(graph, images)
            yield GraphWarning(
                code="HUB_NAME",
                message=f"{where}: {name} means {reference}; the project's own image {name} is "
                f"{graph.images[name].spec.repository}",
                path=path,
                images=tuple(images),
            )


def _near_names(graph: Graph, config: Config) -> Iterator[GraphWarning]:
    """Yield one for each image from outside that is one of the project's but for its tag, say.

    Its base moves, and no cascade comes here.
    """
    for near in own_names_near(graph, config):
        where, path = _dockerfiles(graph, near.images)
        yield GraphWarning(
            code="OTHER_TAG" if near.same_repository else "NEAR_NAME",
            message=f"{where}: {near.written} is not built here; this project builds "
            f"{_listed(near.built)}",
            path=path,
            images=near.images,
        )


def _mirrored_frontends(graph: Graph) -> Iterator[GraphWarning]:
    """Yield one for each frontend that is called like the standard one, and is elsewhere.

    What its grammar is, its name does not say: its images are opaque, and built in every run.
    """
    read: dict[str, list[str]] = defaultdict(list)
    for name, image in graph.images.items():
        frontend = image.dockerfile.frontend
        if frontend and not image.dockerfile.standard_frontend:
            read[frontend_name(frontend)].append(name)
    for frontend, names in read.items():
        if frontend.rpartition("/")[2] in _FRONTENDS:
            where, path = _dockerfiles(graph, names)
            yield GraphWarning(
                code="MIRRORED_FRONTEND",
                message=f"{where}: the frontend {frontend} makes {_listed(names)} opaque, to be "
                "built in every run; if it is docker/dockerfile from a mirror: [build] "
                f'standard_frontends = ["{frontend}"]',
                path=path,
                images=tuple(names),
            )


def _unused_args(graph: Graph, config: Config) -> Iterator[GraphWarning]:
    """Yield one for each argument that is given to images and declared by none of them.

    What a table of aksci.toml gives is meant for that very image. A file of another tool gives many
    images the same ones, by a target that others inherit or an alias of YAML, and some are left
    over: only one that is near to another name is taken for misspelt.
    """
    passed: dict[str, list[str]] = defaultdict(list)
    used: set[str] = set()
    for name, image in graph.images.items():
        if image.recipe.opaque:
            continue
        declared = _declared(image)
        table = config.images.get(name)
        own = {} if table is None else dict.fromkeys(table.args, "args")
        if table is not None and isinstance(table.requires, dict):
            own |= dict.fromkeys(table.requires, "requires")
        for arg in image.spec.args:
            if arg in declared or _is_obeyed(arg):
                used.add(arg)
            elif arg in own:
                key = f"images.{name}.{own[arg]}.{short_line(arg)}"
                yield GraphWarning(
                    code="UNUSED_ARG",
                    message=f"aksci.toml: {key}: no ARG of {image.spec.dockerfile} declares it."
                    f"{did_you_mean(arg, declared)}",
                    path="aksci.toml",
                    images=(name,),
                )
            else:
                passed[arg].append(name)
    for arg, names in passed.items():
        known = frozenset[str]().union(*(_declared(graph.images[name]) for name in names))
        if arg not in used and (asked := did_you_mean(arg, known - used)):
            where, path = _dockerfiles(graph, names)
            yield GraphWarning(
                code="UNUSED_ARG",
                message=f"{where}: no ARG declares {short_line(arg)}, which "
                f"{_listed(names)} {'is' if len(names) == 1 else 'are'} given.{asked}",
                path=path,
                images=tuple(names),
            )


def _declared(image: Image) -> frozenset[str]:
    """Return the names that an ARG of any stage declares, or that FROM uses without one."""
    dockerfile = image.dockerfile
    stages = (one for stage in dockerfile.stages for one in stage.instructions)
    names = frozenset(
        name
        for one in (*dockerfile.head, *stages)
        if one.keyword == "ARG"
        for name, _ in arg_pairs(one, dockerfile.escape)
    )
    return names | image.recipe.declared | (image.recipe.used_args or frozenset())


def _is_obeyed(arg: str) -> bool:
    """Tell whether BuildKit obeys an argument, or hands it to programs, without an ARG."""
    return arg.startswith("BUILDKIT_") or arg == _EPOCH or arg.lower() in PROXY_ARGS


def _missing_mounts(graph: Graph, config: Config) -> Iterator[GraphWarning]:
    """Yield one for each secret or ssh agent that a RUN mounts and no table brings."""
    for one in missing_mounts(graph, config):
        refused = one.login.required
        then = "BuildKit refuses it" if refused else "BuildKit goes on without it"
        path, line = one.places[0]
        where = _listed([f"{path}, line {line}" for path, line in one.places], "; ")
        yield GraphWarning(
            code="NO_SECRET" if one.login.kind == "secret" else "NO_SSH",
            message=f"{where}: {one.what}; {then}{one.suggestion}",
            path=path,
            line=line,
            images=one.images,
            level="error" if refused else "warning",
        )


def _git_folders(graph: Graph) -> Iterator[GraphWarning]:
    """Yield one for each ignore file that lets git's own folder into images.

    Then each commit makes them anew, be it empty; and so does each fresh clone.
    """
    root = graph.root
    there: dict[str, bool] = {}
    brought: dict[str, list[str]] = defaultdict(list)
    for name, image in graph.images.items():
        spec = image.spec
        if spec.context not in there:
            there[spec.context] = (root / spec.context / _GIT).exists()
        if not there[spec.context]:  # nearly always, so that nothing else is read
            continue
        read = parse_sources(image.recipe.sources).step(_GIT) is not None
        if read and not ignore_of(root, spec.context, spec.dockerfile).ignores(_GIT):
            brought[ignore_file(root, spec.context, spec.dockerfile)].append(name)
    for file, names in brought.items():
        where, path = _dockerfiles(graph, names)
        yield GraphWarning(
            code="GIT_FOLDER",
            message=f"{where}: its context brings {_GIT} along, so that each commit makes "
            f"{_listed(names)} anew; {_GIT} in {file} leaves it out",
            path=path,
            images=tuple(names),
        )


def _ignore_links(graph: Graph) -> Iterator[GraphWarning]:
    """Yield one for each ignore file that BuildKit does not read (moby/moby issue 42108)."""
    unread: dict[str, list[str]] = defaultdict(list)
    for name, image in graph.images.items():
        spec = image.spec
        place = unread_ignore_file(graph.root, spec.context, spec.dockerfile)
        if place is not None:
            unread[place].append(name)
    for place, names in unread.items():
        yield GraphWarning(
            code="IGNORE_LINK",
            message=f"{place} is a link that leads to no file of its folder: BuildKit does not "
            f"follow it, so it leaves nothing out of {_listed(names)}; a file in its place does",
            path=place,
            images=tuple(names),
        )


def _future_dates(graph: Graph, now: dt.datetime) -> Iterator[GraphWarning]:
    """Yield one for each date of creation that is still to come: most often, milliseconds."""
    latest = (now + _DAY).timestamp()
    given: dict[str, list[str]] = defaultdict(list)
    for name, image in graph.images.items():
        epoch = image.spec.args.get(_EPOCH, "")
        if epoch.isdecimal() and float(epoch) > latest:
            given[epoch].append(name)
    for epoch, names in given.items():
        milli = float(epoch) > _MILLISECONDS
        yield GraphWarning(
            code="FUTURE_DATE",
            message=f"aksci.toml: {_EPOCH} {short_line(epoch)}, the date of {_listed(names)}, is "
            "in the future" + ("; it counts seconds, not milliseconds" if milli else ""),
            path="aksci.toml",
            images=tuple(names),
        )


def _dockerfiles(graph: Graph, images: Iterable[str]) -> tuple[str, str]:
    """Return the Dockerfiles of some images, in words, and the first of them."""
    files = sorted({graph.images[name].spec.dockerfile for name in images})
    return _listed(files), files[0]


def _listed(words: Sequence[str], between: str = ", ") -> str:
    more = len(words) - _SHOWN
    return between.join(words[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
