"""The one model of manifests: what is read of them, and what is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry
from aksci.core.strict_json import parse_json
from aksci.oci.artifact import Content, find_artifacts, push_artifact, read_artifact
from aksci.oci.manifest import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    parse_configuration,
    parse_descriptor,
)
from aksci.oci.references import ImageRef, is_digest
from aksci.oci.registry import read_child, read_configuration
from aksci.supply.scan.base_layers import platforms_of

DIGEST = "sha256:" + "5" * 64
NOWHERE = {"os": "unknown", "architecture": "unknown"}
HERE = {"os": "linux", "architecture": "amd64"}
MARK = {"vnd.docker.reference.type": "attestation-manifest"}
TYPE = "application/vnd.example.v1+json"


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def manifest(document):
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Manifest(media_type="x", digest=digest_of(content), content=content)


class Shelf:
    """A registry in memory."""

    host = "r.example"

    def __init__(self):
        self.contents, self.types, self.found = {}, {}, []

    def manifest(self, repository, reference):
        content = self.blob(repository, reference)
        return Manifest(media_type="x", digest=reference, content=content)

    def blob(self, _repository, digest):
        if digest not in self.contents:
            raise NotFoundInRegistry(digest)
        return self.contents[digest]

    def put_blob(self, _repository, content):
        self.contents[digest_of(content)] = content
        return digest_of(content)

    def put_manifest(self, repository, content, _media_type, *, tag=None):
        digest = self.put_blob(repository, content)
        self.contents[tag] = content
        self.found.append({"digest": digest, **json.loads(content)})
        return digest

    def referrers(self, _repository, digest):
        return [one for one in self.found if one.get("subject", {}).get("digest") == digest]


@pytest.fixture
def shelf():
    registry = Shelf()
    digest = registry.put_manifest("shop/web", b"{}", "x")
    registry.ref = ImageRef(registry.host, "shop/web", digest)
    return registry


def put(shelf, content=b'{"a":1}', *, created="", **more):
    notes = {"org.opencontainers.image.created": created}
    layers = [Content(media_type=TYPE, content=content)]
    return push_artifact(
        shelf, "shop/web", artifact_type=TYPE, layers=layers, annotations=notes, **more
    )


@pytest.mark.parametrize(
    ("platform", "annotations", "attestation"),
    [
        (NOWHERE, MARK, True),
        (HERE, MARK, False),
        (None, MARK, False),
        (NOWHERE | {"architecture": "amd64"}, MARK, False),
        (NOWHERE, {}, False),
        (NOWHERE, {"vnd.docker.reference.type": "other"}, False),
    ],
)
def test_an_attestation_has_both_marks_and_all_else_is_an_image(platform, annotations, attestation):
    """BuildKit, "Image Attestation Storage". Who may push writes annotations as he likes."""
    entry = {"digest": DIGEST, "platform": platform, "annotations": annotations}
    assert parse_descriptor(entry).is_attestation is attestation
    index = manifest({"manifests": [entry]})
    assert len(index.images) == (not attestation)
    assert len(platforms_of(index)) == len(index.images), "what is validated is scanned"


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b"[" * 100_000, b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":-Infinity}'],
)
def test_a_document_that_is_no_object_or_can_be_read_in_two_ways_is_damaged(content):
    with pytest.raises(DamagedInRegistry, match=digest_of(content)):
        _ = manifest(content).annotations


@pytest.mark.parametrize(
    "document",
    [
        {"manifests": 5},
        {"manifests": [5]},
        {"manifests": [{}]},
        {"manifests": [{"digest": 5}]},
        {"manifests": [{"digest": DIGEST, "platform": 1}]},
    ],
)
def test_a_damaged_index_lists_nothing_and_is_no_empty_one(document):
    with pytest.raises(DamagedInRegistry, match="is damaged"):
        _ = manifest(document).images


def test_what_is_optional_may_be_left_out_or_null():
    """BuildKit writes null where there is no layer, as Go does of every empty list."""
    assert parse_descriptor({"digest": DIGEST, "size": None, "urls": None}) == Descriptor(
        digest=DIGEST
    )
    found = manifest({"annotations": {"a": "x"}, "layers": None, "subject": None})
    assert (found.annotations, found.layers, found.config, found.subject) == (
        {"a": "x"},
        (),
        None,
        "",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "sha512:" + "a" * 128},
        {"digest": "sha256:" + "A" * 64},
        {"digest": "sha256:" + "a" * 63},
        {"digest": "sha256:" + "a" * 65},
        {"digest": "sha256:" + "a" * 64 + "\n"},
        {"digest": "latest"},
        {"digest": ["x"]},
        {"digest": None},
        {"size": -1},
        {"size": 1.0},
        {"size": True},
        {"size": "3"},
        {"size": 1 << 63},
        {"size": 10**400},
        {"mediaType": []},
        {"mediaType": 5},
        {"artifactType": ["x"]},
        {"artifactType": 0},
        {"annotations": ["x"]},
        {"annotations": {"a": 1}},
        {"annotations": {"a": None}},
        {"platform": []},
        {"platform": {"os": 5}},
        {"platform": {"OS": "linux"}},
        {"urls": "http://r.example"},
        {"urls": [5]},
        {"data": {}},
        {"Digest": DIGEST},
        {"MEDIATYPE": "x"},
    ],
)
@pytest.mark.parametrize("place", ["config", "layers", "manifests", "subject"])
def test_a_descriptor_of_another_shape_damages_its_document(change, place):
    """Docker and containerd refuse it, or read it in another way than we would."""
    descriptor = {"digest": DIGEST, "size": 3, **change}
    value = [descriptor] if place in {"layers", "manifests"} else descriptor
    found = manifest({"schemaVersion": 2, place: value})
    for look in LOOKS:
        with pytest.raises(DamagedInRegistry, match=found.digest):
            look(found)


LOOKS = [
    lambda found: found.is_index,
    lambda found: found.is_image,
    lambda found: found.entries,
    lambda found: found.images,
    lambda found: found.layers,
    lambda found: found.config,
    lambda found: found.subject,
    lambda found: found.artifact_type,
    lambda found: found.annotations,
    lambda found: found.document,
]
IMAGE = {
    "config": {"mediaType": OCI_CONFIG, "digest": DIGEST, "size": 3},
    "layers": [{"mediaType": OCI_LAYER_GZIP, "digest": DIGEST, "size": 3}],
}
LIST = {"manifests": [{"mediaType": OCI_MANIFEST, "digest": DIGEST, "size": 3}]}
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.mark.parametrize(
    ("document", "told", "why"),
    [
        # CVE-2021-41190: what is scanned would not be what runs.
        (IMAGE | LIST, OCI_MANIFEST, "at once"),
        (IMAGE | LIST, OCI_INDEX, "at once"),
        (IMAGE | LIST | {"mediaType": OCI_MANIFEST}, "", "at once"),
        (IMAGE | LIST | {"mediaType": OCI_INDEX}, "", "at once"),
        (IMAGE | LIST, "", "at once"),
        (LIST | {"layers": None}, OCI_INDEX, "at once"),
        (IMAGE | {"manifests": None}, OCI_MANIFEST, "at once"),
        (LIST | {"config": None}, OCI_INDEX, "at once"),
        (LIST | {"blobs": []}, OCI_INDEX, "at once"),
        (LIST | {"fsLayers": []}, OCI_INDEX, "at once"),
        (LIST, OCI_MANIFEST, "at once"),
        (IMAGE, OCI_INDEX, "at once"),
        (LIST | {"mediaType": DOCKER_LIST}, DOCKER, "the registry says"),
        (IMAGE | {"mediaType": OCI_MANIFEST}, OCI_INDEX, "the registry says"),
        (IMAGE | {"mediaType": OCI_MANIFEST}, DOCKER, "the registry says"),
        (IMAGE | {"mediaType": "text/html"}, OCI_MANIFEST, "the registry says"),
        (IMAGE | {"mediaType": [OCI_MANIFEST]}, OCI_MANIFEST, "mediaType is no text"),
        (IMAGE | {"Manifests": LIST["manifests"]}, OCI_MANIFEST, "in two ways"),
        (LIST | {"Layers": IMAGE["layers"]}, OCI_INDEX, "in two ways"),
        (IMAGE | {"ARTIFACTTYPE": "x"}, OCI_MANIFEST, "in two ways"),
        (IMAGE | {"artifactType": ["x"]}, OCI_MANIFEST, "artifactType is no text"),
        (IMAGE | {"artifactType": 5}, OCI_MANIFEST, "artifactType is no text"),
        (IMAGE | {"annotations": {"a": 5}}, OCI_MANIFEST, "annotations are no texts"),
        ({"schemaVersion": 1, "fsLayers": []}, OCI_MANIFEST, "its schema is 1"),
        ({"schemaVersion": 2.0} | IMAGE, OCI_MANIFEST, "its schema is 2.0"),
        ({"schemaVersion": "2"} | IMAGE, OCI_MANIFEST, "its schema is 2"),
        ({"schemaVersion": True} | IMAGE, OCI_MANIFEST, "its schema is True"),
        (IMAGE | {"config": {**IMAGE["config"], "mediaType": OCI_MANIFEST}}, "", "is a manifest"),
        (IMAGE | {"config": {**IMAGE["config"], "mediaType": OCI_INDEX}}, "", "is a manifest"),
        (IMAGE | {"layers": 5}, OCI_MANIFEST, "layers is no list"),
    ],
)
def test_what_can_be_read_in_two_ways_is_damaged_however_it_is_looked_at(document, told, why):
    content = json.dumps({"schemaVersion": 2} | document).encode()
    found = Manifest(media_type=told, digest=digest_of(content), content=content)
    for look in LOOKS:
        with pytest.raises(DamagedInRegistry, match=why):
            look(found)


@pytest.mark.parametrize("told", [OCI_MANIFEST, "", "application/json"])
def test_what_buildkit_writes_is_read_whatever_a_plain_server_calls_it(told):
    index = "" if told == "" else OCI_INDEX if told == OCI_MANIFEST else told
    for document, media_type in (
        (IMAGE, told),
        (IMAGE | {"mediaType": OCI_MANIFEST}, told),
        (LIST, index),
        (LIST | {"mediaType": OCI_INDEX}, index),
    ):
        content = json.dumps({"schemaVersion": 2} | document).encode()
        found = Manifest(media_type=media_type, digest=digest_of(content), content=content)
        assert found.is_index is ("manifests" in document)
        assert found.is_image is ("layers" in document)


def test_no_image_is_for_hundreds_of_platforms():
    """Each one of them would be asked for."""
    entries = [{"digest": DIGEST, "platform": HERE}] * 256
    assert len(manifest({"manifests": entries}).images) == 256
    crowded = manifest({"manifests": [*entries, {"digest": DIGEST}]})
    assert len(crowded.entries) == 257, "a list of referrers is an index, too"
    with pytest.raises(DamagedInRegistry, match="it lists 257 images"):
        _ = crowded.images


def test_a_configuration_that_is_a_manifest_too_is_none(shelf):
    """A container runtime reports images by their configurations' digests."""
    both = {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": []}} | IMAGE
    for content in (both, {**both, "schemaVersion": 2}, LIST, {"subject": {}}):
        digest = shelf.put_blob("shop/web", json.dumps(content).encode())
        image = manifest({"config": {"mediaType": OCI_CONFIG, "digest": digest}})
        with pytest.raises(DamagedInRegistry, match="it is a manifest, too"):
            read_configuration(shelf, "shop/web", image)


# Fuzzed: any JSON, and any JSON in the places of a document that is good otherwise

_TEXT = st.sampled_from(
    [OCI_MANIFEST, OCI_INDEX, OCI_CONFIG, DOCKER, DIGEST, "sha512:" + "a" * 128, "x", "", "\ud800"]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted({*IMAGE, *LIST, "digest", "size", "x"})), inner)
    ),
    max_leaves=8,
)
_DESCRIPTOR = st.fixed_dictionaries(
    {"digest": st.just(DIGEST) | _JSON},
    optional={
        "mediaType": _TEXT | _JSON,
        "size": st.integers(0, 9) | _JSON,
        "artifactType": _TEXT | _JSON,
        "annotations": st.dictionaries(_TEXT, _TEXT | _JSON) | _JSON,
        "platform": st.fixed_dictionaries({}, optional={"os": _TEXT, "variant": _JSON}) | _JSON,
        "urls": st.lists(_TEXT, max_size=2) | _JSON,
        "data": _JSON,
    },
)
_DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "schemaVersion": st.just(2) | _JSON,
        "mediaType": _TEXT | _JSON,
        "artifactType": _TEXT | _JSON,
        "config": _DESCRIPTOR | _JSON,
        "layers": st.lists(_DESCRIPTOR, max_size=2) | _JSON,
        "manifests": st.lists(_DESCRIPTOR, max_size=2) | _JSON,
        "subject": _DESCRIPTOR | _JSON,
        "annotations": st.dictionaries(_TEXT, _TEXT | _JSON) | _JSON,
        "Layers": _JSON,
    },
)


