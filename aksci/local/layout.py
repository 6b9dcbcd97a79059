"""Where the platform keeps its files, and where it answers: ``Layout``, ``Ports``, ``Network``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path  # noqa: TC003 - dataclass fields are read at run time
from typing import Any

from aksci.core.errors import PlatformError
from aksci.core.files import write_atomically

__all__ = ["Layout", "Network", "PlatformEndpoints", "Ports", "endpoints"]

_SOCKET_LIMIT = 107  # bytes of sockaddr_un.sun_path, unix(7), less its terminating zero


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The TCP ports of the platform, all on loopback or on the node's own bridge."""

    registry: int = 5000
    notary: int = 4443
    apiserver: int = 6443
    etcd: int = 2379
    etcd_peer: int = 2380
    kubelet: int = 10250
    kubelet_health: int = 10248
    proxy_metrics: int = 10249
    proxy_health: int = 10256
    controller_manager: int = 10257
    scheduler: int = 10259


@dataclass(frozen=True, kw_only=True)
class Network:
    """The addresses inside the cluster. None of them leaves the machine."""

    node_bridge: str = "aksci0"
    """Carries the node's address, which must not be loopback; few kernels have dummy devices."""
    pod_bridge: str = "aksci-pods"
    node: str = "10.250.0.1"
    pods: str = "10.244.0.0/24"
    services: str = "10.96.0.0/16"
    apiserver_service: str = "10.96.0.1"
    dns: str = "10.96.0.10"
    domain: str = "cluster.local"


@dataclass(frozen=True, kw_only=True)
class PlatformEndpoints:
    """How to reach a platform."""

    registry: str
    """``localhost:<port>``; plain HTTP."""
    buildkit: str
    """``unix:///…/buildkitd.sock``; for buildx's ``remote`` driver."""
    kubeconfig: Path
    """Mode 0600; its context is ``aksci-local``. There once Kubernetes has been started."""
    state: Path
    logs: Path
    notary: str
    """``https://localhost:<port>``, where the part ``notary`` is once it has been started."""
    notary_ca: Path
    """The only authority (PEM) to trust for it."""


@dataclass(frozen=True)
class Layout:
    """The folders and files below one state folder."""

    state: Path

    @property
    def config(self) -> Path:
        """Generated configuration files."""
        return self.state / "config"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def notary_pki(self) -> Path:
        """Keys and certificates of the Notary server."""
        return self.state / "notary-pki"

    @property
    def run(self) -> Path:
        """Sockets and records of running parts; worthless once nothing runs."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        """One log file a part."""
        return self.state / "logs"

    @property
    def data(self) -> Path:
        """What survives ``down``: images, build cache, etcd."""
        return self.state / "data"

    @property
    def seeds(self) -> Path:
        """Base images that were made here, ready to be pushed again."""
        return self.state / "seeds"

    @property
    def lock(self) -> Path:
        """Held while ``up`` or ``down`` works."""
        return self.state / "lock"

    @property
    def ports_file(self) -> Path:
        """The ports that the last ``up`` was given."""
        return self.state / "ports.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's access to the cluster."""
        return self.state / "kubeconfig"

    @property
    def buildkit_socket(self) -> Path:
        """Where buildkitd listens."""
        return self.run / "buildkitd.sock"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def registries(self) -> Path:
        """How containerd reaches registries (containerd, "Registry Host Namespace")."""
        return self.config / "certs.d"

    @property
    def containers(self) -> Path:
        """A folder for each container that runs without Kubernetes."""
        return self.run / "containers"

    @property
    def kubelet(self) -> Path:
        """The root folder of kubelet; holds mounts while pods run."""
        return self.data / "kubelet"

    @property
    def pod_logs(self) -> Path:
        """What pods write."""
        return self.logs / "pods"

    @property
    def cgroup(self) -> str:
        """The control group below which all pods and builds of this platform run."""
        # By the path: two state folders on one machine must not end each other's pods.
        return "/aksci-" + hashlib.sha256(bytes(self.state)).hexdigest()[:8]

    def log(self, part: str) -> Path:
        """Return the log file of a part."""
        return self.logs / f"{part}.log"

    def record(self, part: str) -> Path:
        """Return the file that says which process a part is."""
        return self.run / f"{part}.json"

    def make(self) -> None:
        """Create the folders.

        :raises PlatformError: the state folder's path is too long for the sockets in it, or can't
            be made.
        """
        # The deepest socket below the state folder.
        longest = self.kubelet / "device-plugins" / "kubelet.sock"
        excess = len(bytes(longest)) - _SOCKET_LIMIT
        if excess > 0:
            raise PlatformError(
                f"The state folder {self.state} is {excess} bytes too long: sockets below it would"
                f" pass the kernel's limit of {_SOCKET_LIMIT} bytes.",
                hint="set XDG_STATE_HOME to a shorter path.",
            )
        try:
            # For the owner alone: keys and the administrator's kubeconfig are in it.
            self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.config, self.pki, self.run, self.logs, self.data, self.seeds):
                folder.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise PlatformError(
                f"The state folder {self.state} can't be made: {error.strerror}."
            ) from None

    def save_ports(self, ports: Ports) -> None:
        """Remember the ports for ``status`` and ``endpoints``."""
        write_atomically(self.ports_file, json.dumps(asdict(ports), indent=2) + "\n")

    def load_ports(self) -> Ports | None:
        """Return the ports of the last ``up``, or None when there was none."""
        try:
            # A damaged file is none: the next `up` writes it anew.
            values: dict[str, Any] = json.loads(self.ports_file.read_text())
            return Ports(**values)
        except (OSError, ValueError, TypeError):
            return None

    def endpoints(self, ports: Ports) -> PlatformEndpoints:
        """Say how to reach a platform with this layout."""
        return PlatformEndpoints(
            registry=f"localhost:{ports.registry}",
            buildkit=f"unix://{self.buildkit_socket}",
            kubeconfig=self.kubeconfig,
            state=self.state,
            logs=self.logs,
            notary=f"https://localhost:{ports.notary}",
            notary_ca=self.notary_pki / "ca.crt",
        )


def endpoints(state: Path) -> PlatformEndpoints | None:
    """Say how to reach the platform, or None before its first ``up``; it may be down."""
    # Absolute, since the marks of processes and the control group's name are made from it.
    layout = Layout(state.absolute())
    ports = layout.load_ports()
    return layout.endpoints(ports) if ports else None
