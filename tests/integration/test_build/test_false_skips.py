"""What could change an image without changing its key, in the real BuildKit and registry."""

from __future__ import annotations

import dataclasses
import json

import pytest

from aksci.core.errors import BuildError
from aksci.images.engines.builder import BuildOutput
from aksci.images.engines.buildx import BuildxBuilder
from aksci.oci.referrers import list_referrers

ONE, TOOL = frozenset({"base"}), frozenset({"tool"})


def finished(shop, image):
    return [tag for tag in shop.tags(image) if tag.startswith("in-")]


def put_in_library(shop, image, name):
    """Make an image one of docker.io, which the platform's registry mirrors; move its tag."""
    registry, there = shop.registry, f"library/{name}"
    manifest = registry.manifest(image.ref.repository, image.ref.digest)
    document = json.loads(manifest.content)
    for blob in (document["config"], *document["layers"]):
        registry.put_blob(there, registry.blob(image.ref.repository, blob["digest"]))
    registry.put_manifest(there, manifest.content, manifest.media_type, tag="latest")
    return image.ref.digest


def test_a_base_with_a_stages_name_is_checked_against_what_buildkit_used(shop, monkeypatch):
    """It can't be pinned: the pin would replace the stage. BuildKit asks by itself, later."""
    tool = shop.build(only=TOOL)["tool"]
    before = put_in_library(shop, tool, shop.name)
    text = f"FROM {shop.name} AS {shop.name}\nCOPY hello.txt /\n"
    (shop.root / "base/Dockerfile").write_text(text)
    assert shop.build(only=ONE)["base"].action == "built"
    (shop.root / "base/hello.txt").write_text("changed")
    (shop.root / "tool/tool").write_text("changed")
    changed = shop.build(only=TOOL)["tool"]
    build = BuildxBuilder.build

    def meanwhile(self, *arguments):
        put_in_library(shop, changed, shop.name)
        return build(self, *arguments)

    monkeypatch.setattr(BuildxBuilder, "build", meanwhile)
    with pytest.raises(BuildError, match="moved while base was built") as caught:
        shop.build(only=ONE)
    assert f"key says {before}" in caught.value.message
    assert changed.ref.digest in caught.value.message
    assert len(finished(shop, "base")) == 1


def test_a_builder_that_does_not_say_what_it_used_is_not_believed(shop, monkeypatch):
    build = BuildxBuilder.build
    put_in_library(shop, shop.build(only=TOOL)["tool"], shop.name)

    def silent(self, *arguments):
        return BuildOutput(digest=build(self, *arguments).digest, provenance=None)

    monkeypatch.setattr(BuildxBuilder, "build", silent)
    assert shop.build(only=ONE)["base"].action == "built"
    text = f"FROM {shop.name} AS {shop.name}\nCOPY hello.txt /\n"
    (shop.root / "base/Dockerfile").write_text(text)
    with pytest.raises(BuildError, match=f"which digest of docker.io/library/{shop.name}:latest"):
        shop.build(only=ONE)
    assert len(finished(shop, "base")) == 1


def test_an_image_that_the_key_does_not_hold_is_refused(shop, monkeypatch, tmp_path):
    """As if we had read the Dockerfile in another way than BuildKit."""
    other = shop.build(only=TOOL)["tool"]
    build = BuildxBuilder.build

    def further(self, request, on_line):
        path = tmp_path / "Dockerfile"
        path.write_text(f"{request.dockerfile.read_text()}COPY --from={other.ref} / /tool\n")
        return build(self, dataclasses.replace(request, dockerfile=path), on_line)

    monkeypatch.setattr(BuildxBuilder, "build", further)
    with pytest.raises(BuildError) as caught:
        shop.build(only=ONE)
    assert f"{other.ref.digest}) for base, which is in no key of it" in caught.value.message
    assert finished(shop, "base") == []


def test_the_provenance_of_several_platforms_is_kept(shop):
    shop.configure('[build]\nplatforms = ["linux/amd64", "linux/arm64"]\n')
    image = shop.build(only=TOOL)["tool"]
    (entry,) = list_referrers(shop.registry, image.ref)
    repository = image.ref.repository
    layers = json.loads(shop.registry.manifest(repository, entry["digest"]).content)["layers"]
    (kept,) = (layer["digest"] for layer in layers if "provenance" in layer["mediaType"])
    assert set(json.loads(shop.registry.blob(repository, kept))) == {"linux/amd64", "linux/arm64"}
