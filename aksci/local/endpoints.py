"""Where an environment's registry, builder and cluster are: ``Endpoints``."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aksci.core.errors import ConfigError, DockerError
from aksci.core.files import home_of
from aksci.core.inside import place_named
from aksci.local.layout import Ports, endpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aksci.config.deploy_models import EnvironmentConfig
    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter
    from aksci.local.layout import PlatformEndpoints
    from aksci.tools.toolbox import Toolbox

__all__ = ["Endpoints", "Preparation", "start_platform"]

_ENGINE = 23  # the first series of Docker Engine after 20.10
_PROBE = 2  # seconds


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """How to reach what an environment names."""

    registry: str
    """``host[:port]``."""
    plain_http: bool
    embedded: bool
    """All of it is the embedded platform's."""
    buildkit: str | None
    """Address of a buildkitd, for the embedded platform."""
    kubeconfig: Path
    kube_context: str | None


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Finds what an environment names, and makes sure, once a run, that it is there and well.

    Safe in several threads.
    """

    settings: EnvironmentConfig
    name: str
    root: Path
    """The project's folder, which ``kubeconfig`` is relative to."""
    platform: Path
    """The embedded platform's state folder."""
    variables: Mapping[str, str] = field(repr=False)
    start: bool
    """Whether anything may be started."""
    toolbox: Callable[[], Toolbox]
    """Asked where the embedded platform is started."""
    runner: Runner
    reporter: Reporter
    seeds: Mapping[str, Sequence[str]]
    notary: bool
    """Docker Content Trust signs: its server is a part of the embedded platform."""
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _found: list[Endpoints] = field(default_factory=list, repr=False)
    """The last is what counts."""
    _prepared: dict[frozenset[str], Endpoints] = field(default_factory=dict, repr=False)
    """By what was asked for beside registry and builder."""

    @property
    def endpoints(self) -> Endpoints:
        """Where everything is. The embedded platform is started unless its registry answers."""
        if self._found:  # nobody who knows it waits for what another thread prepares
            return self._found[-1]
        with self._lock:
            # Again, now alone: another thread may have looked while we waited.
            if not self._found:
                found = self.look()
                if self.start and found.embedded and not _registry_listens(found.registry):
                    return self.prepare()
                self._found.append(found)
            return self._found[-1]

    @property
    def done(self) -> bool:
        """Whether it was made sure that registry and builder are well."""
        return bool(self._prepared)

    def prepare(
        self,
        *,
        cluster: bool = False,
        notary: bool = False,
        containers: bool = False,
        network: bool = False,
    ) -> Endpoints:
        """Make sure that registry and builder are there and well, once a run.

        :param cluster: the cluster, too.
        :param notary: the embedded platform's Notary server, too, whoever signs.
        :param containers: the embedded platform's containerd, too.
        :param network: containerd, and a network for its containers.
        :raises PlatformError: the embedded platform could not start.
        :raises DockerError: Docker Engine is not there.
        """
        if not self.start:
            return self.endpoints
        # Each set of parts once: the build's must not wait for a cluster that only deploying needs.
        containers, network = containers or network or cluster, network or cluster
        named = {"cluster": cluster, "notary": notary, "containers": containers, "network": network}
        asked = frozenset(name for name, wanted in named.items() if wanted)
        with self._lock:
            # What was prepared for more is enough for less.
            for parts, found in self._prepared.items():
                if asked <= parts:
                    return found
            found = self._prepared[asked] = self._prepare(asked)
            self._found.append(found)
            return found

    def with_builder(self) -> Endpoints:
        """Return the endpoints once the builder is well, as BuildKit is where it listens."""
        found = self.endpoints
        path = (found.buildkit or "").removeprefix("unix://")
        # Only the embedded one has a socket that can be looked at.
        if not found.embedded or not path.startswith("/"):
            return self.prepare()
        from aksci.local.part import listens

        return found if listens(Path(path)) else self.prepare()

    def look(self) -> Endpoints:
        """Return where everything is, or would be: start nothing, and ask nobody."""
        if self.settings.platform != "embedded":
            return _external(self.settings, self.name, self.root, self.variables)
        known = endpoints(self.platform)
        if known:
            return _of_platform(known)
        return Endpoints(
            registry=f"localhost:{Ports().registry}",
            plain_http=True,
            embedded=True,
            buildkit=None,
            kubeconfig=self.platform / "kubeconfig",
            kube_context=None,
        )

    def _prepare(self, asked: frozenset[str]) -> Endpoints:
        if self.settings.platform == "embedded":
            return start_platform(
                platform=self.platform,
                toolbox=self.toolbox(),
                runner=self.runner,
                reporter=self.reporter,
                seeds=self.seeds,
                cluster="cluster" in asked,
                notary="notary" in asked or self.notary,
                containers="containers" in asked,
                network="network" in asked,
            )
        if self.settings.platform == "docker":
            _require_engine(
                self.settings, name=self.name, variables=self.variables, reporter=self.reporter
            )
        return self.look()


