"""RegistryClient against a real HTTP server that misbehaves in the ways registries do."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
import time

import pytest
from azure.core.exceptions import ClientAuthenticationError

from aksci.core.errors import ConfigError, NotFoundInRegistry, RegistryError
from aksci.core.secret import Secret
from aksci.oci.auth import Authenticator, Tokens, parse_challenges
from aksci.oci.client import RegistryClient
from aksci.oci.transport import Request, Response

INDEX = "application/vnd.oci.image.index.v1+json"
CONTENT = b'{"schemaVersion":2}'
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
HEAD = "HEAD /v2/shop/web/manifests/latest"
GET = "GET /v2/shop/web/manifests/latest"
FOUND = (200, {"Docker-Content-Digest": DIGEST}, b"")


@pytest.fixture
def slept():
    return []


@pytest.fixture
def client(server, slept):
    client = RegistryClient(server.host, plain_http=True, sleep=slept.append)
    yield client
    client.close()


def test_only_a_404_means_not_there(server, client):
    assert client.resolve("shop/web", "latest") is None
    with pytest.raises(NotFoundInRegistry, match="shop/web:latest"):
        client.manifest("shop/web", "latest")


@pytest.mark.parametrize("status", [400, 401, 403, 405, 418, 500, 502, 503])
def test_an_error_is_never_not_found(server, client, status):
    server.answers[HEAD] = server.answers[GET] = [(status, {}, b"")]
    with pytest.raises(RegistryError, match=str(status)) as caught:
        client.resolve("shop/web", "latest")
    assert not isinstance(caught.value, NotFoundInRegistry)
    with pytest.raises(RegistryError) as caught:
        client.manifest("shop/web", "latest")
    assert not isinstance(caught.value, NotFoundInRegistry)


def test_the_404_of_something_that_is_no_registry_is_not_believed(server, client):
    server.answers["GET /v2/"] = [(404, {}, b"")]
    with pytest.raises(RegistryError, match="does not answer as a registry") as caught:
        client.resolve("shop/web", "latest")
    assert not isinstance(caught.value, NotFoundInRegistry)


@pytest.mark.parametrize("page", [b"<html></html>", b"{}", b"[]", b""])
def test_the_page_of_a_web_server_is_no_image(server, client, page):
    """Development servers answer any address with one, on ports that registries use, too."""
    for line in ("HEAD /v2/shop/manifests/in-1", "GET /v2/shop/manifests/in-1"):
        server.answers[line] = [(200, {"Content-Type": "text/html"}, page)]
    with pytest.raises(RegistryError, match="is no manifest"):
        client.resolve("shop", "in-1")


def test_too_many_requests_waits_as_long_as_asked_and_tries_again(server, client, slept):
    server.answers[HEAD] = [(429, {"Retry-After": "7"}, b""), FOUND]
    assert client.resolve("shop/web", "latest") == DIGEST
    assert slept == [7.0]


def test_a_wait_that_a_person_notices_is_told_with_its_length(server):
    told, slept = [], []
    server.answers[HEAD] = [(429, {"Retry-After": "7"}, b""), (503, {}, b""), FOUND]
    client = RegistryClient(server.host, plain_http=True, say=told.append, sleep=slept.append)
    assert client.resolve("shop/web", "latest") == DIGEST
    client.close()
    assert told == [f"{server.host} can't answer now; asking again in 7 s"]
    assert slept == [7.0, 0.4]


def test_a_wait_that_is_no_number_is_ours(server, client, slept):
    server.answers[HEAD] = [(429, {"Retry-After": "\xb2"}, b""), FOUND]
    assert client.resolve("shop/web", "latest") == DIGEST
    assert slept == [0.2]


@pytest.mark.parametrize(
    "moment", ["Mon, 01 Jan 99999999999 00:00:00 GMT", "9" * 5000], ids=["year", "seconds"]
)
def test_a_wait_until_no_day_of_a_calendar_is_no_crash(server, client, moment):
    dated = {"Retry-After": moment, "Date": "Mon, 05 Jan 2026 00:00:00 GMT"}
    server.answers[HEAD] = [(503, dated, b"")]
    with pytest.raises(RegistryError, match="503"):
        client.resolve("shop/web", "latest")


def test_a_wait_of_an_hour_is_a_refusal(server, client, slept):
    server.answers[HEAD] = [(429, {"Retry-After": "3600"}, b"")]
    with pytest.raises(RegistryError, match="429"):
        client.resolve("shop/web", "latest")
    assert slept == []


def test_server_errors_are_tried_five_times(server, client, slept):
    server.answers[HEAD] = [(503, {}, b"")]
    with pytest.raises(RegistryError, match="503"):
        client.resolve("shop/web", "latest")
    assert server.lines() == [HEAD] * 5
    assert slept == pytest.approx([0.2, 0.4, 0.8, 1.6])


def test_a_dropped_connection_is_tried_again(server, client):
    server.answers[HEAD] = [(0, {}, b""), FOUND]
    assert client.resolve("shop/web", "latest") == DIGEST


def test_an_unreachable_registry_names_host_cause_and_hint(slept):
    client = RegistryClient("127.0.0.1:1", plain_http=True, sleep=slept.append)
    with pytest.raises(RegistryError) as caught:
        client.resolve("shop/web", "latest")
    assert caught.value.message == "The registry 127.0.0.1:1 can't be reached: connection refused."
    assert caught.value.hint
    client.close()


def test_silence_is_an_error_and_never_not_found(server, client, monkeypatch):
    monkeypatch.setattr("aksci.oci.transport._TIMEOUT", 0.05)
    server.answers[HEAD] = [(-0.2, {}, b"")]
    with pytest.raises(RegistryError, match=r"can't be reached: .*timed out") as caught:
        client.resolve("shop/web", "latest")
    assert not isinstance(caught.value, NotFoundInRegistry)


def test_plain_http_is_refused_for_another_machine():
    with pytest.raises(ConfigError, match=r"registry\.example\.com"):
        RegistryClient("registry.example.com", plain_http=True)
    for host in ("localhost:5000", "127.3.2.1", "[::1]:5000"):
        RegistryClient(host, plain_http=True)


def test_upper_case_repositories_are_an_error_and_not_missing(client):
    with pytest.raises(ConfigError, match="Shop/Web"):
        client.resolve("Shop/Web", "latest")


def test_a_manifest_is_compared_with_its_digest(server, client):
    server.answers[GET] = [(200, {"Docker-Content-Digest": "sha256:" + "0" * 64}, CONTENT)]
    with pytest.raises(RegistryError, match="damaged or replaced"):
        client.manifest("shop/web", "latest")
    other = "sha256:" + "1" * 64
    server.answers[f"GET /v2/shop/web/manifests/{other}"] = [(200, {}, CONTENT)]
    with pytest.raises(RegistryError, match=other):
        client.manifest("shop/web", other)


def test_a_manifest_comes_as_its_very_bytes_even_over_4_mib(server, client):
    content = json.dumps({"schemaVersion": 2, "pad": "x" * 5_000_000}, indent=3).encode()
    server.answers[GET] = [(200, {"Content-Type": INDEX + "; charset=utf-8"}, content)]
    manifest = client.manifest("shop/web", "latest")
    assert (manifest.content, manifest.media_type) == (content, INDEX)


def test_a_head_without_a_digest_header_falls_back_to_the_content(server, client):
    server.answers[HEAD] = [(200, {}, b"")]
    server.answers[GET] = [(200, {}, CONTENT)]
    assert client.resolve("shop/web", "latest") == DIGEST


@pytest.mark.parametrize("stored", ["sha256:" + "2" * 64, DIGEST])
def test_what_was_stored_must_be_what_was_sent(server, client, stored):
    put = "PUT /v2/shop/web/manifests/latest"
    server.answers[put] = [(201, {"Docker-Content-Digest": stored}, b"")]
    if stored == DIGEST:
        assert client.put_manifest("shop/web", CONTENT, INDEX, tag="latest") == DIGEST
        assert server.asked[-1][2] == CONTENT
        assert server.asked[-1][1]["Content-Type"] == INDEX
    else:
        with pytest.raises(RegistryError, match="another manifest"):
            client.put_manifest("shop/web", CONTENT, INDEX, tag="latest")


def test_a_refused_manifest_says_why(server, client):
    body = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}'
    put = "PUT /v2/shop/web/manifests/latest"
    server.answers[put] = [(400, {"Content-Type": "application/json"}, body)]
    with pytest.raises(RegistryError, match=r"400 to PUT .*MANIFEST_BLOB_UNKNOWN: blob unknown"):
        client.put_manifest("shop/web", CONTENT, INDEX, tag="latest")


@pytest.mark.parametrize("form", ["relative", "absolute"])
def test_an_upload_follows_a_relative_and_an_absolute_location(server, client, form):
    location = "/v2/up/1?state=a%2Bb"
    absolute = location if form == "relative" else f"http://{server.host}{location}"
    server.answers["POST /v2/shop/web/blobs/uploads/"] = [(202, {"Location": absolute}, b"")]
    done = f"PUT {location}&digest={DIGEST.replace(':', '%3A')}"
    server.answers[done] = [(201, {"Docker-Content-Digest": DIGEST}, b"")]
    assert client.put_blob("shop/web", CONTENT) == DIGEST
    assert server.asked[-1][2] == CONTENT


def test_an_upload_to_another_host_without_tls_is_refused(server, client):
    elsewhere = {"Location": "http://blobs.example.com/up/1"}
    server.answers["POST /v2/shop/web/blobs/uploads/"] = [(202, elsewhere, b"")]
    with pytest.raises(RegistryError, match=r"blobs\.example\.com"):
        client.put_blob("shop/web", CONTENT)


@pytest.mark.parametrize("location", ["http://[", "https://a:99999/"])
def test_an_upload_to_no_address_is_an_error(server, client, location):
    server.answers["POST /v2/shop/web/blobs/uploads/"] = [(202, {"Location": location}, b"")]
    with pytest.raises(RegistryError):
        client.put_blob("shop/web", CONTENT)


def test_what_can_not_be_a_header_is_an_error(client):
    with pytest.raises(RegistryError, match="Invalid header value"):
        client.put_manifest("shop/web", CONTENT, "a\nb")


def test_lengths_without_measure_are_not_looked_at(server, client):
    endless = {"Content-Length": "9" * 5000, "Connection": "close"}
    server.answers[GET] = server.answers[f"GET /v2/shop/web/blobs/{DIGEST}"] = [
        (200, endless, [CONTENT])
    ]
    assert client.manifest("shop/web", "latest").content == CONTENT
    assert b"".join(client.stream_blob("shop/web", DIGEST)) == CONTENT
    begun = {"Location": "/u", "OCI-Chunk-Min-Length": "9" * 5000}
    server.answers["POST /v2/shop/web/blobs/uploads/"] = [(202, begun, b"")]
    with pytest.raises(RegistryError, match="404 to PUT /u"):
        client.put_blob("shop/web", b"other")


def test_an_interrupted_file_upload_starts_again(server, client, tmp_path):
    path = tmp_path / "layer"
    path.write_bytes(CONTENT)
    server.answers["POST /v2/shop/web/blobs/uploads/"] = [
        (202, {"Location": "/up/1"}, b""),
        (202, {"Location": "/up/2"}, b""),
    ]
    query = f"?digest={DIGEST.replace(':', '%3A')}"
    server.answers[f"PUT /up/1{query}"] = [(500, {}, b"")]
    server.answers[f"PUT /up/2{query}"] = [(201, {}, b"")]
    assert client.put_blob_file("shop/web", path) == DIGEST
    assert server.asked[-1][2] == CONTENT


def test_a_stored_blob_is_not_sent_again(server, client):
    server.answers[f"HEAD /v2/shop/web/blobs/{DIGEST}"] = [(200, {}, b"")]
    assert client.put_blob("shop/web", CONTENT) == DIGEST
    assert server.lines() == [f"HEAD /v2/shop/web/blobs/{DIGEST}"]


def test_a_blob_of_any_size_is_found(server, client):
    digest = "sha256:" + "5" * 64
    line = f"HEAD /v2/shop/web/blobs/{digest}"
    server.answers[line] = [(200, {"Content-Length": str(1 << 40)}, [])]
    assert client.has_blob("shop/web", digest)


def test_a_damaged_blob_is_refused(server, client):
    server.answers[f"GET /v2/shop/web/blobs/{DIGEST}"] = [(200, {}, CONTENT + b" ")]
    with pytest.raises(RegistryError, match="damaged or replaced"):
        client.blob("shop/web", DIGEST)


def challenged(server, scope="repository:shop/web:pull"):
    realm = f"http://{server.host}/token"
    challenge = f'Bearer realm="{realm}",service="{server.host}",scope="{scope}"'
    return (401, {"WWW-Authenticate": challenge}, b"")


def token_path(server):
    return f"/token?service={server.host.replace(':', '%3A')}&scope=repository%3Ashop%2Fweb%3Apull"


def test_one_token_serves_all_threads_and_later_questions(server, client):
    """Twenty questions from four threads cost one token, not twenty."""
    server.answers[HEAD] = [challenged(server), FOUND]
    token = json.dumps({"access_token": "T", "expires_in": 300}).encode()
    where = token_path(server)
    server.answers[f"GET {where}"] = [(200, {}, token)]
    assert client.resolve("shop/web", "latest") == DIGEST
    threads = [
        threading.Thread(target=lambda: [client.resolve("shop/web", "latest") for _ in range(5)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.lines().count(f"GET {where}") == 1
    assert server.lines().count(HEAD) == 22
    assert server.asked[-1][1]["Authorization"] == "Bearer T"


@pytest.mark.parametrize("token", ["a\nb", "\u20ac", "\ud800"])
def test_a_token_that_can_not_be_sent_is_none(server, client, token):
    server.answers[HEAD] = [challenged(server), FOUND]
    server.answers[f"GET {token_path(server)}"] = [(200, {}, json.dumps({"token": token}).encode())]
    with pytest.raises(RegistryError, match="answered without a token"):
        client.resolve("shop/web", "latest")


@pytest.mark.parametrize("life", [10**99, -(10**98)], ids=["most", "least"])
@pytest.mark.parametrize("told", [True, False])
def test_a_life_without_measure_is_no_error(server, client, life, told):
    claims = base64.urlsafe_b64encode(json.dumps({"exp": life, "iat": 1}).encode()).decode()
    answer = {"token": "T", "expires_in": life} if told else {"token": f"e.{claims}.s"}
    server.answers[HEAD] = [challenged(server), FOUND]
    server.answers[f"GET {token_path(server)}"] = [(200, {}, json.dumps(answer).encode())]
    assert client.resolve("shop/web", "latest") == DIGEST


@pytest.mark.parametrize("life", ["1" * 400, "1e400", "NaN"])
def test_a_token_with_a_number_that_is_none_is_no_token(server, client, life):
    server.answers[HEAD] = [challenged(server), FOUND]
    answer = f'{{"token": "T", "expires_in": {life}}}'.encode()
    server.answers[f"GET {token_path(server)}"] = [(200, {}, answer)]
    with pytest.raises(RegistryError, match="answered without a token"):
        client.resolve("shop/web", "latest")


@pytest.mark.parametrize("realm", ["https://[", "https://a:99999/", "http:///x"])
def test_a_challenge_that_leads_to_no_address_is_an_error(server, client, realm):
    server.answers[HEAD] = [(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}, b"")]
    with pytest.raises(RegistryError):
        client.resolve("shop/web", "latest")


def test_acr_exchanges_an_identity_for_its_own_token(server, slept):
    class Identity:
        """Stands in for Entra ID, the one thing that can't be here."""

        def get_token(self, scope):
            assert scope == "https://containerregistry.azure.net/.default"
            return type("Token", (), {"token": "entra"})

    client = RegistryClient(server.host, plain_http=True, credential=Identity(), sleep=slept.append)
    server.answers[HEAD] = [challenged(server), FOUND]
    server.answers["POST /oauth2/exchange"] = [(200, {}, b'{"refresh_token":"R"}')]
    server.answers["POST /oauth2/token"] = [(200, {}, b'{"access_token":"A"}')]
    assert client.resolve("shop/web", "latest") == DIGEST
    assert server.lines() == [HEAD, "POST /oauth2/exchange", "POST /oauth2/token", HEAD]
    assert b"access_token=entra" in server.asked[1][2]
    assert b"grant_type=refresh_token" in server.asked[2][2]
    assert server.asked[3][1]["Authorization"] == "Bearer A"
    client.close()


