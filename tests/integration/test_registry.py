"""RegistryClient against the real registry of the embedded platform."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from aksci.core.errors import NotFoundInRegistry, RegistryError
from aksci.oci.artifact import Content, push_artifact, push_image
from aksci.oci.client import RegistryClient
from aksci.oci.referrers import list_referrers

CONFIG = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/hello"]}}
TYPE = "application/vnd.example.thing.v1"


@pytest.fixture
def registry(platform):
    client = RegistryClient(platform.registry, plain_http=True)
    yield client
    client.close()


@pytest.fixture
def repository():
    return f"test/{secrets.token_hex(4)}"


@pytest.fixture
def layer(tmp_path):
    path = tmp_path / "layer.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("hello")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"world"))
    return path


def test_an_image_is_stored_and_the_same_files_give_the_same_digest(registry, repository, layer):
    ref = push_image(registry, repository, "v1", layers=[layer], config=CONFIG)
    again = push_image(registry, repository, "v2", layers=[layer], config=CONFIG)
    assert ref == again
    assert registry.resolve(repository, "v1") == registry.resolve(repository, "v2") == ref.digest
    manifest = json.loads(registry.manifest(repository, ref.digest).content)
    config = json.loads(registry.blob(repository, manifest["config"]["digest"]))
    assert config["config"] == {"Cmd": ["/hello"]}
    assert len(config["rootfs"]["diff_ids"]) == len(manifest["layers"]) == 1


def test_what_is_not_there_is_not_there(registry, repository):
    assert registry.resolve(repository, "v1") is None
    with pytest.raises(NotFoundInRegistry):
        registry.blob(repository, "sha256:" + "0" * 64)


def test_a_manifest_without_its_blobs_is_refused_with_the_registrys_reason(registry, repository):
    gone = {"mediaType": "x/y", "digest": "sha256:" + "0" * 64, "size": 1}
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": gone, "layers": []}
    with pytest.raises(RegistryError, match="MANIFEST_BLOB_UNKNOWN"):
        registry.put_manifest(repository, json.dumps(manifest).encode(), media_type, tag="v1")
    assert registry.resolve(repository, "v1") is None


def test_artifacts_are_found_by_subject_and_type_even_written_in_parallel(
    registry, repository, layer
):
    """The fallback tag loses entries when it is written in parallel, unless one takes care."""
    subject = push_image(registry, repository, "v1", layers=[layer], config=CONFIG)

    def attach(number):
        content = Content(media_type="text/plain", content=str(number).encode())
        return push_artifact(
            registry,
            repository,
            artifact_type=TYPE if number else "application/vnd.example.other.v1",
            layers=[content],
            annotations={"n": str(number)},
            subject=subject,
        )

    with ThreadPoolExecutor(6) as pool:
        refs = list(pool.map(attach, range(6)))
    assert {one["digest"] for one in list_referrers(registry, subject)} == {
        ref.digest for ref in refs
    }
    typed = list_referrers(registry, subject, artifact_type=TYPE)
    assert sorted(one["annotations"]["n"] for one in typed) == list("12345")


def test_a_large_layer_is_streamed(registry, repository, tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        for _ in range(64):
            file.write(secrets.token_bytes(1 << 20))
    digest = registry.put_blob_file(repository, path)
    assert registry.has_blob(repository, digest)