@given(document=_DOCUMENT | _JSON, told=_TEXT)
def test_any_json_is_damaged_or_means_one_thing(document, told):
    """Written anew by another program, in another order, it still says the same."""
    content = json.dumps(document).encode()
    found = Manifest(media_type=told, digest=digest_of(content), content=content)
    anew = json.dumps(document, sort_keys=True, indent=1).encode()
    again = Manifest(media_type=told, digest=digest_of(anew), content=anew)
    try:
        seen = [look(found) for look in LOOKS]
    except DamagedInRegistry:
        for look in LOOKS:
            with pytest.raises(DamagedInRegistry):
                look(again)
        return
    assert seen == [look(again) for look in LOOKS]
    assert not (found.is_index and (found.layers or found.config)), "one thing or the other"
    assert not (found.is_index and found.is_image)
    named = [*found.entries, *found.layers, *filter(None, [found.config])]
    assert all(is_digest(one.digest) for one in named)
    assert all(type(one.size) is int or one.size is None for one in named)
    assert isinstance(found.artifact_type, str)
    assert all(isinstance(text, str) for text in found.annotations.values())


@given(content=st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_damaged_or_a_document(content):
    for look in LOOKS:
        with contextlib.suppress(DamagedInRegistry):
            look(Manifest(media_type="", digest=digest_of(content), content=content))
    with contextlib.suppress(DamagedInRegistry):
        parse_configuration(manifest(IMAGE), content)


def test_keys_that_differ_in_case_are_refused_where_another_program_must_read_the_same():
    assert parse_json(b'{"a":1,"A":2}') == {"a": 1, "A": 2}
    for content in (b'{"a":1,"A":2}', b'{"a":"\\ud800"}'):
        with pytest.raises(ValueError):  # noqa: PT011 - the type is all that is promised
            parse_json(content, exact=True)


@pytest.mark.parametrize("name", ["latest", "../manifests/latest", "sha256:abc", ""])
def test_an_index_can_not_lead_to_a_tag(shelf, name):
    """A tag moves: what was looked at would not be what runs."""
    shelf.contents[name] = b"{}"
    with pytest.raises(DamagedInRegistry, match="is no digest"):
        read_child(shelf, "shop/web", Descriptor(digest=name))


@pytest.mark.parametrize(
    "content", [b"[]", b"{", b'{"rootfs":{}}', b'{"rootfs":{"diff_ids":"x"}}', b'{"rootfs":5}']
)
def test_a_damaged_configuration_tells_no_layers(shelf, content):
    image = manifest({"config": {"digest": shelf.put_blob("shop/web", content)}})
    with pytest.raises(DamagedInRegistry):
        _ = read_configuration(shelf, "shop/web", image).diff_ids


def test_an_artifact_is_found_the_newest_first_and_read(shelf):
    old = put(shelf, b'{"a":1}', created="2026-11-23T12:00:00Z", subject=shelf.ref)
    new = put(shelf, b'{"a":2}', created="2026-11-23T13:00:00Z", subject=shelf.ref)
    shelf.found.append({"digest": "latest", "artifactType": TYPE, "subject": vars(shelf.ref)})
    listed = [entry.digest for entry in find_artifacts(shelf, shelf.ref, TYPE)]
    assert listed == [new.digest, old.digest]
    found = read_artifact(
        shelf, "shop/web", new.digest, artifact_type=TYPE, subject=shelf.ref.digest
    )
    assert (found.ref, found.read_json()) == (new, {"a": 2})
    assert find_artifacts(shelf, shelf.ref, "text/plain") == ()


def test_an_artifact_of_another_type_or_about_something_else_is_none(shelf):
    stored = put(shelf, subject=shelf.ref).digest
    with pytest.raises(DamagedInRegistry, match="it is no text/plain"):
        read_artifact(shelf, "shop/web", stored, artifact_type="text/plain")
    with pytest.raises(DamagedInRegistry, match="about something else"):
        read_artifact(shelf, "shop/web", stored, artifact_type=TYPE, subject=DIGEST)
    with pytest.raises(NotFoundInRegistry):
        read_artifact(shelf, "shop/web", DIGEST, artifact_type=TYPE)


def test_the_content_of_an_artifact_is_checked_and_bounded(shelf):
    stored = put(shelf, b'{"a":1}')
    found = read_artifact(shelf, "shop/web", stored.digest, artifact_type=TYPE)
    with pytest.raises(DamagedInRegistry, match="more than 3 bytes"):
        found.read(largest=3)
    with pytest.raises(DamagedInRegistry, match="more than 3 bytes"):  # whatever it promises
        found.read(Descriptor(digest=found.layer().digest, size=1), largest=3)
    shelf.contents[found.layer().digest] = b'{"a":2}'
    with pytest.raises(DamagedInRegistry, match="its content is not sha256:"):
        found.read()
    shelf.contents[stored.digest] = b"{}"
    with pytest.raises(DamagedInRegistry, match="its content is not sha256:"):
        read_artifact(shelf, "shop/web", stored.digest, artifact_type=TYPE)


def test_an_artifact_without_the_layer_or_with_one_that_is_no_json_is_damaged(shelf):
    stored = put(shelf, b"{")
    found = read_artifact(shelf, "shop/web", stored.digest, artifact_type=TYPE)
    with pytest.raises(DamagedInRegistry, match="no JSON"):
        found.read_json()
    with pytest.raises(DamagedInRegistry, match="no layer text/plain"):
        found.layer("text/plain")