def test_an_identity_that_can_not_be_had_is_an_error_that_says_why(server, slept):
    class Identity:
        def get_token(self, _scope):
            raise ClientAuthenticationError("Please run 'az login' to set up an account")

    client = RegistryClient(server.host, plain_http=True, credential=Identity(), sleep=slept.append)
    server.answers[HEAD] = [challenged(server)]
    with pytest.raises(RegistryError, match="az login"):
        client.resolve("shop/web", "latest")
    client.close()


def test_each_exchange_asks_the_identity_for_a_fresh_assertion(server, slept):
    """An OIDC assertion lives for minutes; one that was kept ends in AADSTS700024."""

    class Identity:
        asked = 0

        def get_token(self, _scope):
            self.asked += 1
            return type("Token", (), {"token": f"assertion-{self.asked}"})

    client = RegistryClient(server.host, plain_http=True, credential=Identity(), sleep=slept.append)
    server.answers[HEAD] = [challenged(server), FOUND] * 2
    body = b'{"refresh_token":"R","access_token":"A","expires_in":1}'
    server.answers["POST /oauth2/exchange"] = server.answers["POST /oauth2/token"] = [
        (200, {}, body)
    ]
    client.resolve("shop/web", "latest")
    time.sleep(1.05)  # both tokens are over now
    client.resolve("shop/web", "latest")
    sent = [body for line, _, body in server.asked if line == "POST /oauth2/exchange"]
    assert [f"assertion-{number}".encode() in sent[number - 1] for number in (1, 2)] == [True, True]
    client.close()


