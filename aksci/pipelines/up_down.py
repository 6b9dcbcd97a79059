"""The sessions ``up`` and ``down`` of the embedded local platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.local.endpoints import start_platform

if TYPE_CHECKING:
    from aksci.cli.options import Options
    from aksci.environment import Environment

__all__ = ["down", "up"]


def up(env: Environment, _options: Options) -> dict[str, Any]:
    """Start or repair the embedded local platform, whatever the environment itself is."""
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
    return {"registry": found.registry, "buildkit": found.buildkit}


def down(env: Environment, options: Options) -> dict[str, Any]:
    """Stop what ``up`` started."""
    from aksci.local.platform import down as stop

    stop(state=env.platform, runner=env.runner, reporter=env.reporter, purge=options.purge)
    return {"purge": options.purge}
