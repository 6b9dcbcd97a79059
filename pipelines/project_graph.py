"""The project's image graph, with what other tools' files say of it, and its images' bases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.images.discovery.importers.imported import Importer
from aksci.images.graph import build_graph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aksci.environment import Environment
    from aksci.images.bases import BaseResolver
    from aksci.images.graph import Graph

__all__ = ["policy_bases", "project_graph"]


def project_graph(env: Environment) -> Graph:
    """Return the project's images and what they need of each other.

    Bake files are read by buildx, which is installed for it where it is missing.

    :raises ConfigError: aksci.toml, a Dockerfile or a file that [discover] names is wrong.
    """

    def bake_print(files: Sequence[Path], targets: Sequence[str]) -> Mapping[str, Any]:
        from aksci.images.discovery.importers.bake import print_bake

        buildx = env.toolbox.ensure("buildx")
        return print_bake(env.runner, buildx, files, targets)

    importer = Importer(variables=env.variables, bake_print=bake_print, warn=env.reporter.warning)
    return build_graph(env.root, env.config, importer=importer)


def policy_bases(env: Environment, graph: Graph) -> BaseResolver:
    """Return what tells the bases of each image, as [cascade] holds them.

    What an image recorded must be trusted even where this session signs nothing: a later job signs
    what was built on it, since our own run has built it. Only a look takes it as it is.
    """
    config = env.config.cascade
    if not config.bases and not config.edges:
        return env.bases
    from aksci.cascade.base_policy import check_policy
    from aksci.cascade.chosen_bases import PolicyBases
    from aksci.cascade.drift import PolicyDigests

    check_policy(config)
    return PolicyBases(
        graph=graph,
        registry=env.registry,
        config=config,
        policy_digests=PolicyDigests(env.resolver),
        otherwise=env.bases,
        trusted=env.trust.trusts_record if env.start else None,
    )
