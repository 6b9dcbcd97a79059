"""The step ``up``: the embedded local platform, started or repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.local.endpoints import start_platform

if TYPE_CHECKING:
    from aksci.environment import Environment
    from aksci.local.endpoints import Endpoints

__all__ = ["up"]


def up(env: Environment) -> Endpoints:
    """Start or repair the embedded platform, its cluster included, and report where its parts are.

    Whatever the environment itself is. Other steps start what they need of it by themselves.

    >>> up(env).registry  # doctest: +SKIP
    'localhost:5000'

    :raises PlatformError: it could not be started.
    """
    found = start_platform(
        platform=env.platform,
        toolbox=env.toolbox,
        runner=env.runner,
        reporter=env.reporter,
        seeds=env.config.local.seeds,
        cluster=True,
        notary=env.config.sign.needs_notary,
    )
    env.reporter.line(f"registry    http://{found.registry}")
    env.reporter.line(f"buildkitd   {found.buildkit}")
    env.reporter.line(f"kubernetes  export KUBECONFIG={found.kubeconfig}")
    env.reporter.line(f"logs        {env.platform / 'logs'}")
    env.note("up", {"registry": found.registry, "buildkit": found.buildkit})
    return found
