"""Lists of a registry: tags and referrers, page by page; mounting."""

from __future__ import annotations

import json

import pytest

from aksci.core.errors import RegistryError
from aksci.oci.answers import next_page
from aksci.oci.artifact import attach, attached, find_artifacts
from aksci.oci.client import RegistryClient
from aksci.oci.manifest import OCI_INDEX
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers, record_referrers
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import push_sample

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
TAGS = "GET /v2/shop/web/tags/list?n=1000"
REFERRERS = f"GET /v2/shop/web/referrers/{DIGEST}"


@pytest.fixture
def client(server):
    client = RegistryClient(server.host, plain_http=True, sleep=lambda _: None)
    yield client
    client.close()


def tags(*names):
    return json.dumps({"name": "shop/web", "tags": list(names)}).encode()


def test_tags_are_read_page_by_page_by_relative_and_absolute_links(server, client):
    pages = ("/v2/shop/web/tags/list?n=1000&last=b", f"http://{server.host}/v2/more")
    server.answers[TAGS] = [(200, {"Link": f'<{pages[0]}>; rel="next"'}, tags("a", "b"))]
    server.answers[f"GET {pages[0]}"] = [(200, {"Link": f"<{pages[1]}>; rel=next"}, tags("c"))]
    server.answers["GET /v2/more"] = [(200, {}, tags("d"))]
    assert client.tags("shop/web") == ["a", "b", "c", "d"]


def test_a_repository_that_is_not_there_has_no_tags(client):
    assert client.tags("shop/web") == []


def test_a_repository_without_tags_may_say_null(server, client):
    server.answers[TAGS] = [(200, {}, b'{"name":"shop/web","tags":null}')]
    assert client.tags("shop/web") == []


@pytest.mark.parametrize("status", [401, 403, 500])
def test_tags_that_can_not_be_listed_are_an_error_and_not_none(server, client, status):
    server.answers[TAGS] = [(status, {}, b"")]
    with pytest.raises(RegistryError, match=str(status)):
        client.tags("shop/web")


def test_a_list_that_goes_round_in_a_circle_ends(server, client):
    link = {"Link": f"<{TAGS.removeprefix('GET ')}>; rel=next"}
    server.answers[TAGS] = [(200, link, tags("a"))]
    assert client.tags("shop/web") == ["a"]


def test_a_list_that_goes_on_at_another_host_is_refused(server, client):
    link = {"Link": "<https://elsewhere.example/v2/tags>; rel=next"}
    server.answers[TAGS] = [(200, link, tags("a"))]
    with pytest.raises(RegistryError, match=r"elsewhere\.example"):
        client.tags("shop/web")


def test_a_list_that_goes_on_nowhere_is_an_error(server, client):
    server.answers[TAGS] = [(200, {"Link": "<http://[>; rel=next"}, tags("a"))]
    with pytest.raises(RegistryError, match="no address"):
        client.tags("shop/web")


def test_a_page_of_a_web_server_is_no_list(server, client):
    server.answers[TAGS] = [(200, {}, b"<html></html>")]
    with pytest.raises(RegistryError, match="does not answer as a registry"):
        client.tags("shop/web")


def test_a_list_that_breaks_off_is_an_error_and_not_an_empty_one(server, client):
    """Who asks for tags must not take half of an answer for "there are none"."""
    page = "/v2/shop/web/tags/list?n=1000&last=a"
    server.answers[TAGS] = [(200, {"Link": f"<{page}>; rel=next"}, tags("a"))]
    with pytest.raises(RegistryError, match="404"):
        client.tags("shop/web")


def test_a_list_without_an_end_is_given_up(server, client, monkeypatch):
    monkeypatch.setattr("aksci.oci.client._PAGES", 3)
    for number in range(5):
        line = f"{TAGS}&page={number}" if number else TAGS
        link = f"<{TAGS.removeprefix('GET ')}&page={number + 1}>; rel=next"
        server.answers[line] = [(200, {"Link": link}, tags("a"))]
    with pytest.raises(RegistryError, match="without an end"):
        client.tags("shop/web")
    assert len(server.lines()) == 3


@pytest.mark.parametrize("body", [b"{}", b'{"tags":"abc"}', b'{"tags":5}', b"[" * 100_000])
def test_a_damaged_list_of_tags_is_refused(server, client, body):
    server.answers[TAGS] = [(200, {}, body)]
    with pytest.raises(RegistryError, match="no list"):
        client.tags("shop/web")


@pytest.mark.parametrize("entries", ["x", {"a": 1}, 5])
def test_a_damaged_list_of_referrers_is_refused_wherever_it_is_kept(server, client, entries):
    """Whoever may push can write the fallback tag."""
    ref = ImageRef(server.host, "shop/web", DIGEST)
    body = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    server.answers[f"GET /v2/shop/web/manifests/{DIGEST.replace(':', '-')}"] = [(200, {}, body)]
    server.answers[REFERRERS] = [(200, {}, body), (404, {}, b"")]
    for _ in range(2):
        with pytest.raises(RegistryError, match=r"damaged|no list"):
            list_referrers(client, ref)


