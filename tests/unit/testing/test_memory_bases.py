"""Base images come from registries in memory, as the code that asks for them expects."""

from __future__ import annotations

import pytest

from aksci.images.bases import BaseImageError, RegistryBases
from aksci.testing.memory_bases import MemoryBases


@pytest.fixture
def bases():
    return MemoryBases()


@pytest.fixture
def resolver(bases):
    return RegistryBases(mirror=None, connect=bases.connect)


def test_a_name_means_the_same_in_every_test(bases):
    assert bases.digest("python:3.13-slim") == MemoryBases().digest("python:3.13-slim")
    names = ("python:3.13-slim", "python:3.13", "mcr.example/python:3.13")
    assert len({bases.digest(name) for name in names}) == 3


def test_the_same_is_told_to_who_asks_the_registries(bases, resolver):
    assert resolver.digest("docker.io/library/debian:bookworm") == bases.digest("debian:bookworm")
    assert resolver.digest("mcr.example/dotnet/sdk:9.0") == bases.digest(
        "mcr.example/dotnet/sdk:9.0"
    )
    digest = bases.digest("debian:bookworm")
    reference = "docker.io/library/debian:bookworm"
    assert resolver.onbuild(reference, digest, ["linux/amd64"]) == ()


def test_a_tag_moves_and_what_it_meant_stays(bases):
    before = bases.digest("debian:bookworm")
    after = bases.move("debian:bookworm")
    assert bases.digest("debian:bookworm") == after != before
    hub = bases.connect("docker.io")
    assert hub.manifest("library/debian", before).digest == before


def test_a_base_that_was_moved_before_it_was_asked_for_has_moved(bases):
    assert bases.move("debian:bookworm") != MemoryBases().digest("debian:bookworm")


def test_what_was_removed_is_not_there_until_it_moves(bases, resolver):
    bases.remove("debian:bookworm")
    with pytest.raises(BaseImageError, match="does not exist"):
        resolver.digest("docker.io/library/debian:bookworm")
    bases.move("debian:bookworm")
    assert resolver.digest("docker.io/library/debian:bookworm")


def test_what_a_dockerfile_names_by_digest_is_there(resolver):
    digest = "sha256:" + "1" * 64
    reference = f"docker.io/library/debian:bookworm@{digest}"
    assert resolver.onbuild(reference, digest, ["linux/amd64"]) == ()
