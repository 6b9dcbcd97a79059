"""The cluster's DNS: CoreDNS as a Deployment behind the Service address that every pod is given."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.local.api_server import wait_for

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.local.api_server import Api
    from aksci.local.layout import Network

__all__ = ["dns_answers", "ensure_dns"]

_NAMESPACE = "kube-system"
_NAME = "coredns"
_LABELS = {"k8s-app": "kube-dns"}
_REVISION = "dev.aksci/revision"
_PATIENCE = 120.0  # seconds
_ANSWER_WITHIN = 1.0  # seconds
_CORE = f"/api/v1/namespaces/{_NAMESPACE}"
_DEPLOYMENT = f"/apis/apps/v1/namespaces/{_NAMESPACE}/deployments/{_NAME}"
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, kw_only=True)
class Dns:
    """What CoreDNS is set up with."""

    network: Network
    image: str
    nameservers: tuple[str, ...]
    """The host's, which are asked for names outside the cluster."""
    authority: str
    """The cluster's CA certificate."""


def ensure_dns(api: Api, dns: Dns, *, stopping: threading.Event, logs: Path) -> bool:
    """Create or update CoreDNS and wait until it answers; return whether there was anything to do.

    :param stopping: when it is set, nobody waits any more.
    :param logs: where pods log.
    :raises PlatformError: the server refused it, or it did not become ready.
    """
    items = resources(dns)
    # Compared by our own hash: the API server adds defaults to what it is given.
    revision = hashlib.sha256(json.dumps(items).encode()).hexdigest()
    deployment = api.get(_DEPLOYMENT)
    if deployment and _revision(deployment) == revision and dns_answers(dns.network):
        return False
    # A pod that starts with an outdated authority would distrust the API server for good.
    wait_for(
        "The cluster's authority",
        lambda: _published_authority(api) == dns.authority,
        patience=_PATIENCE,
        stopping=stopping,
        logs=logs,
    )
    for path, resource in items:
        # Afterwards, for the hash can't be of itself.
        if path == _DEPLOYMENT:
            meta = {**resource["metadata"], "annotations": {_REVISION: revision}}
            resource["metadata"] = meta
        api.apply(path, resource)
    wait_for(
        "The cluster's DNS",
        lambda: dns_answers(dns.network),
        patience=_PATIENCE,
        stopping=stopping,
        logs=logs,
    )
    return True


def _published_authority(api: Api) -> str | None:
    published = api.get(f"{_CORE}/configmaps/kube-root-ca.crt") or {}
    found: str | None = published.get("data", {}).get("ca.crt")
    return found


def dns_answers(network: Network) -> bool:
    """Ask the DNS Service for the API server's address: pods and Services work when it knows."""
    name = f"kubernetes.default.svc.{network.domain}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(_ANSWER_WITHIN)
        try:
            client.connect((network.dns, 53))
            client.send(query(name))
            answer = client.recv(512)
        except OSError:
            return False
    # The answer's last record is the address, and its last four bytes are the value.
    return answer[-4:] == socket.inet_aton(network.apiserver_service)


def query(name: str) -> bytes:
    """Return a question for an A record, RFC 1035 section 4.1."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    header = struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0)  # one question, recursion desired
    return header + labels + b"\0" + struct.pack(">HH", 1, 1)


def corefile(network: Network, *, forward: bool) -> str:
    """Return CoreDNS's configuration."""
    # loop: a resolver that asks us back would go round for ever; CoreDNS ends instead.
    upstream = "    forward . /etc/resolv.conf {\n        max_concurrent 1000\n    }\n    loop\n"
    return (
        ".:53 {\n"
        "    errors\n"
        "    health {\n        lameduck 3s\n    }\n"
        "    ready\n"
        f"    kubernetes {network.domain} in-addr.arpa ip6.arpa {{\n"
        # As kubeadm's: names such as 10-244-0-5.default.pod.cluster.local.
        "        pods insecure\n        fallthrough in-addr.arpa ip6.arpa\n        ttl 10\n    }\n"
        f"{upstream if forward else ''}"
        "    cache 30\n"
        "    reload\n"
        "    loadbalance\n"
        "}\n"
    )


def resources(dns: Dns) -> list[tuple[str, dict[str, Any]]]:
    """Return what CoreDNS consists of, each with the path to apply it to."""
    meta = {"name": _NAME, "namespace": _NAMESPACE, "labels": _LABELS}
    configuration = {"Corefile": corefile(dns.network, forward=bool(dns.nameservers))}
    return [
        *_access(meta),
        (
            f"{_CORE}/configmaps/{_NAME}",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": configuration},
        ),
        (_DEPLOYMENT, _deployment(dns, meta)),
        (f"{_CORE}/services/kube-dns", _service(dns.network, meta)),
    ]


def _access(meta: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the account of CoreDNS, and what it may look at."""
    cluster_wide = {"name": "system:coredns"}
    subject = {"kind": "ServiceAccount", "name": _NAME, "namespace": _NAMESPACE}
    rules = [
        _may_watch("", "endpoints", "services", "pods", "namespaces"),
        _may_watch("discovery.k8s.io", "endpointslices"),
    ]
    role = {"kind": "ClusterRole", "metadata": cluster_wide, "rules": rules}
    binding = {
        "kind": "ClusterRoleBinding",
        "metadata": cluster_wide,
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": cluster_wide["name"]},
        "subjects": [subject],
    }
    rbac = f"/apis/{_RBAC}/v1"
    return [
        (
            f"{_CORE}/serviceaccounts/{_NAME}",
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        ),
        (f"{rbac}/clusterroles/system:coredns", {"apiVersion": f"{_RBAC}/v1", **role}),
        (f"{rbac}/clusterrolebindings/system:coredns", {"apiVersion": f"{_RBAC}/v1", **binding}),
    ]


def _deployment(dns: Dns, meta: Mapping[str, Any]) -> dict[str, Any]:
    # A pod keeps the resolver and the authority that it started with: others must be another pod.
    notes = {
        "dev.aksci/resolver": " ".join(dns.nameservers),
        "dev.aksci/authority": hashlib.sha256(dns.authority.encode()).hexdigest(),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            # One node: a second one would go with it.
            "replicas": 1,
            "selector": {"matchLabels": _LABELS},
            "template": {
                "metadata": {"labels": _LABELS, "annotations": notes},
                "spec": _pod(dns.image),
            },
        },
    }


def _service(network: Network, meta: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**meta, "name": "kube-dns"},
        "spec": {
            "selector": _LABELS,
            # Fixed: kubelet writes it into each pod's resolv.conf.
            "clusterIP": network.dns,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
            ],
        },
    }


def _revision(deployment: dict[str, Any]) -> str | None:
    found: str | None = deployment["metadata"].get("annotations", {}).get(_REVISION)
    return found


def _may_watch(group: str, *kinds: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": [*kinds], "verbs": ["list", "watch"]}


def _pod(image: str) -> dict[str, Any]:
    container = {
        "name": _NAME,
        "image": image,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "170Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": 8080},
            "initialDelaySeconds": 30,
            "failureThreshold": 5,
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            # For port 53, and nothing else of root's.
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
        },
    }
    return {
        "serviceAccountName": _NAME,
        "priorityClassName": "system-cluster-critical",
        # The node's resolver: the cluster's would be itself.
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 5,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": _NAME}}],
    }
