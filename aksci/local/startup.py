"""What ``up`` does, as tasks that depend on each other."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from aksci.core.files import write_atomically
from aksci.local.api_server import Api, node_ready, wait_for
from aksci.local.build_parts import buildkitd_part, registry_part
from aksci.local.control_plane import NODE, ControlPlane, control_parts, kubeconfig
from aksci.local.daemon import started_at
from aksci.local.dns import Dns, ensure_dns
from aksci.local.host import daemon_environment, has_cni_plugins, look_at_host, require_space
from aksci.local.host_network import ensure_network
from aksci.local.node import containerd_part, kubelet_part, proxy_part
from aksci.local.notary import ensure_notary_pki, notary_part
from aksci.local.part import running, start_part
from aksci.local.pki import ensure_pki, subjects
from aksci.local.seed_images import Seed, push_program, seed_image
from aksci.local.start_order import StartTask
from aksci.local.teardown import clear_stale_sandboxes, make_cgroups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter
    from aksci.local.layout import Layout, Network, Ports
    from aksci.local.part import Part
    from aksci.oci.client import RegistryClient

__all__ = ["Startup", "Tools"]

_BUILD_PROGRAMS = {"runc": "runc"}
_CONTAINER_PROGRAMS = {"containerd": "containerd", "ctr": "containerd"}
_NETWORK_PROGRAMS = {"ip": "iproute2", "iptables": "iptables", "nft": "nftables"}
_CLUSTER_PROGRAMS = {"etcd": "etcd-server", "conntrack": "conntrack"}
"""Programs that come from the distribution, with the Debian package of each."""
_OURS = "aksci"
"""Before the repositories of our own programs' images."""
_NODE_PATIENCE = 90.0  # seconds


class Tools(Protocol):
    """Where programs come from that no distribution has."""

    def ensure(self, name: str) -> Path:
        """Return the tool's program, installing it first where needed."""


