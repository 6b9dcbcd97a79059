"""The quick lane: plain answers cost little, everything else goes the careful way."""

from __future__ import annotations

import ssl
import subprocess
import sys

import pytest

from aksci.core.errors import RegistryError
from aksci.oci.client import RegistryClient
from aksci.testing.registry_server import serve

DIGEST = "sha256:" + "5" * 64
HEAD = "HEAD /v2/shop/web/manifests/latest"


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


def test_a_compressed_answer_is_left_to_the_pipeline(server):
    client = RegistryClient(server.host, plain_http=True)
    squeezed = {"Docker-Content-Digest": DIGEST, "Content-Encoding": "gzip"}
    server.answers[HEAD] = [(200, squeezed, b"")]
    assert client.resolve("shop/web", "latest") == DIGEST
    assert server.lines() == [HEAD, HEAD]
    client.close()


def test_plain_answers_load_no_pipeline(server):
    server.answers[HEAD] = [(404, {}, b""), (200, {"Docker-Content-Digest": DIGEST}, b"")]
    code = (
        "import sys; from aksci.oci.client import RegistryClient;"
        f"client = RegistryClient({server.host!r}, plain_http=True);"
        "assert client.resolve('shop/web', 'latest') is None;"
        f"assert client.resolve('shop/web', 'latest') == {DIGEST!r};"
        "print([name for name in ('azure', 'requests', 'urllib3') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
    assert server.lines() == [HEAD, "GET /v2/", HEAD]


def test_behind_a_proxy_every_question_takes_the_pipeline():
    client = RegistryClient("registry.example.com", proxies={"https": "http://proxy:3128"})
    assert client._connection.quick is None


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
            assert client._connection.pipelines is None
        else:
            with pytest.raises(RegistryError, match=r"(?i)certificate"):
                client.resolve("shop/web", "latest")
            assert server.asked == []
        client.close()
