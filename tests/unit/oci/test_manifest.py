"""The one model of manifests: what is read of them, and what is refused."""

from __future__ import annotations

import hashlib
import json

import pytest

from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry
from aksci.core.strict_json import parse_json
from aksci.oci.artifact import Content, find_artifacts, push_artifact, read_artifact
from aksci.oci.manifest import Descriptor, Manifest, parse_descriptor
from aksci.oci.references import ImageRef
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
        (NOWHERE, ["x"], False),
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


def test_what_is_optional_and_damaged_counts_as_not_there():
    read = parse_descriptor({"digest": DIGEST, "size": -1, "annotations": 5, "mediaType": []})
    assert read == Descriptor(digest=DIGEST)
    found = manifest({"annotations": {"a": "x", "b": 5}, "layers": None})
    assert (found.annotations, found.layers, found.config, found.subject) == (
        {"a": "x"},
        (),
        None,
        "",
    )


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
