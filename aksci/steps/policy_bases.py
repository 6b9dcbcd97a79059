"""Resolve the digests of images' bases, by the policy of [cascade]."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aksci.environment import Environment
    from aksci.images.bases import BaseResolver
    from aksci.images.graph import Graph

__all__ = ["policy_bases"]


def policy_bases(env: Environment, graph: Graph) -> BaseResolver:
    """Return what resolves the bases of each image, by the policy of [cascade].

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
        key_of=env.trust.key_of if env.start else None,
    )
