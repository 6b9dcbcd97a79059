"""Releases among any number of others: a user with push access may store what they like."""

from __future__ import annotations

import pytest

from aksci.core.errors import RegistryError, UsageError
from aksci.supply.release import find_release as module
from aksci.supply.release.find_release import find_release, list_releases
from aksci.testing.memory_registry import MemoryRegistry

DIGEST = "sha256:abcd" + "1" * 60


@pytest.fixture
def registry():
    found = MemoryRegistry("r.example")
    found.move_tag("shop/release", f"r-{DIGEST[7:19]}", DIGEST)
    return found


def test_a_beginning_that_thousands_share_asks_for_more_digits_and_not_for_each(registry):
    for number in range(1000):
        registry.move_tag("shop/release", f"r-abcd{number:08x}", DIGEST)
    with pytest.raises(UsageError, match=r"may name 1,001 releases") as caught:
        find_release(registry, "shop", "abcd")
    assert caught.value.hint == "write more digits."
    assert registry.asked("resolve") == []
    assert find_release(registry, "shop", DIGEST[7:19]).digest == DIGEST


def test_tags_that_name_no_release_are_passed_over_without_a_question(registry):
    for number in range(10_000):
        registry.move_tag("shop/release", f"junk-{number}", DIGEST)
    assert find_release(registry, "shop", "abcd").digest == DIGEST
    assert len(registry.asked("resolve")) == 1


def test_more_releases_than_can_be_listed_are_an_error_that_says_what_to_do(registry, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 10)
    for number in range(10):
        registry.move_tag("shop/release", f"r-{number:012x}", DIGEST)
    with pytest.raises(RegistryError, match="has 11 releases; no more than 10") as caught:
        list_releases(registry, "shop", signer=None)
    assert "delete" in caught.value.hint
