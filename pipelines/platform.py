"""Where an environment's registry, builder and cluster are; the sessions ``up`` and ``down``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, DockerError

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.cli.options import Options
    from aksci.context import Context
    from aksci.local.layout import PlatformEndpoints
    from aksci.tools.toolbox import Toolbox

__all__ = [
    "Surroundings",
    "down",
    "locate",
    "make_toolbox",
    "platform_state",
    "prepare",
    "up",
]


_ENGINE = 23  # the first series of Docker Engine after 20.10


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """How to reach what the environment names."""

    registry: str
    """``host[:port]``."""
    plain_http: bool
    embedded: bool
    buildkit: str | None
    """Address of a buildkitd, for the embedded platform."""
    kubeconfig: Path
    kube_context: str | None


def make_toolbox(context: Context) -> Toolbox:
    """Return the toolbox of this user."""
    from aksci.tools.toolbox import Toolbox

    return Toolbox(
        cache=context.cache,
        runner=context.runner,
        reporter=context.reporter,
        variables=context.variables,
    )


def platform_state(context: Context) -> Path:
    """Return the embedded platform's state folder."""
    return context.state / "local"


def prepare(context: Context, toolbox: Toolbox, *, cluster: bool) -> Surroundings:
    """Make sure that the environment's registry and builder, and its cluster if asked, are there.

    :raises PlatformError: the embedded platform could not start, or Docker Engine is not there.
    """
    environment = context.environment
    if environment.platform == "embedded":
        return _embedded(context, toolbox, cluster=cluster)
    if environment.platform == "docker":
        _require_engine(context)
    return _external(context)


def locate(context: Context) -> Surroundings:
    """Say where the environment's registry and cluster are. Starts nothing, and asks nobody."""
    if context.environment.platform != "embedded":
        return _external(context)
    from aksci.local.layout import Ports, endpoints

    state = platform_state(context)
    known = endpoints(state)
    if known:
        return _of_platform(known)
    return Surroundings(
        registry=f"localhost:{Ports().registry}",
        plain_http=True,
        embedded=True,
        buildkit=None,
        kubeconfig=state / "kubeconfig",
        kube_context=None,
    )


def up(context: Context, _options: Options) -> dict[str, Any]:
    """Start or repair the embedded local platform."""
    found = _embedded(context, make_toolbox(context), cluster=True)
    context.reporter.line(f"registry    http://{found.registry}")
    context.reporter.line(f"buildkitd   {found.buildkit}")
    context.reporter.line(f"kubernetes  export KUBECONFIG={found.kubeconfig}")
    context.reporter.line(f"logs        {platform_state(context) / 'logs'}")
    return {"registry": found.registry, "buildkit": found.buildkit}


def down(context: Context, options: Options) -> dict[str, Any]:
    """Stop what ``up`` started."""
    from aksci.local.platform import down as stop

    stop(
        state=platform_state(context),
        runner=context.runner,
        reporter=context.reporter,
        purge=options.purge,
    )
    return {"purge": options.purge}


def _embedded(context: Context, toolbox: Toolbox, *, cluster: bool) -> Surroundings:
    from aksci.local.platform import ALL_PARTS, BUILD_PARTS, TRUST_PARTS
    from aksci.local.platform import up as start

    trust = TRUST_PARTS if "dct" in context.config.sign.signers else frozenset()

    endpoints = start(
        state=platform_state(context),
        toolbox=toolbox,
        runner=context.runner,
        reporter=context.reporter,
        seeds=context.config.local.seeds,
        parts=(ALL_PARTS if cluster else BUILD_PARTS) | trust,
    )
    return _of_platform(endpoints)


def _of_platform(endpoints: PlatformEndpoints) -> Surroundings:
    return Surroundings(
        registry=endpoints.registry,
        plain_http=True,
        embedded=True,
        buildkit=endpoints.buildkit,
        kubeconfig=endpoints.kubeconfig,
        kube_context=None,
    )


def _external(context: Context) -> Surroundings:
    environment = context.environment
    if environment.registry is None:  # the models refuse this; it tells mypy so
        raise ConfigError(f"environments.{context.environment_name}.registry is required.")
    return Surroundings(
        registry=environment.registry,
        plain_http=environment.plain_http,
        embedded=False,
        buildkit=None,
        kubeconfig=_kubeconfig(context),
        kube_context=environment.context,
    )


def _require_engine(context: Context) -> None:
    """Require a Docker Engine that answers and, where it builds itself, that can.

    BuildKit takes named contexts, by which parents are pinned, from 0.10 on; that of Docker Engine
    20.10 refuses them.
    """
    from aksci.local.docker_engine import docker_engine

    version = docker_engine(context.variables)
    context.reporter.line(f"Docker Engine {version}")
    if context.environment.builder is None and int(version.split(".")[0]) < _ENGINE:
        raise DockerError(
            f"Docker Engine {version} can't pin the images that a build starts from; "
            f"{_ENGINE} and newer can.",
            hint="update it, or let it run a newer BuildKit: in environments."
            f'{context.environment_name}, builder = {{ driver = "docker-container" }}.',
        )


def _kubeconfig(context: Context) -> Path:
    """Return the configured kubeconfig, as kubectl would find it where none is."""
    from pathlib import Path

    configured = context.environment.kubeconfig
    if configured:
        return context.root / Path(configured).expanduser()
    first = context.variables.get("KUBECONFIG", "").split(":")[0]
    return Path(first) if first else Path.home() / ".kube" / "config"