def start_platform(
    *,
    platform: Path,
    toolbox: Toolbox,
    runner: Runner,
    reporter: Reporter,
    seeds: Mapping[str, Sequence[str]],
    cluster: bool,
    notary: bool,
    containers: bool = False,
    network: bool = False,
) -> Endpoints:
    """Start or repair the embedded platform.

    :param seeds: images of docker.io that builds need: see ``aksci.local.platform.up``.
    :param cluster: with Kubernetes, and not only what a build needs.
    :param notary: with a Notary server, for Docker Content Trust.
    :param containers: with containerd, and ``network`` with a network for its containers: what
        running images needs. A cluster has both.
    :raises PlatformError: it could not be started.
    """
    from aksci.local import platform as embedded

    parts = embedded.ALL_PARTS if cluster else embedded.BUILD_PARTS
    parts |= embedded.TRUST_PARTS if notary else frozenset()
    parts |= embedded.CONTAINER_PARTS if containers else frozenset()
    parts |= embedded.NETWORK_PARTS if network else frozenset()
    found = embedded.up(
        state=platform,
        toolbox=toolbox,
        runner=runner,
        reporter=reporter,
        seeds=seeds,
        parts=parts,
    )
    return _of_platform(found)


def _require_engine(
    settings: EnvironmentConfig, *, name: str, variables: Mapping[str, str], reporter: Reporter
) -> None:
    """Require a Docker Engine that answers and, where it builds itself, that can.

    BuildKit takes named contexts, by which parents are pinned, from 0.10 on; that of Docker Engine
    20.10 refuses them.

    :raises DockerError: it does not answer, or is too old.
    """
    from aksci.local.docker_engine import docker_engine

    version = docker_engine(variables)
    reporter.line(f"Docker Engine {version}")
    if settings.builder is None and int(version.split(".")[0]) < _ENGINE:
        raise DockerError(
            f"Docker Engine {version} can't pin the images that a build starts from; "
            f"{_ENGINE} and newer can.",
            hint="update it, or let it run a newer BuildKit: in environments."
            f'{name}, builder = {{ driver = "docker-container" }}.',
        )


def _registry_listens(host: str) -> bool:
    """Tell whether anything listens at ``host:port``; its registry's client checks what it is."""
    parts = urlsplit(f"//{host}")
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 443), _PROBE):
            return True
    except OSError:
        return False


def _of_platform(found: PlatformEndpoints) -> Endpoints:
    return Endpoints(
        registry=found.registry,
        plain_http=True,
        embedded=True,
        buildkit=found.buildkit,
        kubeconfig=found.kubeconfig,
        kube_context=None,
    )


def _external(
    settings: EnvironmentConfig, name: str, root: Path, variables: Mapping[str, str]
) -> Endpoints:
    if settings.registry is None:  # the models refuse this; it tells mypy so
        raise ConfigError(f"environments.{name}.registry is required.")
    return Endpoints(
        registry=settings.registry,
        plain_http=settings.plain_http,
        embedded=False,
        buildkit=None,
        kubeconfig=_kubeconfig(settings, root, variables),
        kube_context=settings.context,
    )


def _kubeconfig(settings: EnvironmentConfig, root: Path, variables: Mapping[str, str]) -> Path:
    """Return the configured kubeconfig, as kubectl would find it where none is."""
    if settings.kubeconfig:
        named = Path(settings.kubeconfig).expanduser()
        return place_named(root, named, where="the environment's kubeconfig")
    # kubectl merges several files; of their contexts, the first that is named as current wins.
    first = variables.get("KUBECONFIG", "").split(":")[0]
    return Path(first) if first else home_of(variables) / ".kube" / "config"
