"""Doubles of what a pipeline talks to: our own tests' parts, shipped for yours.

None needs a daemon, a network or another program. A whole pipeline is tested in an environment
whose outside is in memory::

    from aksci.testing import open_environment

    def test_what_was_built_is_what_is_deployed():
        with open_environment("path/of/the/project") as env:
            release(env)
            assert env.world.builder.built == ["base", "web"]

Each name is looked up when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aksci.testing.clock import Clock
    from aksci.testing.memory_bases import MemoryBases
    from aksci.testing.memory_builder import MemoryBuilder
    from aksci.testing.memory_cluster import MemoryCluster
    from aksci.testing.memory_environment import MemoryEnvironment, open_environment
    from aksci.testing.memory_image_runner import MemoryImageRunner
    from aksci.testing.memory_registry import MemoryRegistry
    from aksci.testing.memory_scanner import CannedFinding, MemoryScanner
    from aksci.testing.memory_signer import MemorySigner
    from aksci.testing.memory_target import MemoryTarget
    from aksci.testing.memory_world import MemoryWorld
    from aksci.testing.no_programs import NoPrograms
    from aksci.testing.registry_server import serve
    from aksci.testing.reporter import RecordingReporter
    from aksci.testing.sample_images import push_sample, push_sample_index

__all__ = [
    "CannedFinding",
    "Clock",
    "MemoryBases",
    "MemoryBuilder",
    "MemoryCluster",
    "MemoryEnvironment",
    "MemoryImageRunner",
    "MemoryRegistry",
    "MemoryScanner",
    "MemorySigner",
    "MemoryTarget",
    "MemoryWorld",
    "NoPrograms",
    "RecordingReporter",
    "open_environment",
    "push_sample",
    "push_sample_index",
    "serve",
]

_HOMES = {
    "CannedFinding": "memory_scanner",
    "Clock": "clock",
    "MemoryBases": "memory_bases",
    "MemoryBuilder": "memory_builder",
    "MemoryCluster": "memory_cluster",
    "MemoryEnvironment": "memory_environment",
    "MemoryImageRunner": "memory_image_runner",
    "MemoryRegistry": "memory_registry",
    "MemoryScanner": "memory_scanner",
    "MemorySigner": "memory_signer",
    "MemoryTarget": "memory_target",
    "MemoryWorld": "memory_world",
    "NoPrograms": "no_programs",
    "RecordingReporter": "reporter",
    "open_environment": "memory_environment",
    "push_sample": "sample_images",
    "push_sample_index": "sample_images",
    "serve": "registry_server",
}
"""Public name -> the module that defines it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found  # so that it is looked up once
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
