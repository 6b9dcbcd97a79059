"""Probes are answered and webhooks get in, whatever a client without the secret does."""

from __future__ import annotations

import concurrent.futures
import json
import resource
import socket
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.cascade.receiver import server as module
from aksci.cascade.receiver.request_head import LARGEST_HEAD, RequestHead

SECRET = "a-made-up-secret-of-32-characters"
AUTHORIZED = f"Authorization: Bearer {SECRET}\r\n".encode()
HALF = {
    "nothing": b"",
    "half a request line": b"POST /ac",
    "half of the headers": b"POST /acr HTTP/1.1\r\nHost: x\r\nContent-Le",
    "no body, without the secret": b"POST /acr HTTP/1.1\r\nContent-Length: 100000\r\n\r\n",
    "a wrong secret": b"POST /acr HTTP/1.1\r\nAuthorization: Bearer x\r\nContent-Length: 9\r\n\r\n",
    "no body, at another address": b"POST /x HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n",
    "chunks without end": b"POST /acr HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    "a body when it is told to": b"POST /acr HTTP/1.1\r\nExpect: 100-continue\r\n"
    b"Content-Length: 10\r\n\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303") + bytes(100),
    "HTTP/0.9": b"GET /healthz\r\n",
    "many requests": b"GET /healthz HTTP/1.1\r\nConnection: keep-alive\r\n\r\n" * 100,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "a long header": b"GET /healthz HTTP/1.1\r\na: " + b"x" * 60_000,
    "many headers": b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 2000,
    "line breaks": b"\r\n" * 3000,
    "zeros": bytes(50_000),
}