def test_a_basic_challenge_is_answered_with_the_login(server, slept):
    login = ("bob", Secret("hunter2"))
    client = RegistryClient(server.host, plain_http=True, login=login, sleep=slept.append)
    server.answers[HEAD] = [(401, {"WWW-Authenticate": 'Basic realm="r"'}, b""), FOUND]
    assert client.resolve("shop/web", "latest") == DIGEST
    assert server.asked[-1][1]["Authorization"] == "Basic Ym9iOmh1bnRlcjI="
    client.close()


def test_a_challenge_that_nothing_can_answer_is_an_error_with_a_hint(server, client):
    server.answers[HEAD] = [(401, {"WWW-Authenticate": 'Basic realm="r"'}, b"")]
    with pytest.raises(RegistryError, match="401") as caught:
        client.resolve("shop/web", "latest")
    assert "AcrPull" in caught.value.hint


def test_a_redirected_blob_is_fetched_without_our_token(server, slept):
    """localhost and 127.0.0.1 are different hosts to the client, as a storage account would be."""
    login = ("bob", Secret("hunter2"))
    client = RegistryClient(server.host, plain_http=True, login=login, sleep=slept.append)
    port = server.host.partition(":")[2]
    blob = f"GET /v2/shop/web/blobs/{DIGEST}"
    server.answers[blob] = [
        (401, {"WWW-Authenticate": "Basic"}, b""),
        (307, {"Location": f"http://localhost:{port}/store/1"}, b""),
    ]
    server.answers["GET /store/1"] = [(200, {}, CONTENT)]
    assert client.blob("shop/web", DIGEST) == CONTENT
    assert "Authorization" in server.asked[1][1]
    assert "Authorization" not in server.asked[2][1]
    client.close()


