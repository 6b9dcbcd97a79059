"""What the scanner is shown of an image, for any history that its author may write."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.errors import GateError
from aksci.oci.manifest import Manifest
from aksci.oci.references import ImageRef
from aksci.supply.scan.image_view import make_view, restore

OCI = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)
REF = ImageRef("localhost:5000", "shop/catalog", "sha256:" + "a" * 64)
SHOWN = ImageRef("127.0.0.1:4711", "shop/catalog", "sha256:" + "b" * 64)

LINES = st.one_of(
    st.text(),
    st.builds(
        str.__add__,
        st.sampled_from(
            ["CMD", " CMD", "  CMD", "/bin/sh -c #(nop)  CMD", "/bin/sh -c #(nop) CMD",
             "/bin/sh -c #(nop)   CMD", "RUN ", "mount / from exec ", "COPY a b # buildkit"]
        ),
        st.text(max_size=20),
    ),
)  # fmt: skip
ENTRIES = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "created_by": st.none() | LINES,
            "empty_layer": st.none() | st.booleans(),
            "comment": st.text(),
            "created": st.just("1970-01-01T00:00:00Z"),
        },
    ),
)


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def guess(history):
    """Where Trivy 0.72 thinks that the base ends; -1: nowhere."""
    below = False
    for place in range(len(history) - 1, -1, -1):
        entry = history[place] or {}
        empty = entry.get("empty_layer") is True
        below = below or not empty
        text = entry.get("created_by") or ""
        if below and empty and text.startswith(("CMD", "/bin/sh -c #(nop)  CMD")):
            return place
    return -1


def image(layers=2, media_types=(OCI, CONFIG, LAYER), **fields):
    """Manifest and configuration."""
    manifest_type, config_type, layer_type = media_types
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"User": "1000", "Env": ["A=é\ud800"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(b"d%d" % n) for n in range(layers)]},
        **fields,
    }
    content = json.dumps(config).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": {"mediaType": config_type, "digest": digest(content), "size": len(content)},
        "layers": [
            {"mediaType": layer_type, "digest": digest(b"l%d" % n), "size": n}
            for n in range(layers)
        ],
    }
    return document, content


def view_of(document, config, media_type=None):
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    media_type = media_type or document["mediaType"]
    found = Manifest(media_type=media_type, digest=digest(content), content=content)
    return make_view(found, config, REF)


@given(st.lists(ENTRIES, max_size=8), st.integers(0, 5))
def test_no_history_lets_the_scanner_guess_a_base(history, layers):
    document, config = image(layers, history=history)
    view = view_of(document, config)
    shown = json.loads(view.config)
    assert guess(shown["history"]) == -1
    assert len(shown["history"]) == len(history)


@given(st.lists(ENTRIES, max_size=8), st.integers(0, 5))
def test_everything_but_the_history_and_the_layers_names_stays(history, layers):
    document, config = image(layers, history=history)
    view = view_of(document, config)
    shown, real, manifest = json.loads(view.config), json.loads(config), json.loads(view.manifest)
    assert manifest["layers"] == document["layers"]
    assert manifest["config"]["digest"] == digest(view.config)
    assert manifest["config"]["size"] == len(view.config)
    assert shown["rootfs"]["diff_ids"] == [layer["digest"] for layer in document["layers"]]
    for before, after in zip(real["history"], shown["history"], strict=True):
        if before and before.get("created_by") is not None:
            texts = [str(entry.pop("created_by")) for entry in (before, after)]
            assert "".join(texts[0].split()) == "".join(texts[1].split())
        assert before == after
    for part in (shown, real):
        del part["rootfs"]["diff_ids"], part["history"]
    assert shown == real


def test_the_guess_finds_a_base_where_there_is_no_view():
    history = [{"created_by": "ADD x"}, {"created_by": "CMD x", "empty_layer": True}, {}]
    assert guess(history) == 1


def test_dockers_own_media_types_are_kept():
    document, config = image(media_types=DOCKER)
    view = view_of(document, config)
    manifest = json.loads(view.manifest)
    assert view.media_type == manifest["mediaType"] == DOCKER[0]
    assert manifest["config"]["mediaType"] == DOCKER[1]
    assert manifest["layers"] == document["layers"]


def test_a_history_cannot_silence_the_checks_of_it():
    line = "RUN /bin/sh -c sudo x # trivy:ignore:DS-0010 tfsec:ignore:* # buildkit"
    document, config = image(history=[{"created_by": line}])
    (entry,) = json.loads(view_of(document, config).config)["history"]
    assert "trivy:" not in entry["created_by"]
    assert "tfsec:" not in entry["created_by"]
    assert entry["created_by"].startswith("RUN /bin/sh -c sudo x #")


def test_addresses_and_contents_in_a_descriptor_are_not_shown():
    document, config = image()
    document["layers"][0] |= {"urls": ["http://elsewhere/"], "annotations": {"a": "b"}}
    document["config"] |= {"data": "e30="}
    view = view_of(document, config)
    assert b"elsewhere" not in view.manifest
    assert b"data" not in view.manifest


@pytest.mark.parametrize(
    "config",
    [
        b'{"rootfs": {"type": "layers", "diff_ids": []}, "History": []}',
        b'{"rootfs": {"type": "layers", "diff_ids": []}, "hi\xc5\xbftory": []}',
        b'{"rootfs": {"type": "layers", "diff_ids": []}, "history": [{"Created_By": "CMD"}]}',
        b'{"rootfs": {"type": "layers", "diff_ids": []}, "history": [], "history": []}',
        b'{"rootfs": {"type": "layers", "diff_ids": [], "Diff_IDs": []}}',
        b'{"rootfs": {"type": "layers", "diff_ids": ["sha256:x"]}}',
        b'{"rootfs": {"type": "layers"}}',
        b'{"rootfs": null}',
        b'{"history": 3, "rootfs": {"diff_ids": []}}',
        b"[]",
        b"",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_configuration_that_can_be_read_in_two_ways_or_in_none_does_not_pass(config):
    document, _ = image(layers=0)
    with pytest.raises(GateError, match="could not be scanned, so it does not pass"):
        view_of(document, config)


@pytest.mark.parametrize(
    "change",
    [
        {"Layers": []},
        {"manifests": []},
        {"mediaType": DOCKER[0]},
        {"layers": {}},
        {"layers": [{"mediaType": LAYER, "digest": "sha256:x", "size": 1}]},
        {"layers": [{"mediaType": LAYER, "digest": digest(b""), "size": -1}]},
        {"layers": [{"mediaType": LAYER, "digest": digest(b""), "size": True}]},
        {"config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"),
                    "size": 2}},
        {"config": {"mediaType": CONFIG, "digest": digest(b"{}"), "size": 1 << 40}},
    ],
)  # fmt: skip
def test_a_manifest_that_is_no_images_does_not_pass(change):
    document, config = image(layers=0)
    with pytest.raises(GateError, match="could not be scanned, so it does not pass"):
        view_of(document | change, config, media_type=OCI)


def test_layers_and_what_the_configuration_says_of_them_must_agree():
    document, config = image(layers=2)
    document["layers"][1] = document["layers"][0]  # one layer, two DiffIDs
    with pytest.raises(GateError, match="in two ways"):
        view_of(document, config)
    document["layers"].pop()
    with pytest.raises(GateError, match="does not tell its layers"):
        view_of(document, config)


@pytest.fixture
def shown():
    """A view, and a report of Trivy's on it."""
    view = view_of(*image())
    layers = [name for name, _ in view.diff_ids]
    report = {
        "ArtifactID": "sha256:1",
        "ArtifactName": str(SHOWN),
        "Metadata": {
            "ImageID": digest(view.config),
            "DiffIDs": layers,
            "RepoDigests": [str(SHOWN)],
            "Reference": str(SHOWN),
            "ImageConfig": json.loads(view.config),
            "Layers": [{"Digest": name, "DiffID": name} for name in layers],
        },
        "Results": [
            {
                "Target": f"{SHOWN} (debian 12)",
                "Vulnerabilities": [
                    {"Fingerprint": "sha256:2", "Layer": {"Digest": layers[1], "DiffID": layers[1]}}
                ],
            }
        ],
    }
    return view, report


