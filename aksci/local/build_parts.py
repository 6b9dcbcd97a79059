"""The registry and buildkitd, declared as parts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aksci.local.part import Part, answers, listens

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.local.layout import Layout, Ports

__all__ = ["buildkitd_part", "registry_part"]

_CACHE_LIMIT = "20GB"  # of build cache, before the oldest of it goes
_KEEP_FREE = "5GB"  # of disk


def registry_part(layout: Layout, ports: Ports, binary: Path) -> Part:
    """Declare the registry (distribution 3): plain HTTP on loopback, deletes allowed."""
    config = layout.config / "registry.json"
    settings = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(layout.data / "registry")},
            # The registry refuses deletes unless told (its default).
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": "inmemory"},
        },
        "http": {
            "addr": f"127.0.0.1:{ports.registry}",
            # Clients reach it under several names (localhost, 127.0.0.1): only relative locations
            # fit all.
            "relativeurls": True,
            # Only ties uploads to this registry; without one it would warn, and invent one at each
            # start.
            "secret": "aksci-local",
        },
    }
    return Part(
        name="registry",
        argv=(str(binary), "serve", str(config)),
        files={config: json.dumps(settings, indent=2)},
        folders=(layout.data / "registry",),
        listens=(("127.0.0.1", ports.registry),),
        healthy=lambda: answers(f"http://127.0.0.1:{ports.registry}/v2/"),
        address=f"http://localhost:{ports.registry}",
    )


def buildkitd_part(layout: Layout, ports: Ports, binary: Path) -> Part:
    """Declare buildkitd: OCI worker, host networking, our registry as docker.io's mirror."""
    config = layout.config / "buildkitd.toml"
    mirror = json.dumps(f"localhost:{ports.registry}")
    settings = f"""\
root = {_text(layout.data / "buildkit")}

[grpc]
address = [{_text(f"unix://{layout.buildkit_socket}")}]

[worker.oci]
enabled = true
# apt, pip and go in builds reach what the host reaches, with the host's resolver.
networkMode = "host"
binary = "runc"
defaultCgroupParent = {_text(f"{layout.cgroup}/buildkit")}
gc = true

[[worker.oci.gcpolicy]]
all = true
maxUsedSpace = "{_CACHE_LIMIT}"
minFreeSpace = "{_KEEP_FREE}"

[worker.containerd]
enabled = false

[registry."docker.io"]
mirrors = [{mirror}]

[registry.{mirror}]
http = true
"""
    return Part(
        name="buildkitd",
        argv=(str(binary), "--config", str(config)),
        files={config: settings},
        folders=(layout.data / "buildkit",),
        # It opens its socket last, when its workers are there.
        healthy=lambda: listens(layout.buildkit_socket),
        address=f"unix://{layout.buildkit_socket}",
    )


def _text(value: object) -> str:
    """Quote a TOML basic string: JSON's escapes are a subset of TOML 1.0's."""
    return json.dumps(str(value))
