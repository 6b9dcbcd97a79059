"""The node, declared as parts: containerd, kubelet, kube-proxy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aksci.local.control_plane import NODE, kubeconfig
from aksci.local.part import Part, answers, listens

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.local.control_plane import ControlPlane
    from aksci.local.host import Host
    from aksci.local.layout import Layout, Network, Ports

__all__ = ["cni_network", "containerd_part", "kubelet_part", "proxy_part"]

CNI_NETWORK = "aksci"


def containerd_part(layout: Layout, ports: Ports, network: Network, host: Host, pause: str) -> Part:
    """Declare containerd with its CRI plugin.

    :param pause: the sandbox image's reference.
    """
    config = layout.config / "containerd.toml"
    hosts, cni = layout.registries, layout.config / "cni"
    mirror = f"http://localhost:{ports.registry}"
    allow = '  capabilities = ["pull", "resolve"]\n'
    return Part(
        name="containerd",
        argv=("containerd", "--config", str(config)),
        files={
            config: _containerd_toml(layout, host, pause, hosts=hosts, cni=cni),
            hosts / f"localhost:{ports.registry}" / "hosts.toml": (
                f'server = "{mirror}"\n[host."{mirror}"]\n{allow}'
            ),
            # No server is named: what the mirror lacks comes from docker.io's own address.
            hosts / "docker.io" / "hosts.toml": f'[host."{mirror}"]\n{allow}',
            cni / "10-aksci.conflist": json.dumps(cni_network(layout, network), indent=2),
        },
        folders=(layout.data / "containerd",),
        healthy=lambda: listens(layout.containerd_socket),
        address=f"unix://{layout.containerd_socket}",
        grace=10.0,
    )


def kubelet_part(cluster: ControlPlane) -> Part:
    """Declare kubelet."""
    layout, ports = cluster.layout, cluster.ports
    config, access = cluster.config("kubelet.json"), cluster.config("kubelet.kubeconfig")
    resolver = cluster.config("resolv.conf")
    return Part(
        name="kubelet",
        argv=(
            str(cluster.kube),
            "kubelet",
            f"--config={config}",
            f"--kubeconfig={access}",
            f"--hostname-override={NODE}",
            f"--node-ip={cluster.network.node}",
            f"--root-dir={layout.kubelet}",
            f"--cert-dir={layout.kubelet / 'pki'}",
        ),
        files={
            config: json.dumps(_kubelet(cluster, resolver), indent=2),
            access: kubeconfig(layout.pki, "kubelet", cluster.server),
            resolver: _resolver(cluster.host),
        },
        folders=(layout.kubelet, layout.pod_logs),
        listens=((cluster.network.node, ports.kubelet), ("127.0.0.1", ports.kubelet_health)),
        depends_on=cluster.pki,
        healthy=lambda: answers(f"http://127.0.0.1:{ports.kubelet_health}/healthz"),
        address=f"https://{cluster.network.node}:{ports.kubelet}",
    )


def proxy_part(cluster: ControlPlane) -> Part:
    """Declare kube-proxy.

    In iptables mode, because only there a NodePort answers on 127.0.0.1; and there alone, not on
    outside interfaces.
    """
    ports = cluster.ports
    config, access = cluster.config("proxy.json"), cluster.config("proxy.kubeconfig")
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "iptables": {"localhostNodePorts": True, "minSyncPeriod": "100ms"},
        "nodePortAddresses": ["127.0.0.0/8"],
        # What comes to a Service from elsewhere is masqueraded.
        "clusterCIDR": cluster.network.pods,
        "clientConnection": {"kubeconfig": str(access)},
        # 0: leave the machine's limits as they are.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "hostnameOverride": NODE,
        "healthzBindAddress": f"127.0.0.1:{ports.proxy_health}",
        "metricsBindAddress": f"127.0.0.1:{ports.proxy_metrics}",
        **_oom(cluster.host),
    }
    return Part(
        name="proxy",
        argv=(str(cluster.kube), "kube-proxy", f"--config={config}"),
        files={
            config: json.dumps(settings, indent=2),
            access: kubeconfig(cluster.layout.pki, "proxy", cluster.server),
        },
        listens=(("127.0.0.1", ports.proxy_health), ("127.0.0.1", ports.proxy_metrics)),
        depends_on=cluster.pki,
        healthy=lambda: answers(f"http://127.0.0.1:{ports.proxy_health}/healthz"),
        address=f"http://127.0.0.1:{ports.proxy_health}",
    )


def _containerd_toml(layout: Layout, host: Host, pause: str, *, hosts: Path, cni: Path) -> str:
    """Write containerd's configuration, version 2: read by 1.6 to 2.x."""
    quote = json.dumps
    # `opt` makes /opt/containerd, NRI a socket that the host's own containerd may have; the
    # snapshotters are unused.
    disabled = [
        "io.containerd.internal.v1.opt",
        "io.containerd.nri.v1.nri",
        *(f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")),
    ]
    return f"""\
version = 2
root = {quote(str(layout.data / "containerd"))}
state = {quote(str(layout.run / "containerd"))}
disabled_plugins = {quote(disabled)}

[grpc]
address = {quote(str(layout.containerd_socket))}

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {quote(pause)}
restrict_oom_score_adj = {quote(not host.may_lower_oom_score)}
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {quote(str(host.cni_plugins))}
conf_dir = {quote(str(cni))}

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = {quote(str(layout.run / "runc"))}

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = {quote(str(hosts))}
"""


def cni_network(layout: Layout, network: Network) -> dict[str, Any]:
    """Declare the containers' network (CNI specification 1.0.0, "Network configuration format")."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": network.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(layout.run / "cni"),
    }
    bridge = {
        "type": "bridge",
        "bridge": network.pod_bridge,
        "isGateway": True,
        "ipMasq": True,
        # A pod may call itself through its Service.
        "hairpinMode": True,
        "ipam": ipam,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    # Docker Engine drops what is forwarded unless a rule accepts it: this plugin writes that rule
    # for each pod.
    firewall = {"type": "firewall", "backend": "iptables"}
    return {"cniVersion": "1.0.0", "name": CNI_NETWORK, "plugins": [bridge, ports, firewall]}


def _kubelet(cluster: ControlPlane, resolver: Path) -> dict[str, Any]:
    layout, ports = cluster.layout, cluster.ports
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": cluster.network.node,
        "port": ports.kubelet,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": ports.kubelet_health,
        "authentication": {
            # Its API runs commands in pods: who asks must be known, and be allowed by the API
            # server.
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": cluster.secret("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": cluster.secret("kubelet.crt"),
        "tlsPrivateKeyFile": cluster.secret("kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "failCgroupV1": False,  # the default from 1.35 on
        "cgroupDriver": "cgroupfs",  # works with and without systemd
        "cgroupRoot": layout.cgroup,
        "nodeStatusUpdateFrequency": "2s",  # or a restarted node takes 10 s to say that it is ready
        # The machine is a developer's: pods get no fenced part of it.
        "enforceNodeAllocatable": [],
        # Laptops swap; kubelet would not start.
        "failSwapOn": False,
        "clusterDomain": cluster.network.domain,
        "clusterDNS": [cluster.network.dns],
        "resolvConf": str(resolver),
        "podLogsDir": str(layout.pod_logs),
        "volumePluginDir": str(layout.data / "volume-plugins"),
        # No limit for the disk, by which a full laptop would evict all pods.
        "evictionHard": {"memory.available": "100Mi"},
        # Disks of laptops and runners are fuller than servers': at 85 % kubelet would remove what
        # was just pulled.
        "imageGCHighThresholdPercent": 99,
        "imageGCLowThresholdPercent": 98,
        **_oom(cluster.host),
    }


def _oom(host: Host) -> dict[str, int]:
    """Leave our own oom_score_adj alone where we may not lower it."""
    return {} if host.may_lower_oom_score else {"oomScoreAdj": 0}


def _resolver(host: Host) -> str:
    lines = [f"nameserver {server}" for server in host.nameservers]
    if host.search:
        lines.append(f"search {' '.join(host.search)}")
    return "\n".join([*lines, ""])
