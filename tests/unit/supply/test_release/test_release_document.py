"""A release's document: what its schema says, read back exactly, and nothing else is read."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aksci.core.errors import ConfigError
from aksci.oci.artifact import canonical_json
from aksci.oci.references import ImageRef
from aksci.supply.release.make_release import RELEASE_TYPE, NoReleaseError, load_release
from aksci.supply.release.release import (
    Migration,
    Release,
    ReleaseBase,
    ReleaseImage,
    ReleaseService,
)
from aksci.supply.release.release_document import parse_release, release_document
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import MANIFEST

REF = ImageRef("localhost:5000", "shop/release", "sha256:" + "0" * 64)


def digest(char):
    return "sha256:" + char * 64


def ref(name, char="1"):
    return ImageRef("localhost:5000", f"shop/{name}", digest(char))


def sample():
    image = ReleaseImage(
        name="catalog",
        ref=ref("catalog"),
        input_key="key",
        verdict=digest("2"),
        policy=digest("3"),
        database="public@2026-11-23T00:00:00Z",
        bases=(
            ReleaseBase(name="base", digest=digest("4"), type="runtime", internal=True),
            ReleaseBase(
                name="docker.io/library/golang:1.26",
                digest=digest("5"),
                type="stage",
                internal=False,
            ),
        ),
    )
    service = ReleaseService(
        name="catalog",
        chart=ref("charts/catalog", "6"),
        chart_name="catalog",
        chart_version="1.0.0",
        images={"image": "catalog"},
        migrations=(
            Migration(version="0001", digest=digest("7")),
            Migration(version="0002", digest=digest("8")),
        ),
    )
    return Release(
        ref=REF,
        project="shop",
        source="https://example.com/shop",
        commit="c" * 40,
        images={"catalog": image},
        services={"catalog": service},
    )


def document(release=None):
    release = release or sample()
    return release_document(
        project=release.project,
        source=release.source,
        commit=release.commit,
        images=release.images,
        services=release.services,
    )


def test_a_release_is_read_back_as_it_was_written(schema):
    stored = json.loads(canonical_json(document()))
    Draft202012Validator(schema("release")).validate(stored)
    assert parse_release(stored, REF) == sample()
    assert sample().services["catalog"].schema_range == ("0001", "0002")


def test_a_release_names_no_registry_no_time_and_no_run():
    text = canonical_json(document()).decode()
    assert "localhost:5000" not in text
    assert set(document()) == {"schema", "project", "source", "commit", "images", "services"}
    elsewhere = replace(sample(), ref=replace(REF, registry="other.example"))
    assert document(elsewhere) == document()
    assert (
        parse_release(document(), replace(REF, registry="other.example"))
        .images["catalog"]
        .ref.registry
        == "other.example"
    )


def test_a_release_found_in_another_projects_place_is_refused():
    with pytest.raises(ValueError, match="a release of 'shop'"):
        parse_release(document(), replace(REF, repository="other/release"))


def paths(value, way=()):
    """Every place in a document."""
    yield way
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            yield from paths(entry, (*way, key))


def put(value, way, change):
    """Change one place of a copy."""
    if not way:
        return change
    changed = copy.deepcopy(value)
    inner = changed
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = change
    return changed


JUNK = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([1]))


@given(st.sampled_from(sorted(paths(document()), key=str)), JUNK)
def test_a_document_that_was_tampered_with_is_refused_or_still_means_what_it_says(way, junk):
    changed = put(document(), way, junk)
    try:
        read = parse_release(changed, REF)
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError):
        return
    assert canonical_json(document(read)) == canonical_json(changed)


@pytest.mark.parametrize(
    "way", [way for way in paths(document()) if way and isinstance(way[-1], str)]
)
def test_a_key_more_or_less_is_refused(way, schema):
    inner = copy.deepcopy(document())
    place = inner
    for key in way[:-1]:
        place = place[key]
    if way[-1] in {"catalog", "image"} and way[0] in {"images", "services"} and len(way) < 5:
        return  # names that a project chose: there may be any
    value = place.pop(way[-1])
    with pytest.raises((ValueError, KeyError)):
        parse_release(inner, REF)
    assert not Draft202012Validator(schema("release")).is_valid(inner)
    place[way[-1]] = value
    place["more"] = value
    with pytest.raises((ValueError, KeyError, TypeError)):
        parse_release(inner, REF)


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31m", "a\u2028b", "\x00"])
def test_a_text_with_control_characters_is_refused(text):
    with pytest.raises(ValueError, match="is no plain text"):
        parse_release(put(document(), ("commit",), text), REF)


@pytest.mark.parametrize("name", ["a/../../x", "..", "/etc", "a/b/..", "A"])
@pytest.mark.parametrize("kind", ["images", "services"])
def test_a_release_with_names_that_are_paths_is_not_read(kind, name):
    changed = document()
    if kind == "images":
        changed["services"] = {}
    changed[kind] = {name: changed[kind]["catalog"]}
    with pytest.raises(ValueError, match="can't be the name of"):
        parse_release(changed, REF)


def stored(registry, text, *more):
    layers = [{"digest": registry.put_blob(REF.repository, each)} for each in (text, *more)]
    outer = canonical_json({"artifactType": RELEASE_TYPE, "layers": layers})
    return replace(REF, digest=registry.put_manifest(REF.repository, outer, MANIFEST))


def test_a_release_that_two_readers_could_read_differently_is_refused():
    text, registry = canonical_json(document()), MemoryRegistry(REF.registry)
    assert load_release(registry, stored(registry, text)).project == "shop"
    twice = text.replace(b'"schema":2', b'"schema":2,"project":"shop"')
    other = text.replace(b'"images":{', b'"images":{"catalog":{},', 1)
    for damaged in (twice, other, text + b" ", b"\xef\xbb\xbf" + text):
        with pytest.raises(NoReleaseError):
            load_release(registry, stored(registry, damaged))
    with pytest.raises(NoReleaseError):
        load_release(registry, stored(registry, text, b"{}"))
