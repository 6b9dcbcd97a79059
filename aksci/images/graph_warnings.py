"""What a project's files say that is legal, and most often not what is meant.

BuildKit tells of none of these: it takes a secret that is missing for empty, passes over arguments
that nothing declares, and pulls an image from elsewhere (moby/buildkit issues 6498 and 2128).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.spelling import did_you_mean
from aksci.core.text import short_line
from aksci.images.context.hasher import ignore_of, unread_ignore_file
from aksci.images.context.walk import parse_sources
from aksci.images.dockerfile.instruction_reads import secrets_of
from aksci.images.dockerfile.variables import arg_pairs
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aksci.config.models import Config
    from aksci.images.graph import Graph, Image

__all__ = ["graph_warnings"]

_GIT = ".git"


def graph_warnings(graph: Graph, config: Config) -> list[str]:
    """Return a line for each name that is near one of the project's and is another one."""
    found = {*_alike(graph), *_other_tags(graph)}
    for name, image in graph.images.items():
        table = config.images.get(name)
        if table and not image.recipe.opaque:
            found |= {*_unused_args(image, table.args)}
        found |= {*_unknown_secrets(image, config), *_git_folder(image, graph.root)}
        found |= {*_ignore_link(image, graph.root)}
    return sorted(found)


def _git_folder(image: Image, root: Path) -> Iterator[str]:
    """Yield a line if git's own folder is in the image: then each commit makes it another one."""
    spec = image.spec
    if not (root / spec.context / _GIT).exists():  # nearly always, so that nothing else is read
        return
    read = parse_sources(image.recipe.sources).step(_GIT) is not None
    if read and not ignore_of(root, spec.context, spec.dockerfile).ignores(_GIT):
        yield (
            f"{spec.dockerfile}: its context brings {_GIT} along, so that each commit makes "
            f"{spec.name} anew; {_GIT} in its .dockerignore leaves that out"
        )


def _ignore_link(image: Image, root: Path) -> Iterator[str]:
    """Yield a line for an ignore file that BuildKit does not read (moby/moby issue 42108)."""
    spec = image.spec
    if (place := unread_ignore_file(root, spec.context, spec.dockerfile)) is not None:
        yield (
            f"{place} is a link that leads to no file of its folder: BuildKit does not follow it, "
            f"so it leaves nothing out of {spec.name}; a file in its place does"
        )


def _alike(graph: Graph) -> Iterator[str]:
    """Yield a line for each image from Docker Hub that is called like one of the project's.

    ``FROM base`` means the one there, to aksci as to Docker; ``FROM shop/base`` means ours. Where
    ours is made of the one there (``nginx/Dockerfile``: ``FROM nginx``), that is what is meant.
    """
    called = {f"docker.io/library/{name}:latest": name for name in graph.images}
    alike = {(one, called[one.reference]) for one in graph.external if one.reference in called}
    meant = {name for one, name in alike if one.image == name}
    for one, name in alike:
        if name not in meant:
            yield (
                f"{graph.images[one.image].spec.dockerfile}: {name} means {one.reference}; "
                f"the project's own image {name} is {graph.images[name].spec.repository}"
            )


def _other_tags(graph: Graph) -> Iterator[str]:
    """Yield a line for each image from outside that is one of the project's but for its tag.

    Its base moves, and no cascade comes here.
    """
    ours: dict[str, list[str]] = {}
    for image in graph.images.values():
        name = parse_reference(image.spec.repository).repository
        ours.setdefault(name, []).extend(image.spec.tags)
    for one in graph.external:
        reference = parse_reference(one.reference)
        if reference.registry != "docker.io" or reference.digest or one.previous:
            continue
        tags = ours.get(reference.repository, [])
        if tags and reference.tag not in tags:
            name = reference.repository
            yield (
                f"{graph.images[one.image].spec.dockerfile}: {name}:{reference.tag} is not built "
                f"here; this project builds {', '.join(f'{name}:{tag}' for tag in tags)}"
            )


def _unused_args(image: Image, args: dict[str, str]) -> Iterator[str]:
    """Yield a line for each argument of aksci.toml that no ARG of the Dockerfile declares."""
    dockerfile = image.dockerfile
    written = [
        *dockerfile.head,
        *(one for stage in dockerfile.stages for one in stage.instructions),
    ]
    declared = {
        name
        for one in written
        if one.keyword == "ARG"
        for name, _ in arg_pairs(one, dockerfile.escape)
    } | image.recipe.declared
    for name in args:
        # BuildKit obeys these without an ARG; proxies are for its programs.
        known = name.startswith("BUILDKIT_") or name == "SOURCE_DATE_EPOCH"
        if name not in declared and not known and not name.lower().endswith("_proxy"):
            yield (
                f"aksci.toml: images.{image.spec.name}.args.{short_line(name)}: no ARG of "
                f"{image.spec.dockerfile} declares it.{did_you_mean(name, declared)}"
            )


def _unknown_secrets(image: Image, config: Config) -> Iterator[str]:
    """Yield a line for each secret of a RUN that no table of aksci.toml brings."""
    for one in image.recipe.instructions:
        for secret, required in secrets_of(one):
            if secret not in config.build.secrets:
                what = "BuildKit refuses it" if required else "BuildKit goes on without it"
                yield (
                    f"{image.spec.dockerfile}, line {one.line}: aksci.toml has no "
                    f"[build.secrets.{short_line(secret)}]; {what}"
                )
