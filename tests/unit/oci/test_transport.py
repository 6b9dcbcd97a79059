"""The transport: connections that are kept, what is imported, proxies, certificates, retries."""

from __future__ import annotations

import base64
import gzip
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aksci.core.errors import RegistryError
from aksci.core.http import proxy_for
from aksci.oci.client import RegistryClient
from aksci.oci.connection import Session
from aksci.oci.transport import Request
from aksci.testing.registry_server import serve

DIGEST = "sha256:" + "5" * 64
HEAD = "HEAD /v2/shop/web/manifests/latest"
GET = "GET /v2/shop/web/manifests/latest"
MANIFEST = b'{"schemaVersion":2}'


FOUND = (200, {"Docker-Content-Digest": DIGEST}, b"")


def test_one_connection_serves_many_questions(server):
    server.answers[HEAD] = [FOUND]
    client = RegistryClient(server.host, plain_http=True)
    assert {client.resolve("shop/web", "latest") for _ in range(20)} == {DIGEST}
    client.close()
    assert (server.connections, len(server.asked)) == (1, 20)


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_without_a_wait(server):
    slept = []
    server.answers[HEAD], server.keep_alive = [FOUND], 1
    client = RegistryClient(server.host, plain_http=True, sleep=slept.append)
    assert [client.resolve("shop/web", "latest") for _ in range(3)] == [DIGEST] * 3
    client.close()
    assert (server.connections, slept) == (3, [])


def test_a_compressed_answer_is_read_as_what_was_compressed(server):
    client = RegistryClient(server.host, plain_http=True)
    squeezed = {"Docker-Content-Digest": DIGEST, "Content-Encoding": "gzip"}
    server.answers[HEAD] = [(200, squeezed, b"")]
    assert client.resolve("shop/web", "latest") == DIGEST
    server.answers[GET] = [(200, {"Content-Encoding": "gzip"}, gzip.compress(MANIFEST))]
    assert client.manifest("shop/web", "latest").content == MANIFEST
    assert server.lines() == [HEAD, GET]
    assert {one.headers["Accept-Encoding"] for one in server.asked} == {"identity"}
    client.close()


