"""A registry on loopback that answers as a test tells it to."""

from __future__ import annotations

import pytest

from aksci.testing.registry_server import serve


@pytest.fixture
def server():
    with serve() as running:
        yield running