def test_a_redirect_from_tls_to_plain_http_is_followed_without_our_token():
    """Behind a proxy that ends TLS, registries are known to name themselves with http."""

    def deliver(request):
        sent.append((request.url, request.headers.get("Authorization")))
        status = 200 if len(sent) > 1 else 401
        return Response(request=request, status_code=status, headers={"WWW-Authenticate": "Basic"})

    sent = []
    login = ("bob", Secret("hunter2"))
    tokens = Tokens(Authenticator(host="r.example", scheme="https", fetch=None, login=login))
    for scheme in ("https", "http"):
        url = f"{scheme}://r.example/v2/shop/web/manifests/latest"
        tokens.send(Request(method="GET", url=url), deliver)
    (_, first), (_, challenged), (redirected, last) = sent
    assert first is None
    assert challenged.startswith("Basic ")
    assert redirected.startswith("http://")
    assert last is None


@pytest.mark.parametrize("name", ["latest", "../manifests/latest", "sha256:abc", ""])
def test_a_blob_that_is_not_named_by_a_digest_is_not_read(server, client, name):
    """A manifest may name anything; only what a digest names can be checked."""
    server.answers[f"GET /v2/shop/web/blobs/{name}"] = [(200, {}, b"evil")]
    with pytest.raises(RegistryError, match="is not a digest"):
        client.blob("shop/web", name)
    assert server.asked == []


