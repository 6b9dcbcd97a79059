"""The Kubernetes control plane as parts: etcd, API server, controller manager, scheduler."""

from __future__ import annotations

import base64
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.local.part import Part, answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aksci.local.host import Host
    from aksci.local.layout import Layout, Network, Ports

__all__ = ["ControlPlane", "control_parts", "kubeconfig"]

NODE = "local"
CONTEXT = "aksci-local"


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """What all parts of the cluster are declared from."""

    layout: Layout
    ports: Ports
    network: Network
    host: Host
    kube: Path
    """The all-in-one binary."""
    pki: str
    """A hash of the certificates."""

    @property
    def server(self) -> str:
        """The API server's address for the parts themselves."""
        return f"https://{self.network.node}:{self.ports.apiserver}"

    def secret(self, name: str) -> str:
        """Return the path of a file in the folder of keys."""
        return str(self.layout.pki / name)

    def config(self, name: str) -> Path:
        """Return the path of a configuration file."""
        return self.layout.config / name


def control_parts(cluster: ControlPlane) -> dict[str, Part]:
    """Declare the control plane's parts, by name."""
    parts = (
        _etcd(cluster),
        _apiserver(cluster),
        _controller_manager(cluster),
        _scheduler(cluster),
    )
    return {part.name: part for part in parts}


def kubeconfig(pki: Path, user: str, server: str, context: str = CONTEXT) -> str:
    """Write a kubeconfig that holds all it needs. JSON is YAML."""

    def embed(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": context,
                "cluster": {"server": server, "certificate-authority-data": embed("ca.crt")},
            }
        ],
        "users": [
            {
                "name": context,
                "user": {
                    "client-certificate-data": embed(f"{user}.crt"),
                    "client-key-data": embed(f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }
    return json.dumps(document, indent=2) + "\n"


def client_tls(pki: Path, user: str) -> Callable[[], ssl.SSLContext]:
    """Return a maker of TLS contexts: the cluster's authority, a user's certificate."""

    def make() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / f"{user}.crt", pki / f"{user}.key")
        return context

    return make


def _etcd(cluster: ControlPlane) -> Part:
    ports, data = cluster.ports, cluster.layout.data / "etcd"
    url = f"https://127.0.0.1:{ports.etcd}"
    peer = f"https://127.0.0.1:{ports.etcd_peer}"
    tls = {"cert-file": "etcd.crt", "key-file": "etcd.key", "trusted-ca-file": "ca.crt"}
    arguments = {
        "name": NODE,
        "data-dir": str(data),
        "listen-client-urls": url,
        "advertise-client-urls": url,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"{NODE}={peer}",
        # On loopback, too: whoever is on this machine could read every Secret in it.
        "client-cert-auth": "true",
        "peer-client-cert-auth": "true",
        "logger": "zap",
        "log-level": "warn",
        # It survives any kill of processes; after a power cut, `down --purge` repairs.
        "unsafe-no-fsync": "true",
        **{option: cluster.secret(file) for option, file in tls.items()},
        **{f"peer-{option}": cluster.secret(file) for option, file in tls.items()},
    }
    return Part(
        name="etcd",
        argv=("etcd", *_options(arguments)),
        folders=(data,),
        listens=(("127.0.0.1", ports.etcd), ("127.0.0.1", ports.etcd_peer)),
        depends_on=cluster.pki,
        healthy=lambda: answers(f"{url}/health", tls=client_tls(cluster.layout.pki, "apiserver")),
        address=url,
    )


def _apiserver(cluster: ControlPlane) -> Part:
    network, ports = cluster.network, cluster.ports
    arguments = {
        "advertise-address": network.node,
        "bind-address": network.node,
        "secure-port": str(ports.apiserver),
        "service-cluster-ip-range": network.services,
        "etcd-servers": f"https://127.0.0.1:{ports.etcd}",
        "etcd-cafile": cluster.secret("ca.crt"),
        "etcd-certfile": cluster.secret("apiserver.crt"),
        "etcd-keyfile": cluster.secret("apiserver.key"),
        "tls-cert-file": cluster.secret("apiserver.crt"),
        "tls-private-key-file": cluster.secret("apiserver.key"),
        "client-ca-file": cluster.secret("ca.crt"),
        "service-account-key-file": cluster.secret("service-accounts.pub"),
        "service-account-signing-key-file": cluster.secret("service-accounts.key"),
        "service-account-issuer": f"https://kubernetes.default.svc.{network.domain}",
        # RBAC, as on AKS: what a chart lacks in rights shows here.
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        # Health is asked with a certificate, too.
        "anonymous-auth": "false",
        # Which pods may be privileged, Pod Security decides by namespace.
        "allow-privileged": "true",
        # The node's name resolves nowhere.
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-certificate-authority": cluster.secret("ca.crt"),
        "kubelet-client-certificate": cluster.secret("admin.crt"),
        "kubelet-client-key": cluster.secret("admin.key"),
        "profiling": "false",
    }
    url = f"{cluster.server}/readyz"
    return Part(
        name="apiserver",
        argv=(str(cluster.kube), "kube-apiserver", *_options(arguments)),
        # Nobody listens on the second, but our rule would take it from whoever does.
        listens=((network.node, ports.apiserver), ("127.0.0.1", ports.apiserver)),
        depends_on=cluster.pki,
        healthy=lambda: answers(url, tls=client_tls(cluster.layout.pki, "admin")),
        address=f"https://127.0.0.1:{ports.apiserver}",
        patience=120.0,
        grace=10.0,
    )


def _controller_manager(cluster: ControlPlane) -> Part:
    config = cluster.config("controller-manager.kubeconfig")
    port = cluster.ports.controller_manager
    arguments = {
        "kubeconfig": str(config),
        "bind-address": "127.0.0.1",
        "secure-port": str(port),
        "service-account-private-key-file": cluster.secret("service-accounts.key"),
        "root-ca-file": cluster.secret("ca.crt"),
        "cluster-signing-cert-file": cluster.secret("ca.crt"),
        "cluster-signing-key-file": cluster.secret("ca.key"),
        # Each controller with its own rights, as in clusters that others set up.
        "use-service-account-credentials": "true",
        # One of each: a lease would only delay a restart by its length.
        "leader-elect": "false",
        "cluster-cidr": cluster.network.pods,
        "flex-volume-plugin-dir": str(cluster.layout.data / "volume-plugins"),
        "profiling": "false",
    }
    content = kubeconfig(cluster.layout.pki, "controller-manager", cluster.server)
    return _kube_part(cluster, "controller-manager", arguments, {config: content}, port)


def _scheduler(cluster: ControlPlane) -> Part:
    config = cluster.config("scheduler.kubeconfig")
    port = cluster.ports.scheduler
    arguments = {
        "kubeconfig": str(config),
        "bind-address": "127.0.0.1",
        "secure-port": str(port),
        "leader-elect": "false",
        "profiling": "false",
    }
    content = kubeconfig(cluster.layout.pki, "scheduler", cluster.server)
    return _kube_part(cluster, "scheduler", arguments, {config: content}, port)


def _kube_part(
    cluster: ControlPlane, name: str, arguments: dict[str, str], files: dict[Path, str], port: int
) -> Part:
    return Part(
        name=name,
        argv=(str(cluster.kube), f"kube-{name}", *_options(arguments)),
        files=files,
        listens=(("127.0.0.1", port),),
        depends_on=cluster.pki,
        healthy=lambda: answers(f"https://127.0.0.1:{port}/healthz"),
        address=f"https://127.0.0.1:{port}",
    )


def _options(arguments: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in arguments.items()]