@pytest.mark.parametrize(
    "entry",
    [
        "x",
        None,
        {},
        {"digest": 1},
        {"digest": "latest"},
        {"digest": "sha256:" + "A" * 64},
        {"digest": "sha256:" + "a" * 63},
        {"digest": "sha512:" + "a" * 128},
        {"digest": OTHER, "artifactType": ["x"]},
        {"digest": OTHER, "artifactType": 5},
        {"digest": OTHER, "annotations": ["x"]},
        {"digest": OTHER, "annotations": {"a": 1}},
        {"digest": OTHER, "size": -1},
        {"digest": OTHER, "size": 1.5},
        {"digest": OTHER, "size": True},
        {"digest": OTHER, "mediaType": []},
        {"digest": OTHER, "platform": "x"},
        {"digest": OTHER, "urls": [1]},
        {"digest": OTHER, "data": {}},
        {"digest": OTHER, "Digest": DIGEST},
    ],
)
def test_a_damaged_entry_hides_no_other_wherever_the_list_is_kept(server, client, entry):
    """Else one line in a fallback tag would take all signatures of an image away."""
    ref = ImageRef(server.host, "shop/web", DIGEST)
    good = {"digest": OTHER, "artifactType": "x", "size": 3}
    body = json.dumps({"schemaVersion": 2, "manifests": [entry, good]}).encode()
    server.answers[f"GET /v2/shop/web/manifests/{DIGEST.replace(':', '-')}"] = [(200, {}, body)]
    server.answers[REFERRERS] = [(200, {}, body), (404, {}, b"")]
    for _ in range(2):
        assert list_referrers(client, ref) == [good]
        (found,) = find_artifacts(client, ref, "x")
        assert found.digest == OTHER


def test_a_fallback_tag_that_is_full_says_what_to_do(monkeypatch):
    monkeypatch.setattr("aksci.oci.referrers._LARGEST", 10_000)
    registry = MemoryRegistry(referrers_api=False)
    entries = [{"digest": f"sha256:{number:064x}", "artifactType": "x"} for number in range(80)]
    record_referrers(registry, "shop/web", DIGEST, entries)
    more = [{"digest": f"sha256:{number:064x}", "artifactType": "x"} for number in range(80, 160)]
    with pytest.raises(RegistryError, match="lists 80 artifacts, and has no room") as caught:
        record_referrers(registry, "shop/web", DIGEST, more)
    assert "delete what is not yours" in caught.value.hint


def test_more_attached_than_can_be_read_is_an_error_and_never_none(monkeypatch):
    registry = MemoryRegistry()
    ref = push_sample(registry, "shop/web")
    for number in range(30):
        attach(registry, ref, "application/x", f"content {number}".encode())
    assert len(attached(registry, ref, "application/x")) == 30
    for limit in ("_MOST_LISTED", "_MOST_ATTACHED"):
        with monkeypatch.context() as patched:
            patched.setattr(f"aksci.oci.artifact.{limit}", 29)
            with pytest.raises(RegistryError, match="30 artifacts of the type application/x"):
                attached(registry, ref, "application/x")


def test_what_has_no_utf_8_does_not_keep_others_out_of_the_fallback_tag():
    """Whoever may push can write half of a surrogate pair there."""
    registry = MemoryRegistry(referrers_api=False)
    odd = {"digest": OTHER, "annotations": {"a": "\ud800", "b": "\u00e9"}}
    index = json.dumps({"schemaVersion": 2, "manifests": [odd]}).encode()
    registry.put_manifest("shop/web", index, OCI_INDEX, tag=DIGEST.replace(":", "-"))
    entry = {"digest": DIGEST, "artifactType": "x"}
    assert record_referrers(registry, "shop/web", DIGEST, [entry])
    assert list_referrers(registry, ImageRef(registry.host, "shop/web", DIGEST)) == [odd, entry]


def test_referrers_are_read_page_by_page(server, client):
    link = {"Link": f'<{REFERRERS.removeprefix("GET ")}?page=2>; rel="next"'}
    server.answers[REFERRERS] = [(200, link, b'{"manifests":[{"digest":"a"}]}')]
    server.answers[f"{REFERRERS}?page=2"] = [(200, {}, b'{"manifests":[{"digest":"b"}]}')]
    assert [entry["digest"] for entry in client.referrers("shop/web", DIGEST)] == ["a", "b"]


def test_a_registry_without_a_list_of_referrers_is_asked_once(server, client):
    server.registry.referrers_api = False
    assert client.referrers("shop/web", DIGEST) is None
    assert client.referrers("shop/other", DIGEST) is None
    assert server.lines().count(REFERRERS) == 1
    assert not any("shop/other" in line for line in server.lines())


def test_a_repository_that_is_not_there_yet_says_nothing_about_the_api(server, client):
    body = b'{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}'
    server.answers[REFERRERS] = [(404, {}, body), (200, {}, b'{"manifests":[]}')]
    assert client.referrers("shop/web", DIGEST) is None
    assert client.referrers("shop/web", DIGEST) == []


def test_a_mount_that_is_refused_leaves_no_upload_open(server, client):
    mount = f"/v2/shop/web/blobs/uploads/?mount={DIGEST.replace(':', '%3A')}&from=shop%2Fbase"
    server.answers[f"POST {mount}"] = [(202, {"Location": "/up/1"}, b""), (201, {}, b"")]
    assert client.mount_blob("shop/web", DIGEST, "shop/base") is False
    assert server.lines()[-1] == "DELETE /up/1"
    assert client.mount_blob("shop/web", DIGEST, "shop/base") is True


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ('</a?b=1>; rel="next"', "/a?b=1"),
        ("</a>; rel=next", "/a"),
        ('</a>; rel="prev", </b>; rel="next"', "/b"),
        ('</a>; rel="prev"', ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_the_next_page_is_the_one_that_is_called_so(link, expected):
    assert next_page({"Link": link}) == expected