@dataclass(frozen=True, kw_only=True)
class Startup:
    """One run of ``up``."""

    layout: Layout
    ports: Ports
    network: Network
    toolbox: Tools
    runner: Runner
    reporter: Reporter
    seeds: tuple[Seed, ...]
    minimum_free: int
    started: list[str] = field(default_factory=list)
    """What had to be started or made, in the order in which it became ready."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when something failed or Ctrl-C came: waiting is then in vain."""
    _speak: threading.Lock = field(default_factory=threading.Lock)

    def tasks(self, parts: frozenset[str]) -> dict[str, StartTask]:
        """Return all that there is to do, needs first.

        :param parts: as ``aksci.local.platform.up`` has them.
        """
        if "kubernetes" in parts:
            parts |= {"containerd", "network"}
        # The order in which they are built: builds of images need the first two, and kube takes
        # longest. Pods need pause; what containerd runs without Kubernetes needs it named, so that
        # containerd need not start anew once there are pods.
        tools = ["registry", "buildkitd"]
        tools += ["pause"] if "containerd" in parts else []
        tools += ["coredns", "kube"] if "kubernetes" in parts else []
        tools += ["notary-server"] if "notary" in parts else []
        tasks = {
            "packages": StartTask(action=lambda _: self._install_packages(parts)),
            **self._tool_tasks(tools),
            "registry": StartTask(action=self._registry, needs=("tool:registry",)),
            "buildkitd": StartTask(action=self._buildkitd, needs=("tool:buildkitd", "packages")),
        }
        if "notary" in parts:
            tasks["notary"] = StartTask(action=self._notary, needs=("tool:notary-server",))
        for seed in self.seeds:
            needs = ("registry", "packages")
            tasks[f"seed:{seed.name}"] = StartTask(action=self._seed_action(seed), needs=needs)
        if "containerd" in parts:
            tasks |= self._container_tasks()
        if "network" in parts:
            tasks["network"] = StartTask(action=self._network, needs=("packages",))
        return {**tasks, **(self._cluster_tasks() if "kubernetes" in parts else {})}

    def _container_tasks(self) -> dict[str, StartTask]:
        return {
            "host": StartTask(action=lambda _: look_at_host(), needs=("packages",)),
            # Containers can start without docker.io: pause and CoreDNS come from our own registry.
            "pause": StartTask(action=self._image("pause"), needs=("registry", "tool:pause")),
            "containerd": StartTask(action=self._containerd, needs=("host", "pause")),
        }

    def _cluster_tasks(self) -> dict[str, StartTask]:
        cluster = ("cluster",)
        tasks = {
            # It needs nothing, so the keys are made while programs are.
            "pki": StartTask(action=self._pki),
            "coredns": StartTask(action=self._image("coredns"), needs=("registry", "tool:coredns")),
            "cluster": StartTask(action=self._cluster, needs=("host", "pki", "tool:kube")),
            "etcd": StartTask(action=self._control("etcd"), needs=cluster),
            "apiserver": StartTask(
                action=self._control("apiserver"), needs=(*cluster, "etcd", "network")
            ),
        }
        for name in ("controller-manager", "scheduler"):
            tasks[name] = StartTask(action=self._control(name), needs=(*cluster, "apiserver"))
        return {
            **tasks,
            "proxy": StartTask(action=self._proxy, needs=(*cluster, "apiserver")),
            "kubelet": StartTask(action=self._kubelet, needs=(*cluster, "apiserver", "containerd")),
            "node": StartTask(action=self._node, needs=("kubelet",)),
            "dns": StartTask(
                action=self._dns,
                # All that a pod and a Service need: its answer proves them.
                needs=(
                    *("host", "coredns", "pki", "node"),
                    *("proxy", "controller-manager", "scheduler"),
                ),
            ),
        }

    # -- programs --

    def _install_packages(self, parts: frozenset[str]) -> None:
        programs = {
            **_BUILD_PROGRAMS,
            **(_CONTAINER_PROGRAMS if "containerd" in parts else {}),
            **(_NETWORK_PROGRAMS if "network" in parts else {}),
            **(_CLUSTER_PROGRAMS if "kubernetes" in parts else {}),
        }
        path = daemon_environment(self.runner.environment)["PATH"]
        # By program, not by package: runc and containerd also come with Docker's own packages,
        # which exclude Debian's.
        missing = {
            package: None for name, package in programs.items() if not shutil.which(name, path=path)
        }
        if "containerd" in parts and not has_cni_plugins():
            missing["containernetworking-plugins"] = None
        if missing:
            from aksci.tools.debian import ensure_packages

            ensure_packages(list(missing), self.runner, self.reporter)

    def _tool_tasks(self, names: Iterable[str]) -> dict[str, StartTask]:
        """One after the other, since building one takes all processors; the most needed first."""
        tasks: dict[str, StartTask] = {}
        before: tuple[str, ...] = ()
        for name in names:
            tasks[f"tool:{name}"] = StartTask(action=self._ensure(name), needs=before)
            before = (f"tool:{name}",)
        return tasks

    def _ensure(self, name: str) -> Callable[[Mapping[str, Any]], Path]:
        return lambda _: self.toolbox.ensure(name)

    # -- parts --

    def start(self, part: Part) -> None:
        """Make sure that a part runs, and say so when it had to be started."""
        began = time.monotonic()
        if running(part, self.layout):
            return
        # Only before a start: a platform that runs may be used to free space.
        require_space(self.layout.state, self.minimum_free)
        environment = daemon_environment(self.runner.environment)
        start_part(part, self.layout, environment, self.stopping)
        self._say(part.name, f"{part.name} is up at {part.address}", began)

    def _say(self, name: str, text: str, began: float) -> None:
        with self._speak:
            self.started.append(name)
            self.reporter.line(f"{text} ({time.monotonic() - began:.1f} s)")

    def _registry(self, done: Mapping[str, Any]) -> None:
        self.start(registry_part(self.layout, self.ports, done["tool:registry"]))

    def _notary(self, done: Mapping[str, Any]) -> None:
        pki = ensure_notary_pki(self.layout)
        self.start(notary_part(self.layout, self.ports, done["tool:notary-server"], pki))

    def _buildkitd(self, done: Mapping[str, Any]) -> None:
        self.start(buildkitd_part(self.layout, self.ports, done["tool:buildkitd"]))

    def _containerd(self, done: Mapping[str, Any]) -> None:
        part = containerd_part(self.layout, self.ports, self.network, done["host"], done["pause"])
        # Each time: `down`, or a restart of the machine, has removed it.
        make_cgroups(self.layout)
        if not running(part, self.layout):
            # Never under a containerd that runs: its pods are alive.
            clear_stale_sandboxes(self.layout)
        self.start(part)

    def _control(self, name: str) -> Callable[[Mapping[str, Any]], None]:
        return lambda done: self.start(control_parts(done["cluster"])[name])

    def _kubelet(self, done: Mapping[str, Any]) -> None:
        self.start(kubelet_part(done["cluster"]))

    def _proxy(self, done: Mapping[str, Any]) -> None:
        self.start(proxy_part(done["cluster"]))

    # -- everything else --

    def _seed_action(self, seed: Seed) -> Callable[[Mapping[str, Any]], None]:
        def make(_: Mapping[str, Any]) -> None:
            began = time.monotonic()
            if seed_image(
                seed,
                client=self._client(),
                layout=self.layout,
                runner=self.runner,
                reporter=self.reporter,
            ):
                self._say(seed.name, f"{seed.name} is in the mirror", began)

        return make

    def _network(self, _: Mapping[str, Any]) -> None:
        ensure_network(self.layout, self.network, self.ports, self.runner)

    def _pki(self, _: Mapping[str, Any]) -> str:
        return ensure_pki(self.layout.pki, subjects(self.network, NODE))

    def _image(self, tool: str) -> Callable[[Mapping[str, Any]], str]:
        """Push an image of one of our own programs; return its reference."""

        def push(done: Mapping[str, Any]) -> str:
            program = done[f"tool:{tool}"]
            return push_program(self._client(), f"{_OURS}/{tool}", program, f"/{tool}")

        return push

    def _client(self) -> RegistryClient:
        from aksci.oci.client import RegistryClient

        return RegistryClient(f"localhost:{self.ports.registry}", plain_http=True)

    def _cluster(self, done: Mapping[str, Any]) -> ControlPlane:
        # By loopback, which no proxy setting leads astray; a rule leads it to the node's address.
        server = f"https://127.0.0.1:{self.ports.apiserver}"
        content = kubeconfig(self.layout.pki, "admin", server)
        if not _holds(self.layout.kubeconfig, content):
            write_atomically(self.layout.kubeconfig, content)
        return ControlPlane(
            layout=self.layout,
            ports=self.ports,
            network=self.network,
            host=done["host"],
            kube=done["tool:kube"],
            pki=done["pki"],
        )

    def _api(self) -> Api:
        return Api(port=self.ports.apiserver, pki=self.layout.pki)

    def _node(self, _: Mapping[str, Any]) -> None:
        began = time.monotonic()
        api, since = self._api(), started_at(self.layout.record("kubelet"))
        # Since this kubelet's start: what an earlier one has said stays in the API server.
        if not node_ready(api, since=since):
            wait_for(
                "The node",
                lambda: node_ready(api, since=since),
                patience=_NODE_PATIENCE,
                stopping=self.stopping,
                logs=self.layout.log("kubelet"),
            )
            self._say("node", "the node is ready", began)

    def _dns(self, done: Mapping[str, Any]) -> None:
        began = time.monotonic()
        dns = Dns(
            network=self.network,
            image=done["coredns"],
            nameservers=done["host"].nameservers,
            authority=(self.layout.pki / "ca.crt").read_text(),
        )
        if ensure_dns(self._api(), dns, stopping=self.stopping, logs=self.layout.pod_logs):
            self._say("dns", "the cluster's DNS answers", began)


def _holds(file: Path, content: str) -> bool:
    try:
        return file.read_text() == content
    except OSError:
        return False
