"""The external services of a pipeline, in memory: ``MemoryWorld``."""

from __future__ import annotations

import threading

from aksci.testing.clock import Clock
from aksci.testing.memory_bases import MemoryBases
from aksci.testing.memory_builder import MemoryBuilder
from aksci.testing.memory_cluster import MemoryCluster
from aksci.testing.memory_image_runner import MemoryImageRunner
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.memory_scanner import MemoryScanner
from aksci.testing.memory_signer import MemorySigner
from aksci.testing.memory_target import MemoryTarget

__all__ = ["MemoryWorld"]


class MemoryWorld:
    """Registries, an engine, a scanner, a signer and clusters, which know each other.

    An environment has one (``open_environment(…).world``). It outlives the environment, so that a
    second one may be opened over it, as a later job of a pipeline finds what an earlier one left.

    >>> world = MemoryWorld()
    >>> world.connect("staging.example") is world.connect("staging.example")
    True
    """

    def __init__(self) -> None:
        self.clock = Clock()
        """The clock of all of them; it stands still unless a test advances it."""
        self.bases = MemoryBases()
        """The registries outside of the project."""
        self.builder = MemoryBuilder(self.connect)
        self.image_runner = MemoryImageRunner()
        """Runs images to validate them."""
        self.scanner = MemoryScanner(self.connect, now=self.clock)
        self.signer = MemorySigner(self.connect, now=self.clock)
        self.hosts: set[str] = set()
        """The project's own registries; all others are ``bases``."""
        self._registries: dict[str, MemoryRegistry] = {}
        self._clusters: dict[str, MemoryCluster] = {}
        self._targets: dict[str, MemoryTarget] = {}
        self._lock = threading.RLock()

    def connect(self, host: str) -> MemoryRegistry:
        """Return the registry of a host, the same each time."""
        if host not in self.hosts:
            return self.bases.connect(host)
        with self._lock:
            if host not in self._registries:
                # As most registries do, and as ACR does: what is pushed must be whole.
                self._registries[host] = MemoryRegistry(host, complete=True)
            return self._registries[host]

    def cluster(self, environment: str = "local") -> MemoryCluster:
        """Return the cluster of an environment, the same each time."""
        with self._lock:
            if environment not in self._clusters:
                self._clusters[environment] = MemoryCluster(now=self.clock)
            return self._clusters[environment]

    def target(self, environment: str = "local") -> MemoryTarget:
        """Return the target of an environment, the same each time."""
        with self._lock:
            if environment not in self._targets:
                self._targets[environment] = MemoryTarget(memory=self.cluster(environment))
            return self._targets[environment]
