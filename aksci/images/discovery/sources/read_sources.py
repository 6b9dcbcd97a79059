"""Other tools' files that say which images a repository has: Bake, Compose, Skaffold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.config.models import Config
    from aksci.images.discovery.sources.imported import Imported, Importer

__all__ = ["read_sources"]


def read_sources(root: Path, config: Config, importer: Importer) -> list[list[Imported]]:
    """Return the images of each source that [discover] names: Bake's, Compose's, Skaffold's.

    :raises ConfigError: a file is missing or wrong.
    """
    found: list[list[Imported]] = []
    discover = config.discover
    if discover.bake:
        from aksci.images.discovery.sources.bake import read_bake

        found.append(read_bake(root, discover.bake, discover.bake_targets, importer))
    if discover.compose:
        from aksci.images.discovery.sources.compose import read_compose

        found.append(read_compose(root, discover.compose, importer))
    if discover.skaffold:
        from aksci.images.discovery.sources.skaffold import read_skaffold

        found.append(read_skaffold(root, discover.skaffold, importer))
    return found