@pytest.mark.parametrize("said", ["sha256:abc", "latest", "sha512:" + "1" * 128])
def test_a_tag_that_is_said_to_mean_no_digest_is_an_error(server, client, said):
    server.answers[HEAD] = [(200, {"Docker-Content-Digest": said}, b"")]
    with pytest.raises(RegistryError, match="names no digest"):
        client.resolve("shop/web", "latest")


def test_a_manifest_that_is_nested_without_measure_is_no_manifest(server, client):
    content = b'{"schemaVersion":2,"x":' + b"[" * 9000 + b"]" * 9000 + b"}"
    server.answers[GET] = [(200, {}, content)]
    with pytest.raises(RegistryError, match="is no manifest"):
        client.manifest("shop/web", "latest")


@pytest.mark.parametrize("told", [True, False])
def test_an_answer_that_would_fill_the_memory_is_not_read(server, client, told):
    sent = []

    def endless():
        piece = b"x" * (1 << 16)
        while len(sent) < 1000:
            yield piece if told else b"10000\r\n" + piece + b"\r\n"
            sent.append(len(piece))

    headers = {"Content-Length": str(1 << 40)} if told else {"Transfer-Encoding": "chunked"}
    server.answers[GET] = [(200, headers, endless())]
    with pytest.raises(RegistryError, match="more than 8 MiB"):
        client.manifest("shop/web", "latest")
    assert len(sent) < 1000


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_comes_a_byte_at_a_time_is_given_up(monkeypatch, server, client, streamed):
    """Each byte comes in time, and the last one never. The clock passes a minute with each look."""
    minutes = itertools.count(0, 60.0)
    monkeypatch.setattr("aksci.oci.transport._now", lambda: next(minutes))
    sent = []

    def dripping():
        while len(sent) < 500:
            yield b"1\r\n{\r\n"
            sent.append(1)

    headers = {"Transfer-Encoding": "chunked"}
    line = f"GET /v2/shop/web/blobs/{DIGEST}" if streamed else GET
    server.answers[line] = [(200, headers, dripping())]

    def read():
        if streamed:
            return list(client.stream_blob("shop/web", DIGEST))
        return client.manifest("shop/web", "latest")

    with pytest.raises(RegistryError, match=r"bytes in \d+ s, and was given up"):
        read()


def test_an_answer_that_is_long_and_comes_at_a_pace_is_read(monkeypatch, server, client):
    seconds = itertools.count(0, 10.0)
    monkeypatch.setattr("aksci.oci.transport._now", lambda: next(seconds))
    content = b"x" * (4 << 20)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    server.answers[f"GET /v2/shop/web/blobs/{digest}"] = [(200, {}, content)]
    assert b"".join(client.stream_blob("shop/web", digest)) == content


def test_several_challenges_in_one_header_are_told_apart():
    header = (
        'Bearer realm="https://x/t",service="x",scope="repository:a/b:pull,push", Basic realm="y"'
    )
    bearer, basic = parse_challenges(header)
    assert bearer.scheme == "bearer"
    assert bearer.parameters["scope"] == "repository:a/b:pull,push"
    assert (basic.scheme, basic.parameters) == ("basic", {"realm": "y"})
