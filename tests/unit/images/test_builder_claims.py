"""What a builder says that it pushed counts only where the registry has it."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from aksci.ci.console import ConsoleReporter
from aksci.core.errors import BuildError
from aksci.images.build.build_images import BuildSettings, build_images
from aksci.images.engines.builder import BuildOutput
from aksci.testing.memory_registry import MemoryRegistry

NOWHERE = "sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("digest", "told"),
    [
        (NOWHERE, f"app: its builder says that it pushed r:1/shop/app@{NOWHERE}: it is not there"),
        ("latest", "app: its builder says that it pushed 'latest', no digest"),
    ],
)
def test_what_was_not_pushed_was_not_built(project, digest, told):
    class Claims:
        def build(self, *_):
            return BuildOutput(digest=digest, provenance=None)

    registry = MemoryRegistry("r:1")
    made = build_images(
        project({"app/Dockerfile": "FROM scratch\nCOPY x /\n", "app/x": "1"}),
        registry=registry,
        builder=Claims(),
        bases=project.outside(lambda _: NOWHERE),
        settings=BuildSettings(),
        reporter=ConsoleReporter(io.StringIO()),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    with pytest.raises(BuildError) as caught:
        made.require()
    assert told in str(caught.value)
    assert registry.store.tagged() == {}
