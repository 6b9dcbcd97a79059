"""The registry on loopback keeps to the distribution specification, and to what a test tells it."""

from __future__ import annotations

import http.client
import io
import json
import ssl
import threading

import pytest

from aksci.core.errors import RegistryError, UnreachableError
from aksci.core.secret import Secret
from aksci.oci.client import RegistryClient
from aksci.oci.references import digest_of
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.registry_server import serve
from aksci.testing.sample_images import MANIFEST, push_sample

UPLOADS = "/v2/shop/web/blobs/uploads/"
LARGE = b"x" * (9 << 20)  # three chunks


@pytest.fixture
def memory():
    return MemoryRegistry()


@pytest.fixture
def server(memory):
    with serve(memory) as running:
        yield running


@pytest.fixture
def client(server):
    found = RegistryClient(server.host, plain_http=True, sleep=lambda _: None)
    yield found
    found.close()


@pytest.fixture
def ask(server):
    """Send one request; return status, headers and body."""

    def send(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(server.host, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=named)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    return send


def code(answer):
    return answer[0], json.loads(answer[2])["errors"][0]["code"]


def test_errors_are_the_specifications(ask, memory):
    ref = push_sample(memory, "shop/web", "1")
    nowhere = "sha256:" + "0" * 64
    assert code(ask("GET", "/v2/shop/web/manifests/2")) == (404, "MANIFEST_UNKNOWN")
    assert code(ask("GET", f"/v2/shop/web/blobs/{nowhere}")) == (404, "BLOB_UNKNOWN")
    assert code(ask("GET", "/v2/shop/api/tags/list")) == (404, "NAME_UNKNOWN")
    assert code(ask("GET", "/v2/Shop/tags/list")) == (400, "NAME_INVALID")
    assert code(ask("PATCH", f"{UPLOADS}lost")) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert code(ask("POST", "/v2/shop/web/manifests/1")) == (405, "UNSUPPORTED")
    wrong = ask("PUT", f"/v2/shop/web/manifests/{nowhere}", b"{}", Content_Type=MANIFEST)
    assert code(wrong) == (400, "DIGEST_INVALID")
    assert ask("GET", "/elsewhere")[0] == 404
    status, headers, body = ask("HEAD", f"/v2/shop/web/manifests/{ref.digest}")
    size = len(memory.manifest("shop/web", "1").content)
    assert (status, headers["Content-Length"], body) == (200, str(size), b"")


def test_a_blob_comes_in_chunks_in_order_and_whole_or_not_at_all(ask, memory):
    digest = digest_of(b"abcdef")
    _, headers, _ = ask("POST", UPLOADS)
    where = headers["Location"]
    assert ask("PATCH", where, b"abc", Content_Range="0-2")[1]["Range"] == "0-2"
    assert ask("PATCH", where, b"xyz", Content_Range="9-11")[0] == 416
    status, headers, _ = ask("GET", where)
    assert (status, headers["Range"]) == (204, "0-2")
    assert code(ask("PUT", f"{where}&digest={digest}", b"xyz")) == (400, "DIGEST_INVALID")
    assert ask("PUT", f"{where}&digest={digest}", b"def")[0] == 201
    assert memory.blob("shop/web", digest) == b"abcdef"
    assert ask("GET", where)[0] == 404
    assert ask("POST", f"{UPLOADS}?digest={digest_of(b'1')}", b"1")[0] == 201
    _, headers, _ = ask("POST", UPLOADS)
    assert ask("DELETE", headers["Location"])[0] == 204
    assert ask("GET", headers["Location"])[0] == 404


def test_chunks_may_be_sent_without_telling_their_length(ask, memory):
    _, headers, _ = ask("POST", UPLOADS)
    assert ask("PATCH", headers["Location"], iter([b"abc", b"def"]))[1]["Range"] == "0-5"
    assert ask("PUT", f"{headers['Location']}&digest={digest_of(b'abcdef')}")[0] == 201


def test_a_part_of_a_blob_can_be_asked_for(ask, memory):
    path = f"/v2/shop/web/blobs/{memory.put_blob('shop/web', b'abcdef')}"
    status, headers, body = ask("GET", path, Range="bytes=2-")
    assert (status, headers["Content-Range"], body) == (206, "bytes 2-5/6", b"cdef")
    assert ask("GET", path, Range="bytes=1-2")[2] == b"bc"
    assert ask("GET", path, Range="bytes=6-")[0] == 416


def test_what_is_deleted_is_gone(ask, memory):
    ref = push_sample(memory, "shop/web", "1")
    digest = memory.put_blob("shop/web", b"x")
    for path in (f"manifests/{ref.digest}", f"blobs/{digest}"):
        assert ask("DELETE", f"/v2/shop/web/{path}")[0] == 202
        assert ask("GET", f"/v2/shop/web/{path}")[0] == 404


def test_lists_come_in_pages(server, client, ask, memory):
    server.page_size = 2
    names = [f"v{number}" for number in range(5)]
    ref = push_sample(memory, "shop/web")
    for name in names:
        push_sample(memory, "shop/web", name)
        push_sample(memory, f"shop/{name}")
        document = {"schemaVersion": 2, "artifactType": name, "subject": {"digest": ref.digest}}
        memory.put_manifest("shop/web", json.dumps(document).encode(), MANIFEST)
    assert client.tags("shop/web") == names
    assert client.repositories() == [*(f"shop/{name}" for name in names), "shop/web"]
    found = client.referrers("shop/web", ref.digest)
    assert [one["artifactType"] for one in found] == names
    assert server.counts()["GET tags"] == server.counts()["GET referrers"] == 3
    _, headers, body = ask("GET", f"/v2/shop/web/referrers/{ref.digest}?artifactType=v3")
    assert headers["OCI-Filters-Applied"] == "artifactType"
    assert [one["artifactType"] for one in json.loads(body)["manifests"]] == ["v3"]
    assert ask("GET", "/v2/shop/web/tags/list?n=1")[1]["Link"] == (
        '</v2/shop/web/tags/list?n=1&last=v0>; rel="next"'
    )


@pytest.mark.parametrize("bearer", [False, True])
def test_who_has_the_login_is_let_in_and_nobody_else(server, memory, bearer):
    server.login, server.bearer = ("bob", "hunter2"), bearer
    push_sample(memory, "shop/web", "1")
    client = RegistryClient(server.host, plain_http=True, login=("bob", Secret("hunter2")))
    assert client.resolve("shop/web", "1")
    assert client.put_blob("shop/web", b"x")
    assert any(line.startswith("GET /token?") for line in server.lines()) == bearer
    client.close()
    for login in (None, ("bob", Secret("wrong"))):
        client = RegistryClient(server.host, plain_http=True, login=login)
        with pytest.raises(RegistryError, match="401"):
            client.resolve("shop/web", "1")
        client.close()


def test_answers_are_given_as_told_and_then_as_the_registry_is(server, client, memory):
    ref = push_sample(memory, "shop/web", "1")
    line = "HEAD /v2/shop/web/manifests/1"
    server.answers[line] = [(0, {}, b""), (429, {"Retry-After": "1"}, b""), (503, {}, b""), None]
    assert client.resolve("shop/web", "1") == ref.digest
    assert server.lines() == [line] * 4
    server.answers[line] = [(500, {}, b"")]
    for _ in range(2):
        with pytest.raises(RegistryError, match="500"):
            client.resolve("shop/web", "1")


def test_a_busy_registry_takes_everything_the_second_time(server, client, memory):
    server.busy = True
    digest = client.put_blob("shop/web", b"x")
    assert client.blob("shop/web", digest) == b"x"
    assert set(server.counts().values()) == {2}


@pytest.mark.parametrize("ranges", [True, False])
def test_answers_that_break_are_gone_on_with(server, client, memory, ranges):
    digest = memory.put_blob("shop/web", LARGE)
    server.break_reads, server.ranges = 3, ranges
    assert b"".join(client.stream_blob("shop/web", digest)) == LARGE
    assert server.break_reads == 0


@pytest.mark.parametrize("fault", ["break_chunks", "lose_uploads"])
def test_uploads_that_break_are_gone_on_with(server, client, memory, fault):
    def pieces():
        yield LARGE

    setattr(server, fault, 2)
    client.write_blob("shop/web", digest_of(LARGE), len(LARGE), pieces)
    assert memory.blob("shop/web", digest_of(LARGE)) == LARGE
    assert getattr(server, fault) == 0


def test_a_damaged_answer_is_refused_by_the_client(server, client, memory):
    digest = memory.put_blob("shop/web", b"x")
    server.damage = True
    with pytest.raises(RegistryError, match="damaged or replaced"):
        client.blob("shop/web", digest)


def test_requests_are_noted_and_how_many_come_at_once(server, client, memory):
    memory.delay = 0.05
    threads = [threading.Thread(target=client.tags, args=(f"shop/a{each}",)) for each in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2 <= server.most <= 3
    assert server.counts()["GET tags"] == 3


def test_when_it_has_ended_it_can_not_be_reached(memory):
    with serve(memory) as server:
        pass
    client = RegistryClient(server.host, plain_http=True, sleep=lambda _: None)
    with pytest.raises(UnreachableError):
        client.resolve("shop/web", "1")
    client.close()


def test_a_client_that_is_not_ours_pushes_and_pulls(memory, make_certificate):
    """azure-containerregistry, which insists on TLS."""
    from azure.containerregistry import ContainerRegistryClient

    chain, private = make_certificate("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private)
    with serve(memory, tls=context) as server:
        endpoint = f"https://localhost:{server.host.partition(':')[2]}"
        audience = "https://management.azure.com"
        options = {"credential": None, "audience": audience, "connection_verify": str(chain)}
        with ContainerRegistryClient(endpoint, **options) as client:
            digest, size = client.upload_blob("shop/web", io.BytesIO(LARGE))
            assert (digest, size) == (digest_of(LARGE), len(LARGE))
            assert b"".join(client.download_blob("shop/web", digest)) == LARGE
            config = {"mediaType": "a/b", "digest": digest, "size": size}
            document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
            stored = client.set_manifest("shop/web", document, tag="1")
            assert client.get_manifest("shop/web", "1").digest == stored
            client.delete_manifest("shop/web", stored)
            client.delete_blob("shop/web", digest)
    assert memory.repositories() == []