def test_plain_answers_load_neither_requests_nor_azure(server):
    server.answers[HEAD] = [(404, {}, b""), (200, {"Docker-Content-Digest": DIGEST}, b"")]
    code = (
        "import sys; from aksci.oci.client import RegistryClient;"
        "assert 'urllib3' not in sys.modules;"
        f"client = RegistryClient({server.host!r}, plain_http=True);"
        "assert client.resolve('shop/web', 'latest') is None;"
        f"assert client.resolve('shop/web', 'latest') == {DIGEST!r};"
        "print([name for name in ('azure', 'requests') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
    assert server.lines() == [HEAD, "GET /v2/", HEAD]


class Proxy(ThreadingHTTPServer):
    """Refuses all, and notes what it is asked for."""

    daemon_threads = True

    def __init__(self):
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                outer.asked.append((self.requestline, self.headers.get("Proxy-Authorization")))
                self.send_response(403)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_CONNECT = do_HEAD = do_GET = answer  # noqa: N815 - http.server's names

            def log_message(self, *args):
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


def test_behind_a_proxy_every_question_takes_it_with_its_password():
    with Proxy() as proxy:
        address = f"http://bob:p%40ss@127.0.0.1:{proxy.server_port}"
        client = RegistryClient(
            "registry.example.com", proxy=lambda _: address, sleep=lambda _: None
        )
        with pytest.raises(RegistryError, match="can't be reached"):
            client.resolve("shop/web", "latest")
        client.close()
    login = base64.b64encode(b"bob:p@ss").decode()
    assert set(proxy.asked) == {("CONNECT registry.example.com:443 HTTP/1.0", f"Basic {login}")}


def test_what_an_answer_leads_on_to_has_a_proxy_of_its_own(server):
    """A registry that no_proxy names often keeps its blobs at a host that it does not name."""
    with Proxy() as proxy:
        variables = {"http_proxy": f"http://127.0.0.1:{proxy.server_port}"}
        client = RegistryClient(
            server.host, plain_http=True, proxy=partial(proxy_for, variables=variables)
        )
        server.answers[GET] = [(307, {"Location": "http://storage.example/x"}, b"")]
        with pytest.raises(RegistryError, match="403"):
            client.manifest("shop/web", "latest")
        client.close()
    assert server.lines() == [GET]
    assert proxy.asked == [("GET http://storage.example/x HTTP/1.1", None)]


def test_the_environments_proxy_and_netrc_are_not_looked_at(server, monkeypatch, tmp_path):
    """The edge hands in what counts."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login bob password hunter2\n")
    server.answers[HEAD] = [(200, {"Docker-Content-Digest": DIGEST}, b"")]
    client = RegistryClient(server.host, plain_http=True)
    assert client.resolve("shop/web", "latest") == DIGEST
    assert "Authorization" not in server.asked[0][1]
    client.close()


def test_an_answer_that_breaks_off_is_asked_for_again(server):
    slept = []
    client = RegistryClient(server.host, plain_http=True, sleep=slept.append)
    more = {"Content-Length": str(len(MANIFEST) + 1), "Connection": "close"}
    server.answers[GET] = [(200, more, [MANIFEST]), (200, {}, MANIFEST)]
    server.keep_alive = 1
    assert client.manifest("shop/web", "latest").content == MANIFEST
    assert server.lines() == [GET, GET]
    client.close()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_have_been_done_is_repeated_only_where_it_was_refused_unread(server, status):
    waits = []
    session = Session(
        server.host, "http", credential=None, login=None, verify=True, proxy=None, wait=waits.append
    )
    line = "PATCH /up/1"
    server.answers[line] = [(status, {}, b""), (202, {}, b"")]
    url = f"http://{server.host}/up/1"
    asked = Request(method="PATCH", url=url, content=b"x", once=True)
    assert session.send(asked).status_code == (202 if status == 429 else status)
    assert waits == ([0.2] if status == 429 else [])
    session.close()


def test_a_file_is_sent_once_with_its_length_and_nothing_is_kept_in_memory(server, tmp_path):
    (tmp_path / "layer").write_bytes(b"x" * 5000)
    session = Session(
        server.host, "http", credential=None, login=None, verify=True, proxy=None, wait=pytest.fail
    )
    server.answers["PUT /up/1"] = [(503, {}, b"")]
    url = f"http://{server.host}/up/1"
    with (tmp_path / "layer").open("rb") as file:
        file.seek(1000)
        assert session.send(Request(method="PUT", url=url, content=file)).status_code == 503
    ((_, headers, body),) = server.asked
    assert (headers["Content-Length"], len(body)) == ("4000", 4000)
    assert "Transfer-Encoding" not in headers
    session.close()


@pytest.mark.parametrize(
    ("status", "method", "followed"),
    [
        (301, "GET", "GET"),
        (302, "HEAD", "HEAD"),
        (302, "PUT", None),
        (303, "PUT", "GET"),
        (307, "PUT", "PUT"),
        (308, "GET", "GET"),
    ],
)
def test_a_redirect_keeps_what_it_must(server, status, method, followed):
    session = Session(
        server.host, "http", credential=None, login=None, verify=True, proxy=None, wait=pytest.fail
    )
    server.answers[f"{method} /a"] = [(status, {"Location": "/b"}, b"")]
    if followed:
        server.answers[f"{followed} /b"] = [(200, {}, b"")]
    url = f"http://{server.host}/a"
    found = session.send(Request(method=method, url=url, content=b"x" if method == "PUT" else None))
    assert found.status_code == (200 if followed else status)
    assert server.lines() == [f"{method} /a", *([f"{followed} /b"] if followed else [])]
    if followed == "PUT":
        assert server.asked[-1][2] == b"x"
    session.close()


@pytest.mark.parametrize("where", ["/a", "ftp://elsewhere/x", "http://[", "file:///etc/passwd"])
def test_redirects_without_an_end_or_to_what_is_not_http_are_errors(server, where):
    server.answers[HEAD] = [(307, {"Location": where}, b"")]
    server.answers["HEAD /a"] = [(307, {"Location": "/a"}, b"")]
    client = RegistryClient(server.host, plain_http=True)
    with pytest.raises(RegistryError, match="can't be reached: it redirects"):
        client.resolve("shop/web", "latest")
    assert len(server.asked) == (6 if where == "/a" else 1)
    client.close()


def test_threads_that_ask_first_at_once_share_one_pool(server):
    server.answers[HEAD] = [FOUND]
    client = RegistryClient(server.host, plain_http=True)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: client.resolve("shop/web", "latest"), range(40)))
    client.close()
    assert (set(found), len(server.asked)) == ({DIGEST}, 40)
    assert server.connections <= 8


def test_a_handshake_that_breaks_off_is_begun_again_and_no_refusal(make_certificate):
    chain, private = make_certificate("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def busy_then_ready():
        with listener.accept()[0] as first:
            first.recv(1 << 16)
        with context.wrap_socket(listener.accept()[0], server_side=True) as second:
            second.recv(1 << 16)
            header = f"Docker-Content-Digest: {DIGEST}\r\nConnection: close"
            second.sendall(f"HTTP/1.1 200 OK\r\n{header}\r\n\r\n".encode())

    slept = []
    host = f"localhost:{listener.getsockname()[1]}"
    client = RegistryClient(host, verify=str(chain), sleep=slept.append)
    with listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(busy_then_ready)
        assert client.resolve("shop/web", "latest") == DIGEST
        served.result()
    client.close()
    assert slept == []


@pytest.mark.parametrize(
    ("named", "trusted", "fine"),
    [("localhost", True, True), ("localhost", False, False), ("elsewhere", True, False)],
)
def test_certificates_and_names_are_checked(make_certificate, named, trusted, fine):
    """The certificate's common name is localhost in all cases: it must not count."""
    chain, private = make_certificate(named)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, private)
    with serve(tls=context) as server:
        server.answers[HEAD] = [FOUND]
        host = f"localhost:{server.host.partition(':')[2]}"
        client = RegistryClient(host, verify=str(chain) if trusted else True)
        if fine:
            assert client.resolve("shop/web", "latest") == DIGEST
        else:
            with pytest.raises(RegistryError, match=r"(?i)certificate"):
                client.resolve("shop/web", "latest")
            assert server.asked == []
        client.close()
