"""The embedded local platform: BuildKit, a registry and a single-node Kubernetes, as processes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aksci.local.layout import PlatformEndpoints, Ports, endpoints

if TYPE_CHECKING:
    from aksci.local.engine import docker_engine, has_containerd_store
    from aksci.local.part import listens
    from aksci.local.platform import (
        ALL_PARTS,
        BUILD_PARTS,
        TRUST_PARTS,
        PartStatus,
        PlatformStatus,
        down,
        status,
        up,
    )

__all__ = [
    "ALL_PARTS",
    "BUILD_PARTS",
    "TRUST_PARTS",
    "PartStatus",
    "PlatformEndpoints",
    "PlatformStatus",
    "Ports",
    "docker_engine",
    "down",
    "endpoints",
    "has_containerd_store",
    "listens",
    "status",
    "up",
]


_ELSEWHERE = {"docker_engine": "engine", "has_containerd_store": "engine", "listens": "part"}


def __getattr__(name: str) -> Any:
    """Import what starts, stops and examines the platform when it is first asked for (PEP 562).

    Most sessions only want to know where the platform is.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _ELSEWHERE.get(name, "platform")
    return getattr(import_module(f"{__name__}.{module}"), name)
