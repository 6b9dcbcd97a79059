"""The project's image graph, with what other tools' files say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.images.discovery.sources.imported import Importer
from aksci.images.graph import build_graph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aksci.context import Context
    from aksci.images.graph import Graph

__all__ = ["project_graph"]


def project_graph(context: Context) -> Graph:
    """Return the project's images and what they need of each other.

    Bake files are read by buildx, which is installed for it where it is missing.

    :raises ConfigError: aksci.toml, a Dockerfile or a file that [discover] names is wrong.
    """

    def bake_print(files: Sequence[Path], targets: Sequence[str]) -> Mapping[str, Any]:
        from aksci.images.discovery.sources.bake import print_bake
        from pipelines.platform import make_toolbox

        buildx = make_toolbox(context).ensure("buildx")
        return print_bake(context.runner, buildx, files, targets)

    importer = Importer(
        variables=context.variables, bake_print=bake_print, warn=context.reporter.warning
    )
    return build_graph(context.root, context.config, importer=importer)
