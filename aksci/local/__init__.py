"""The embedded local platform: BuildKit, a registry and a single-node Kubernetes, as processes."""

from __future__ import annotations

from aksci.local.engine import docker_engine
from aksci.local.layout import PlatformEndpoints, Ports
from aksci.local.platform import (
    ALL_PARTS,
    BUILD_PARTS,
    PartStatus,
    PlatformStatus,
    down,
    endpoints,
    status,
    up,
)

__all__ = [
    "ALL_PARTS",
    "BUILD_PARTS",
    "PartStatus",
    "PlatformEndpoints",
    "PlatformStatus",
    "Ports",
    "docker_engine",
    "down",
    "endpoints",
    "status",
    "up",
]