def test_a_report_on_a_view_becomes_one_on_its_image(shown):
    view, report = shown
    real = restore(report, view, SHOWN, REF)
    assert "127.0.0.1" not in json.dumps(real)
    assert real["ArtifactName"] == str(REF)
    assert real["Metadata"] == {
        "ImageID": view.real_config,
        "DiffIDs": [digest(b"d0"), digest(b"d1")],
        "RepoDigests": [str(REF)],
        "Reference": str(REF),
        "ImageConfig": view.real,
        "Layers": [
            {"Digest": digest(b"l0"), "DiffID": digest(b"d0")},
            {"Digest": digest(b"l1"), "DiffID": digest(b"d1")},
        ],
    }
    (result,) = real["Results"]
    assert result["Target"] == f"{REF} (debian 12)"
    layer = {"Digest": digest(b"l1"), "DiffID": digest(b"d1")}
    assert result["Vulnerabilities"] == [{"Layer": layer}]


@pytest.mark.parametrize(
    "change",
    [
        {"ArtifactName": str(REF)},
        {"Metadata": None},
        {"Metadata": {"RepoDigests": [str(REF)]}},
        {"Metadata": {"DiffIDs": []}},
        {"Metadata": {"ImageID": digest(b"")}},
    ],
)
def test_a_report_on_something_else_or_on_a_part_is_refused(shown, change):
    view, report = shown
    damaged = report | change
    if change.get("Metadata"):
        damaged["Metadata"] = report["Metadata"] | change["Metadata"]
    with pytest.raises(GateError, match="does not pass"):
        restore(damaged, view, SHOWN, REF)


def test_an_image_without_layers_is_one_however_that_is_written():
    document, config = image(layers=0)
    changed = json.loads(config) | {"rootfs": {"type": "layers", "diff_ids": None}}
    content = json.dumps(changed).encode()
    null = document | {"layers": None}
    null["config"] = document["config"] | {"digest": digest(content), "size": len(content)}
    view = view_of(null, content)
    assert json.loads(view.manifest)["layers"] == []
    assert json.loads(view.config)["rootfs"]["diff_ids"] == []
