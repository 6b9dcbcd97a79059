"""A cluster in memory, with a clock that goes: a lease is given back by its own time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aksci.deploy.kubernetes.cluster import open_cluster
from aksci.testing.memory_cluster import MemoryCluster


@pytest.fixture
def api():
    return MemoryCluster(now=lambda: datetime.now(UTC))


@pytest.fixture
def cluster(api):
    http = api.client()
    with open_cluster(
        http, address="http://cluster.test", namespace="shop", hint="", context_name="here"
    ) as cluster:
        yield cluster