@pytest.fixture(autouse=True)
def descriptors():
    """Let this process hold both ends of five hundred connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def hold(server):
    """Open connections, send each some bytes, and keep them."""
    held = []

    def open_and_keep(number, data):
        for _ in range(number):
            each = socket.create_connection(server.server_address[:2], timeout=10)
            held.append(each)
            each.setblocking(False)
            # Those before may have been sent away already, and then do not take it all.
            try:
                each.send(data)
            except OSError:
                continue
        return held

    yield open_and_keep
    for each in held:
        each.close()


def gets_in(client, event, number):
    """Tell what the probes and a webhook are answered."""
    probes = [client.send(path, secret=None)[0] for path in ("/healthz", "/readyz")]
    return [*probes, client.send("/acr", event(number))[0]]


@pytest.mark.parametrize("kind", HALF)
def test_five_hundred_connections_that_stay_keep_no_probe_and_no_webhook_out(
    client, event, hold, server, kind
):
    hold(500, HALF[kind])
    assert gets_in(client, event, "1") == [200, 200, 202]
    assert len(server._unproven) <= module._UNPROVEN
    assert threading.active_count() < 12, "a connection costs no thread"


def test_the_oldest_connection_without_the_secret_makes_room(client, hold, server, monkeypatch):
    monkeypatch.setattr(server, "_most", 8)
    held = hold(9, b"")
    assert client.send("/healthz")[0] == 200
    held[0].settimeout(10)
    assert held[0].recv(1) == b""
    with pytest.raises(BlockingIOError):
        held[8].recv(1)


def test_who_has_shown_the_secret_is_not_sent_away_for_who_has_not(
    server, client, event, hold, monkeypatch
):
    monkeypatch.setattr(server, "_most", 4)
    body = json.dumps(event()).encode()
    head = b"POST /acr HTTP/1.1\r\n" + AUTHORIZED
    with socket.create_connection(server.server_address[:2], timeout=10) as slow:
        slow.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:10])
        wait_until(lambda: server._proven)
        hold(100, b"")
        assert client.send("/healthz")[0] == 200
        slow.sendall(body[10:])
        assert slow.recv(1000).startswith(b"HTTP/1.1 202 ")


def test_requests_with_the_secret_are_so_many_at_once_and_probes_do_not_count(
    server, client, hold, event
):
    hold(32, b"POST /acr HTTP/1.1\r\n" + AUTHORIZED + b"Content-Length: 1000\r\n\r\n")
    wait_until(lambda: len(server._proven) == 32)
    status, headers, _ = client.send("/acr", event())
    assert (status, headers["Retry-After"]) == (503, "5")
    assert client.send("/healthz", secret=None)[0] == 200


def test_headers_have_a_time_of_their_own_however_they_drip(server, monkeypatch):
    monkeypatch.setattr(module, "_HEAD_PATIENCE", 0.5)
    with socket.create_connection(server.server_address[:2], timeout=10) as slow:
        ended = drip(slow, b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 2000)
    assert ended


def test_headers_are_read_to_a_limit_in_all(server):
    with socket.create_connection(server.server_address[:2], timeout=10) as greedy:
        greedy.sendall(b"GET /healthz HTTP/1.1\r\n")
        line = b"a: " + b"x" * 1000 + b"\r\n"
        # A hundred lines of 64 KiB each are what the standard library would keep.
        for _ in range(LARGEST_HEAD // len(line) + 1):
            greedy.sendall(line)
        assert greedy.recv(1000).startswith(b"HTTP/1.1 431 ")


def test_a_body_is_asked_for_once_the_secret_is_shown(server, event):
    body = json.dumps(event()).encode()
    expect = b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(server.server_address[:2], timeout=10) as client:
        client.sendall(b"POST /acr HTTP/1.1\r\n" + expect)
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")
    with socket.create_connection(server.server_address[:2], timeout=10) as client:
        client.sendall(b"POST /acr HTTP/1.1\r\n" + AUTHORIZED + expect)
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(1000).startswith(b"HTTP/1.1 202 ")


def test_refused_requests_fill_no_log(client, log, event):
    for _ in range(100):
        client.send("/nowhere", secret=None)
        client.send("/acr", event(), secret=None)
    assert len(log.lines) <= module._TOLD
    client.send("/status")
    assert log.lines[-1].endswith("/status: 200"), "what shows the secret is always told"


def test_how_many_requests_were_not_told_is_told(client, log, monkeypatch):
    monkeypatch.setattr(module, "_TOLD", 2)
    for _ in range(5):
        client.send("/nowhere", secret=None)
    assert len(log.lines) == 2
    monkeypatch.setattr(client.server, "_told_until", 0.0)
    client.send("/nowhere", secret=None)
    assert log.lines[2] == "3 more requests were refused."


def test_probes_that_ask_at_once_share_one_look_at_the_disk(client, intake):
    looks, go = [], threading.Event()

    def look():
        looks.append(1)
        return go.wait(10)

    intake.ready = look
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(client.send, "/readyz", secret=None) for _ in range(20)]
        wait_until(lambda: len(client.server._unproven) == 20)
        assert client.send("/healthz", secret=None)[0] == 200, "it does not wait for that"
        go.set()
        assert {each.result()[0] for each in asked} == {200}
    assert len(looks) == 1


def test_a_request_that_breaks_us_breaks_no_other_one(client, intake, event, log):
    works = intake.receive
    intake.receive = lambda *_: 1 / 0
    with pytest.raises(OSError, match=r"reset|closed"):
        client.send("/acr", event())
    assert log.errors == ["A request failed: ZeroDivisionError."]
    intake.receive = works
    assert client.send("/acr", event())[0] == 202


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET //healthz HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /healthz?a=b HTTP/1.1\r\n\r\n", b"200"),
        (b"GET http://h/healthz HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /acr HTTP/1.1\r\nauthorization: Bearer x\r\n" + AUTHORIZED + b"\r\n", b"401"),
        (b"GET /status HTTP/1.1\r\nAuthorization : Bearer x\r\n\r\n", b"401"),
        (b"GET /status HTTP/1.1\r\nX: y\r\n " + AUTHORIZED + b"\r\n", b"401"),
        (b"GET /status HTTP/1.1\r\nno colon\r\n" + AUTHORIZED + b"\r\n", b"401"),
        (b"GET /status HTTP/1.1\r\n\0: \0\r\n\r\n", b"401"),
        (b"GET /status HTTP/1.1\r\nAuthorization: Bearer \xff\xfe\r\n\r\n", b"401"),
        (b"HEAD /healthz HTTP/1.1\r\n\r\n", b"501"),
        (b"CONNECT h:80 HTTP/1.1\r\n\r\n", b"501"),
        (b"PRI * HTTP/2.0\r\n\r\n", b"505"),
        (b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.\xc2\xb2\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/" + b"9" * 5000 + b".1\r\n\r\n", b"400"),
    ],
)
def test_a_request_that_can_be_read_in_two_ways_shows_no_secret(server, data, status):
    with socket.create_connection(server.server_address[:2], timeout=10) as client:
        client.sendall(data)
        assert client.recv(1000).split()[1] == status


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_whatever_bytes_come_are_a_request_or_none(line, headers):
    head = RequestHead(line + b"\r\n" + headers + b"\r\n\r\n")
    assert head.refused in {0, 400, 414, 431, 501, 505}
    if not head.refused:
        assert head.command in {"GET", "POST"}
        assert head.waits in {True, False}


FEW = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
sys.path.insert(0, sys.argv[1])
import datetime, pathlib, threading
from aksci.cascade.receiver.server import open_server
from aksci.core.secret import Secret
from aksci.testing.reporter import RecordingReporter
class Intake:
    reporter = RecordingReporter()
    def ready(self): return True
server = open_server("127.0.0.1:0", intake=Intake(), secret=Secret("s"), status=dict)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
server.shutdown()
server.server_close()
sys.exit(len(Intake.reporter.told) > 70)
"""


@pytest.mark.parametrize("descriptors_of_its_own", [24, 60, 300])
def test_a_process_with_few_file_descriptors_goes_on(descriptors_of_its_own, tmp_path):
    program = [sys.executable, "-c", FEW, str(tmp_path), str(descriptors_of_its_own)]
    with subprocess.Popen(program, stdin=-1, stdout=-1, text=True) as running:
        port = int(running.stdout.readline())
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(400)]
        answered = b""
        for _ in range(20):  # a descriptor may be free a second later only
            with socket.create_connection(("127.0.0.1", port), timeout=10) as probe:
                try:
                    probe.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                    answered = probe.recv(1000)
                    break
                except OSError:
                    continue
        for each in held:
            each.close()
        running.stdin.close()
        assert answered.startswith(b"HTTP/1.1 200 ")
        assert running.wait(20) == 0


def wait_until(what):
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def drip(connection, data):
    """Send bytes one by one; True: the other side has had enough before all were sent."""
    for byte in data:
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            return True
        time.sleep(0.005)
    return False
