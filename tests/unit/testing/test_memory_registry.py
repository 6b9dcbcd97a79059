"""The registry in memory and the one on loopback are one registry, to all that a client can do."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aksci.core.errors import ConfigError, NotFoundInRegistry, RegistryError, UnreachableError
from aksci.oci.artifact import push_artifact
from aksci.oci.client import RegistryClient
from aksci.oci.copy import copy_image
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers
from aksci.testing.memory_registry import Call, MemoryRegistry
from aksci.testing.registry_server import serve
from aksci.testing.reporter import RecordingReporter
from aksci.testing.sample_images import INDEX, MANIFEST, push_sample, push_sample_index

NOWHERE = "sha256:" + "0" * 64
LARGE = b"x" * (9 << 20)  # three chunks


@pytest.fixture
def memory():
    return MemoryRegistry()


@pytest.fixture(params=["in memory", "over HTTP"])
def registry(request, memory):
    """The registry itself, or our client before its served face."""
    if request.param == "in memory":
        yield memory
        return
    with serve(memory) as server:
        client = RegistryClient(server.host, plain_http=True, sleep=lambda _: None)
        yield client
        client.close()


def artifact(registry, ref, kind="a/b", **annotations):
    return push_artifact(
        registry, ref.repository, artifact_type=kind, subject=ref, annotations=annotations
    )


def test_a_manifest_is_found_by_tag_and_digest_and_in_its_repository_alone(registry):
    ref = push_sample(registry, "shop/web", "1.0")
    assert registry.resolve("shop/web", "1.0") == registry.resolve("shop/web", ref.digest)
    assert registry.resolve("shop/web", "1.0") == ref.digest
    found = registry.manifest("shop/web", "1.0")
    assert (found.media_type, found.digest) == (MANIFEST, ref.digest)
    assert registry.resolve("shop/web", "2.0") is registry.resolve("shop/api", "1.0") is None
    for name, reference in (("shop/web", "2.0"), ("shop/api", ref.digest), ("shop/web", NOWHERE)):
        with pytest.raises(NotFoundInRegistry, match="does not exist"):
            registry.manifest(name, reference)


def test_a_tag_moves_and_what_it_meant_stays(registry):
    first = push_sample(registry, "shop/web", "latest")
    second = push_sample(registry, "shop/web", "latest", files={"x": b"1"})
    assert registry.resolve("shop/web", "latest") == second.digest != first.digest
    assert registry.manifest("shop/web", first.digest).digest == first.digest


def test_blobs_are_kept_whatever_their_size_and_mounted_not_copied(registry):
    small, large = registry.put_blob("a/b", b"small"), registry.put_blob("a/b", LARGE)
    assert registry.blob("a/b", small) == b"small"
    assert b"".join(registry.stream_blob("a/b", large)) == LARGE
    assert registry.mount_blob("c/d", large, "a/b")
    assert registry.has_blob("c/d", large)
    assert not registry.has_blob("c/d", small)
    assert not registry.mount_blob("c/d", NOWHERE, "a/b")
    with pytest.raises(NotFoundInRegistry):
        registry.blob("c/d", small)


@pytest.mark.parametrize("content", [b"few", LARGE])
def test_a_blob_that_is_written_in_pieces_must_have_its_digest(registry, content):
    def pieces():
        yield from (content[:1000], content[1000:])

    digest = MemoryRegistry().put_blob("x", content)
    registry.write_blob("a/b", digest, len(content), pieces)
    assert registry.blob("a/b", digest) == content
    with pytest.raises(RegistryError):
        registry.write_blob("a/b", NOWHERE, len(content), pieces)
    assert not registry.has_blob("a/b", NOWHERE)


def test_what_is_no_name_no_digest_and_no_manifest_is_refused(registry):
    with pytest.raises(ConfigError, match="lower case"):
        registry.resolve("Shop", "1")
    with pytest.raises(RegistryError, match="not a digest"):
        registry.blob("shop/web", "sha256:0")
    with pytest.raises(RegistryError, match=r"400.*MANIFEST_INVALID"):
        registry.put_manifest("shop/web", b"[]", MANIFEST)
    other = json.dumps({"schemaVersion": 2, "mediaType": INDEX}).encode()
    with pytest.raises(RegistryError, match=r"400.*MANIFEST_INVALID"):
        registry.put_manifest("shop/web", other, MANIFEST)


def test_a_complete_registry_refuses_what_names_unknown_parts(registry, memory):
    ref = push_sample(registry, "shop/web")
    content = memory.manifest("shop/web", ref.digest).content
    parts = json.dumps({"schemaVersion": 2, "manifests": [{"digest": ref.digest}]}).encode()
    memory.store.complete = True
    for document, kind in ((content, MANIFEST), (parts, INDEX)):
        assert registry.put_manifest("shop/web", document, kind)
        with pytest.raises(RegistryError, match="MANIFEST_BLOB_UNKNOWN"):
            registry.put_manifest("shop/other", document, kind)


def test_lists_are_whole_and_sorted(registry):
    assert registry.tags("shop/web") == []
    for tag in ("b", "c", "a"):
        push_sample(registry, "shop/web", tag)
    push_sample(registry, "api")
    assert registry.tags("shop/web") == ["a", "b", "c"]
    assert registry.repositories() == ["api", "shop/web"]


@pytest.mark.parametrize("api", [True, False])
def test_what_refers_to_an_image_is_found_with_the_api_and_without(registry, memory, api):
    memory.referrers_api = api
    ref = push_sample(registry, "shop/web", "1.0")
    first, second = artifact(registry, ref, note="x"), artifact(registry, ref, "c/d")
    assert (registry.referrers("shop/web", ref.digest) is None) == (not api)
    found = {one["digest"]: one for one in list_referrers(registry, ref)}
    assert set(found) == {first.digest, second.digest}
    assert found[first.digest]["annotations"] == {"note": "x"}
    assert [one["digest"] for one in list_referrers(registry, ref, artifact_type="c/d")] == [
        second.digest
    ]
    assert list_referrers(registry, push_sample(registry, "shop/api")) == []


def test_an_index_with_attestations_is_copied_with_all_that_refers_to_it(registry):
    ref = push_sample_index(registry, "shop/web", attestation={"predicateType": "p"})
    sbom = artifact(registry, ref)
    artifact(registry, sbom)
    target = MemoryRegistry("other.test", complete=True)
    done = copy_image(registry, target, ref, reporter=RecordingReporter(), tags=("v1",))
    assert done.manifests == 7
    assert target.resolve("shop/web", "v1") == ref.digest
    entries = json.loads(target.manifest("shop/web", "v1").content)["manifests"]
    assert [one["platform"]["architecture"] for one in entries] == [
        "amd64", "arm64", "unknown", "unknown",
    ]  # fmt: skip


def test_what_was_planted_is_handed_out_and_the_client_sees_through_it(memory):
    digest = memory.put_blob("shop/web", b"good")
    ref = push_sample(memory, "shop/web")
    for name in (digest, ref.digest):
        assert memory.plant("shop/web", b'{"schemaVersion": 2}', digest=name) == name
    assert memory.blob("shop/web", digest) == b'{"schemaVersion": 2}'
    assert memory.manifest("shop/web", ref.digest).content == b'{"schemaVersion": 2}'
    with serve(memory) as server:
        client = RegistryClient(server.host, plain_http=True)
        for read in (client.blob, client.manifest):
            with pytest.raises(RegistryError, match="damaged or replaced"):
                read("shop/web", digest if read == client.blob else ref.digest)
        client.close()


# The registry in memory


def test_calls_are_noted_and_those_that_fail_too(memory):
    memory.fail("resolve", UnreachableError("gone"), times=1)
    with pytest.raises(UnreachableError, match="gone"):
        memory.resolve("shop/web", "1")
    assert memory.resolve("shop/web", "2") is None
    assert memory.tags("shop/web") == []
    assert memory.calls[0] == Call("resolve", "shop/web", "1")
    assert memory.asked("resolve") == ["1", "2"]
    assert memory.asked() == ["1", "2", ""]


def test_one_thing_may_fail_until_the_registry_recovers(memory):
    digest = memory.put_blob("shop/web", b"x")
    memory.fail("*", RegistryError("503"), reference=digest)
    assert memory.resolve("shop/web", "1") is None
    for _ in range(2):
        with pytest.raises(RegistryError, match="503"):
            memory.blob("shop/web", digest)
    memory.recover()
    assert memory.blob("shop/web", digest) == b"x"


def test_exactly_so_many_calls_fail_however_many_threads_ask(memory):
    memory.fail("resolve", RegistryError("503"), times=7)
    begin = threading.Barrier(8)

    def ask(_):
        begin.wait()
        failed = 0
        for number in range(5):
            try:
                memory.resolve("shop/web", str(number))
            except RegistryError:
                failed += 1
        return failed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 7
    assert len(memory.calls) == 40


def test_a_tag_can_be_made_to_mean_what_is_not_there_and_a_list_to_lie(memory):
    memory.move_tag("shop/web", "1", NOWHERE)
    assert memory.resolve("shop/web", "1") == NOWHERE
    with pytest.raises(NotFoundInRegistry):
        memory.manifest("shop/web", "1")
    memory.list_referrer("shop/web", NOWHERE, {"digest": "rubbish"})
    assert memory.referrers("shop/web", NOWHERE) == [{"digest": "rubbish"}]


def test_what_is_deleted_is_gone_with_its_tags_and_from_every_list(memory):
    ref = push_sample(memory, "shop/web", "1")
    about = artifact(memory, ref)
    assert memory.delete("shop/web", about.digest)
    assert memory.referrers("shop/web", ref.digest) == []
    memory.move_tag("shop/web", "2", ref.digest)
    assert memory.delete("shop/web", "2")
    assert memory.resolve("shop/web", "1") == ref.digest
    assert memory.delete("shop/web", ref.digest)
    assert memory.resolve("shop/web", "1") is None
    assert not memory.delete("shop/web", ref.digest)


def test_the_same_words_give_the_same_image():
    one, two = MemoryRegistry(), MemoryRegistry()
    words = {"files": {"a": b"1"}, "runs": {"User": "1"}, "annotations": {"n": "x"}}
    assert push_sample(one, "x", **words) == push_sample(two, "x", **words)
    ref = push_sample(one, "x", platform="linux/arm64/v8", **words)
    manifest = json.loads(one.manifest("x", ref.digest).content)
    config = json.loads(one.blob("x", manifest["config"]["digest"]))
    assert (config["architecture"], config["variant"], config["config"]) == (
        "arm64", "v8", {"User": "1"},
    )  # fmt: skip
    assert ref == ImageRef("registry.test", "x", ref.digest)
