"""Who was asked is remembered in the registry, and what others write there can do little."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from aksci.cascade.dependents.ask_memory import AskMemory, asked_lately, asking_key
from aksci.core.errors import ConfigError, RegistryError
from aksci.oci.client import RegistryClient

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MOVED = {"docker.io/library/debian:12": "sha256:" + "1" * 64}
KEY = asking_key("github:pay/api", MOVED)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TAG = f"asked-{KEY[:32]}"


@pytest.fixture
def asked(registry):
    return AskMemory(registry, "shop/cascade")


def test_what_one_runner_remembers_another_one_sees(server, asked):
    assert asked.when(KEY) is None
    asked.remember(KEY, now=NOW, detail={"target": "github:pay/api"})
    other = RegistryClient(server.host, plain_http=True)
    assert AskMemory(other, "shop/cascade").when(KEY) == NOW
    assert AskMemory(other, "pay/cascade").when(KEY) is None
    other.close()


def test_the_last_request_counts_in_whatever_zone_it_was_made(asked):
    asked.remember(KEY, now=NOW, detail={})
    later = (NOW + timedelta(hours=3)).astimezone(timezone(timedelta(hours=-8)))
    asked.remember(KEY, now=later, detail={})
    assert asked.when(KEY) == later


def test_the_detail_can_be_read_by_a_person(server, asked):
    asked.remember(KEY, now=NOW, detail={"target": "github:pay/api"})
    manifest = json.loads(server.registry.manifest("shop/cascade", TAG).content)
    document = json.loads(server.registry.blob("shop/cascade", manifest["layers"][0]["digest"]))
    assert document == {"schema": 1, "target": "github:pay/api"}


def test_another_target_or_another_change_is_another_request():
    assert asking_key("github:pay/api", dict(reversed(MOVED.items()))) == KEY
    assert asking_key("github:pay/other", MOVED) != KEY
    assert asking_key("github:pay/api", {**MOVED, "x": "y"}) != KEY
    assert asking_key("github:pay/api", dict.fromkeys(MOVED, "sha256:" + "2" * 64)) != KEY


@pytest.mark.parametrize(
    "document",
    [
        {
            "artifactType": "other",
            "annotations": {"org.opencontainers.image.created": "2026-11-24T12:00:00Z"},
        },
        {"artifactType": "application/vnd.aksci.asked.v1+json"},
        {"artifactType": "application/vnd.aksci.asked.v1+json", "annotations": []},
        *(
            {
                "artifactType": "application/vnd.aksci.asked.v1+json",
                "annotations": {"org.opencontainers.image.created": created},
            }
            for created in (5, None, "", "yesterday", "2026-13-01T00:00:00Z", [1])
        ),
    ],
)
def test_what_is_damaged_was_not_asked(registry, asked, document):
    content = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **document}).encode()
    registry.put_manifest("shop/cascade", content, MANIFEST, tag=TAG)
    assert asked.when(KEY) is None
    asked.remember(KEY, now=NOW, detail={})
    assert asked.when(KEY) == NOW


def test_a_registry_that_fails_is_an_error_and_not_never(server, asked):
    server.answers[f"GET /v2/shop/cascade/manifests/{TAG}"] = [(500, {}, b"")]
    with pytest.raises(RegistryError, match="500"):
        asked.when(KEY)


@pytest.mark.parametrize("key", ["", "../../x", "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_what_is_no_key_chooses_no_tag(asked, key):
    with pytest.raises(ConfigError, match="no key"):
        asked.when(key)


@pytest.mark.parametrize(
    ("hours", "expected"), [(0, True), (23.9, True), (24, False), (100, False), (-0.1, False)]
)
def test_a_request_counts_for_so_many_hours_and_never_from_the_future(hours, expected):
    moment = NOW - timedelta(hours=hours)
    assert asked_lately(moment, now=NOW, hours=24) is expected


def test_what_was_never_asked_was_not_asked_lately():
    assert not asked_lately(None, now=NOW, hours=24)
