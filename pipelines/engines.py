"""Which engine builds an environment's images: ``make_builder``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.config.loader import CONFIG_NAME
from aksci.core.errors import ConfigError, DockerError
from aksci.core.files import write_atomically
from aksci.images.engines.buildx import ENGINE_BUILDER, BuildxBuilder
from aksci.images.engines.buildx_builders import BuilderSpec, BuilderStore, own_name
from aksci.images.engines.kubeconfig import one_context
from aksci.images.engines.pool import PoolBuilder
from aksci.oci.client import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.config.deploy_models import BuilderConfig
    from aksci.config.models import Config
    from aksci.context import Context
    from aksci.images.engines.builder import Builder
    from aksci.tools.toolbox import Toolbox
    from pipelines.platform import Surroundings

__all__ = ["make_builder"]

_FILES = ("cacert", "cert", "key")
"""Options of the driver ``remote`` that are paths; buildx wants them absolute."""
_HINTS = {
    "docker-container": "docker version shows whether Docker Engine answers; docker logs "
    "buildx_buildkit_NAME shows what its BuildKit says.",
    "kubernetes": "kubectl describe pods shows why its pod does not start.",
    "remote": "start the BuildKit there, or correct endpoints in the environment's builder table.",
}


def make_builder(context: Context, toolbox: Toolbox, found: Surroundings) -> Builder:
    """Return the configured engine, the embedded BuildKit, or the Docker Engine's own.

    Nothing is started before the first image is built.

    :raises ConfigError: the configured engine could never work, or not with [build].
    :raises EngineError: the builder that is named does not exist, or can't be used.
    """
    configured = context.environment.builder
    store = BuilderStore(
        buildx=toolbox.ensure("buildx"),
        runner=context.runner,
        folder=context.state / "buildx",
        hint=_hint(configured, found),
    )
    if isinstance(configured, str):
        spec = store.find(configured)
        if spec.driver == "docker":
            _require_able(context)
        return BuildxBuilder(store=store, spec=spec)
    if configured is not None:
        return _own(context, store, found, configured)
    if found.embedded:
        spec = BuilderSpec(name="aksci", driver="remote", endpoint=found.buildkit)
        return BuildxBuilder(store=store, spec=spec)
    _require_able(context)
    return BuildxBuilder(store=store, spec=ENGINE_BUILDER)


def _require_able(context: Context) -> None:
    """Refuse what Docker Engine's own BuildKit can't do, before it has built anything.

    Docker's manual, "Registry cache", "Build attestations" and "Multi-platform builds": there, all
    three need the containerd image store.
    """
    wanted = _beyond_docker(context.config)
    if not wanted:
        return
    from aksci.local.docker_engine import has_containerd_store

    try:
        able = has_containerd_store(context.variables)
    except DockerError:  # another context of the Docker CLI is meant: buildx will tell
        return
    if not able:
        raise ConfigError(
            f"{context.root / CONFIG_NAME}: the Docker Engine's own BuildKit can't do this with "
            f"its classic image store: {', '.join(wanted)}.",
            hint=f"in [environments.{context.environment_name}], builder = {{ driver = "
            '"docker-container" }; or let the Engine keep its images in containerd: '
            '"features": { "containerd-snapshotter": true } in its daemon.json.',
        )


def _beyond_docker(config: Config) -> list[str]:
    build = config.build
    platforms = [build.platforms, *(image.platforms for image in config.images.values())]
    cached = build.cache.type == "registry" and not build.cache.read_only
    asked = {
        '[build.cache] type = "registry"': cached,
        "[build] provenance": build.provenance != "off",
        "[build] sbom": build.sbom is not None,
        "several platforms": any(len(each) > 1 for each in platforms),
    }
    return [what for what, is_asked in asked.items() if is_asked]


def _hint(configured: str | BuilderConfig | None, found: Surroundings) -> str | None:
    if configured is None:
        return "nox -s up" if found.embedded else None
    return None if isinstance(configured, str) else _HINTS[configured.driver]


def _own(
    context: Context, store: BuilderStore, found: Surroundings, config: BuilderConfig
) -> Builder:
    store.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    builders = {
        endpoint or config.driver: BuildxBuilder(
            store=store, spec=_spec(context, store, found, config, endpoint)
        )
        for endpoint in config.endpoints or (None,)
    }
    if len(builders) == 1:
        return next(iter(builders.values()))
    return PoolBuilder(builders=builders, tell=context.reporter.warning, hint=store.hint)


def _spec(
    context: Context,
    store: BuilderStore,
    found: Surroundings,
    config: BuilderConfig,
    endpoint: str | None,
) -> BuilderSpec:
    options = _options(context, found, config)
    settings = _settings(context, found, config)
    content = {
        "environment": context.environment_name,
        "driver": config.driver,
        "endpoint": endpoint,
        "options": options,
        "config": settings,
    }
    # In a cluster the same configuration is the same Deployment for every machine: its cache is
    # shared. The record on this machine also says how the cluster is reached.
    node = own_name(context.environment_name, content)
    name = own_name(context.environment_name, {**content, "where": _where(context, found, config)})
    return BuilderSpec(
        name=name,
        driver=config.driver,
        node=node if config.driver == "kubernetes" else name,
        endpoint=endpoint,
        options=options,
        config=_write(store.folder / f"{name}.toml", settings),
        environment=_environment(store, found, config, name),
    )


def _options(context: Context, found: Surroundings, config: BuilderConfig) -> dict[str, str]:
    options = dict(config.options)
    for name in _FILES:
        if config.driver == "remote" and name in options:
            options[name] = str(context.root / Path(options[name]).expanduser())
    if not is_loopback(found.registry):
        return options
    if config.driver == "kubernetes":
        raise ConfigError(
            f"{context.root / CONFIG_NAME}: environments.{context.environment_name}.builder: the "
            f"registry {found.registry} is on this machine's loopback, which no pod can reach.",
            hint="name a registry that the cluster's pods reach under the same name as this "
            "machine; docs/engines.md shows one for the embedded cluster.",
        )
    if config.driver == "docker-container":
        options.setdefault("network", "host")
    return options


def _settings(context: Context, found: Surroundings, config: BuilderConfig) -> str | None:
    """Return the buildkitd.toml; on the embedded platform its registry stands for docker.io."""
    if config.config is not None:
        path = context.root / config.config
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The builder's config {path} can't be read: {error}.") from None
    if found.embedded and config.driver == "docker-container":
        return f'[registry."docker.io"]\nmirrors = [{json.dumps(found.registry)}]\n'
    return None


def _where(context: Context, found: Surroundings, config: BuilderConfig) -> Any:
    """Say what else decides which engine is meant, though it is not in the configuration."""
    if config.driver == "kubernetes":
        return [str(found.kubeconfig), found.kube_context]
    if config.driver == "docker-container":
        names = ("DOCKER_HOST", "DOCKER_CONTEXT")
        return [*(context.variables.get(name) for name in names), _docker_context(context)]
    return None


def _docker_context(context: Context) -> str | None:
    """Return the current context of the Docker CLI, which buildx uses."""
    folder = context.variables.get("DOCKER_CONFIG")
    path = (Path(folder) if folder else Path.home() / ".docker") / "config.json"
    try:
        settings: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return str(settings["currentContext"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _environment(
    store: BuilderStore, found: Surroundings, config: BuilderConfig, name: str
) -> dict[str, str]:
    """Return KUBECONFIG where a cluster is meant: buildx only takes a file's current context."""
    pods = any(endpoint.startswith("kube-pod://") for endpoint in config.endpoints)
    if config.driver != "kubernetes" and not pods:
        return {}
    document = json.dumps(one_context(found.kubeconfig, found.kube_context), indent=2)
    return {"KUBECONFIG": str(_write(store.folder / f"{name}.kubeconfig", document))}


def _write(path: Path, content: str | None) -> Path | None:
    if content is None:
        return None
    write_atomically(path, content)
    return path
