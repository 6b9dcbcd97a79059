"""The step ``graph``: the project's images, with what other tools' files say of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aksci.images.discovery.importers.imported import Importer
from aksci.images.graph import build_graph
from aksci.images.graph_warnings import graph_warnings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aksci.environment import Environment
    from aksci.images.graph import Graph

__all__ = ["graph", "read_graph"]


def graph(env: Environment) -> Graph:
    """Return the project's images and what they need of each other.

    >>> graph(env).parents["web"]  # doctest: +SKIP
    frozenset({'base'})

    Bake files are read by buildx, which is installed for it where it is missing. ``FROM base`` is
    an image of Docker Hub; the project's own is ``FROM shop/base``: where that may be meant, a
    warning says so. Its ``warnings`` are all that is legal and most often not meant so.

    :raises ConfigError: aksci.toml, a Dockerfile or a file that [discover] names is wrong.
    """
    found = read_graph(env)
    for one in found.warnings:
        env.reporter.warning(one.message)
    return found


def read_graph(env: Environment) -> Graph:
    """Return the graph with its warnings, and leave it to the caller to say them."""

    def bake_print(files: Sequence[Path], targets: Sequence[str]) -> Mapping[str, Any]:
        from aksci.images.discovery.importers.bake import print_bake

        buildx = env.toolbox.ensure("buildx")
        names = [file.relative_to(env.root).as_posix() for file in files]
        visible = importer.for_project(env.config, env.root).reading(names).visible
        return print_bake(env.runner, buildx, files, targets, variables=visible)

    importer = Importer(variables=env.variables, bake_print=bake_print, warn=env.reporter.warning)
    found = build_graph(env.root, env.config, importer=importer)
    return replace(found, warnings=graph_warnings(found, env.config, now=env.now()))
