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

from typing import TYPE_CHECKING

from aksci.core.lazy_names import lazy_names

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
    "CannedFinding": "aksci.testing.memory_scanner",
    "Clock": "aksci.testing.clock",
    "MemoryBases": "aksci.testing.memory_bases",
    "MemoryBuilder": "aksci.testing.memory_builder",
    "MemoryCluster": "aksci.testing.memory_cluster",
    "MemoryEnvironment": "aksci.testing.memory_environment",
    "MemoryImageRunner": "aksci.testing.memory_image_runner",
    "MemoryRegistry": "aksci.testing.memory_registry",
    "MemoryScanner": "aksci.testing.memory_scanner",
    "MemorySigner": "aksci.testing.memory_signer",
    "MemoryTarget": "aksci.testing.memory_target",
    "MemoryWorld": "aksci.testing.memory_world",
    "NoPrograms": "aksci.testing.no_programs",
    "RecordingReporter": "aksci.testing.reporter",
    "open_environment": "aksci.testing.memory_environment",
    "push_sample": "aksci.testing.sample_images",
    "push_sample_index": "aksci.testing.sample_images",
    "serve": "aksci.testing.registry_server",
}
"""Public name -> the module that defines it."""

if not TYPE_CHECKING:  # else a type checker would accept any name
    __getattr__ = lazy_names(globals(), _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
