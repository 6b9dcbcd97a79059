"""Which engine builds an environment's images: ``make_builder``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.config.loader import CONFIG_NAME
from aksci.core.errors import ConfigError, DockerError
from aksci.core.files import home_of, write_atomically
from aksci.core.inside import Inside, place_named
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.images.engines.buildx import ENGINE_BUILDER, BuildxBuilder
from aksci.images.engines.buildx_builders import BuilderSpec, BuilderStore, own_name
from aksci.images.engines.kubeconfig import one_context
from aksci.images.engines.pool import PoolBuilder
from aksci.local.layout import Network
from aksci.oci.client import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.config.deploy_models import BuilderConfig, EnvironmentConfig
    from aksci.config.models import Config
    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter
    from aksci.images.engines.builder import Builder
    from aksci.local.endpoints import Endpoints

__all__ = ["make_builder"]

_FILES = ("cacert", "cert", "key")
"""Options of the driver ``remote`` that are paths; buildx wants them absolute."""
_HINTS = {
    "docker-container": "docker version shows whether Docker Engine answers; docker logs "
    "buildx_buildkit_NAME shows what its BuildKit says.",
    "kubernetes": "kubectl describe pods shows why its pod does not start.",
    "remote": "start the BuildKit there, or correct endpoints in the environment's builder table.",
}


def make_builder(
    config: Config,
    settings: EnvironmentConfig,
    *,
    name: str,
    found: Endpoints,
    root: Path,
    state: Path,
    variables: Mapping[str, str],
    buildx: Path,
    runner: Runner,
    reporter: Reporter,
) -> Builder:
    """Return the configured engine, the embedded BuildKit, or the Docker Engine's own.

    Nothing is started before the first image is built.

    :param settings: of the environment of that name.
    :param root: the project's folder, which paths in aksci.toml are relative to.
    :param state: the per-user state folder, where builders of our own are kept.
    :raises ConfigError: the configured engine could never work, or not with [build].
    :raises EngineError: the builder that is named does not exist, or can't be used.
    """
    configured = settings.buildx
    store = BuilderStore(
        buildx=buildx, runner=runner, folder=state / "buildx", hint=_hint(configured, found)
    )
    if configured is not None and not isinstance(configured, str):
        own = _OwnBuilders(configured, name, found, root, variables, store)
        return own.make(reporter)
    spec = ENGINE_BUILDER
    if isinstance(configured, str):
        spec = store.find(configured)
    elif found.embedded:
        spec = BuilderSpec(name="aksci", driver="remote", endpoint=found.buildkit)
    if spec.driver == "docker":
        _require_able(config, name, root, variables)
    return BuildxBuilder(store=store, spec=spec)


def _require_able(config: Config, name: str, root: Path, variables: Mapping[str, str]) -> None:
    """Refuse what Docker Engine's own BuildKit can't do, before it has built anything.

    Docker's manual, "Registry cache", "Build attestations" and "Multi-platform builds": there, all
    three need the containerd image store.
    """
    beyond = _beyond_docker(config)
    if not beyond:
        return
    from aksci.local.docker_engine import has_containerd_store

    try:
        able = has_containerd_store(variables)
    except DockerError:  # another context of the Docker CLI is meant: buildx will tell
        return
    if not able:
        raise ConfigError(
            f"{root / CONFIG_NAME}: the Docker Engine's own BuildKit can't do this with "
            f"its classic image store: {', '.join(beyond)}.",
            hint=f"in [environments.{name}], builder = {{ driver = "
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
        "several platforms": any(len(",".join(each).split(",")) > 1 for each in platforms),
    }
    return [what for what, is_asked in asked.items() if is_asked]


def _hint(configured: str | BuilderConfig | None, found: Endpoints) -> str | None:
    if configured is None:
        return "nox -s up" if found.embedded else None
    return None if isinstance(configured, str) else _HINTS[configured.driver]


@dataclass(frozen=True)
class _OwnBuilders:
    """Builders that are made for a ``builder`` table, one for each of its endpoints."""

    config: BuilderConfig
    name: str
    """The environment's."""
    found: Endpoints
    root: Path
    variables: Mapping[str, str] = field(repr=False)
    store: BuilderStore

    def make(self, reporter: Reporter) -> Builder:
        """Return the builder; of several endpoints, a pool of them."""
        self.store.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        builders = {
            endpoint or self.config.driver: BuildxBuilder(
                store=self.store, spec=self._spec(endpoint)
            )
            for endpoint in self.config.endpoints or (None,)
        }
        if len(builders) == 1:
            return next(iter(builders.values()))
        return PoolBuilder(builders=builders, tell=reporter.warning, hint=self.store.hint)

    def _spec(self, endpoint: str | None) -> BuilderSpec:
        driver = self.config.driver
        options = self._options()
        settings = self._settings()
        content = {
            "environment": self.name,
            "driver": driver,
            "endpoint": endpoint,
            "options": options,
            "config": settings,
        }
        # In a cluster the same configuration is the same Deployment for every machine: its cache
        # is shared. The record on this machine also says how the cluster is reached.
        node = own_name(self.name, content)
        name = own_name(self.name, {**content, "where": self._where()})
        return BuilderSpec(
            name=name,
            driver=driver,
            node=node if driver == "kubernetes" else name,
            endpoint=endpoint,
            options=options,
            config=_write(self.store.folder / f"{name}.toml", settings),
            environment=self._environment(name),
        )

    def _options(self) -> dict[str, str]:
        driver = self.config.driver
        options = dict(self.config.options)
        where = f"{self.root / CONFIG_NAME}: environments.{self.name}.builder"
        for name in _FILES:
            if driver == "remote" and name in options:
                path = Path(options[name]).expanduser()
                options[name] = str(place_named(self.root, path, where=f"{where}.options.{name}"))
        if not is_loopback(self.found.registry):
            return options
        if driver == "kubernetes":
            raise ConfigError(
                f"{where}: the registry {self.found.registry} is on this machine's loopback, "
                "which no pod can reach.",
                hint="name a registry that the cluster's pods reach under the same name as this "
                f"machine; pods of the embedded cluster reach it as {Network().node}.",
            )
        if driver == "docker-container":
            # Loopback in a container is its own: with the host's network, it is the host's.
            options.setdefault("network", "host")
        return options

    def _settings(self) -> str | None:
        """Return the buildkitd.toml; on the embedded platform its registry stands for docker.io."""
        if self.config.config is not None:
            where = "The builder's config"
            try:
                return Inside(self.root).read(self.config.config, where=where).decode()
            except (FileNotFoundError, UnicodeDecodeError) as error:
                why = "there is none" if isinstance(error, OSError) else "it is not UTF-8"
                path = self.root / self.config.config
                raise ConfigError(f"{where} {path} can't be read: {why}.") from None
        if self.found.embedded and self.config.driver == "docker-container":
            return f'[registry."docker.io"]\nmirrors = [{json.dumps(self.found.registry)}]\n'
        return None

    def _where(self) -> Any:
        """Say what else decides which engine is meant, though it is not in the configuration."""
        if self.config.driver == "kubernetes":
            return [str(self.found.kubeconfig), self.found.kube_context]
        if self.config.driver == "docker-container":
            # These decide in which Engine the container is: in another one, it is another builder.
            names = ("DOCKER_HOST", "DOCKER_CONTEXT")
            return [*(self.variables.get(name) for name in names), _docker_context(self.variables)]
        return None

    def _environment(self, name: str) -> dict[str, str]:
        """Return KUBECONFIG where a cluster is meant: buildx only takes a file's current one."""
        pods = any(endpoint.startswith("kube-pod://") for endpoint in self.config.endpoints)
        if self.config.driver != "kubernetes" and not pods:
            return {}
        # Written in each run: the kubeconfig may have other credentials by now.
        found = one_context(self.found.kubeconfig, self.found.kube_context)
        path = _write(self.store.folder / f"{name}.kubeconfig", json.dumps(found, indent=2))
        return {"KUBECONFIG": str(path)}


def _docker_context(variables: Mapping[str, str]) -> str | None:
    """Return the current context of the Docker CLI, which buildx uses."""
    folder = variables.get("DOCKER_CONFIG")
    path = (Path(folder) if folder else home_of(variables) / ".docker") / "config.json"
    try:
        settings: Mapping[str, Any] = parse_json(path.read_bytes())
        return str(settings["currentContext"])
    except (OSError, *MALFORMED):
        return None


def _write(path: Path, content: str | None) -> Path | None:
    if content is None:
        return None
    write_atomically(path, content)
    return path
