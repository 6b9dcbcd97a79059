"""Who may speak to the receiver, how much and how long; and what each is answered."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from aksci.cascade.receiver import server as module
from aksci.cascade.receiver.server import open_server
from aksci.core.errors import PortTakenError
from aksci.core.secret import Secret


def test_a_push_is_stored_before_it_is_answered(client, event, store):
    status, _, answer = client.send("/acr", event())
    assert (status, answer) == (202, {"status": "accepted: 1"})
    assert store.take(0).bases[0][0] == "shop.azurecr.io/bases/python:3.12"


def test_an_envelope_of_distribution_counts_by_docker_ios_name(client, notification, store):
    events = [notification("1"), notification("2", action="pull"), notification("3", tag="x")]
    assert client.send("/distribution", {"events": events})[0] == 202
    assert store.take(0).bases[0][0] == "docker.io/library/debian:bookworm-slim"


@pytest.mark.parametrize(
    "changes", [{"action": "ping"}, {"action": "delete"}, {"repository": "shop/web"}]
)
def test_what_is_of_no_use_is_answered_well_and_forgotten(client, event, store, changes):
    assert client.send("/acr", event(**changes))[0] == 200
    assert store.take(0) is None


def test_a_replayed_event_is_answered_well_and_nothing_happens(client, event, store, clock):
    first = event()
    assert client.send("/acr", first)[0] == 202
    store.done(store.take(0))
    clock.pass_by(200)
    assert client.send("/acr", first)[0] == 200
    assert store.take(0) is None


def test_an_old_event_never_starts_anything_even_when_its_id_is_forgotten(
    client, event, notification, store, clock
):
    old, noted = event(), notification("2")
    client.send("/acr", old)
    client.send("/distribution", {"events": [noted]})
    store.done(store.take(0))
    for seconds in (301, 10_000):
        clock.pass_by(seconds)
        assert client.send("/acr", old)[0] == 400
        # Distribution would send it again for ever, and nothing after it.
        assert client.send("/distribution", {"events": [noted]})[0] == 200
    assert store.take(0) is None


def test_an_event_of_the_future_can_be_replayed_at_no_time(client, event, store, clock):
    clock.pass_by(299)
    ahead = event()
    clock.pass_by(-299)
    assert client.send("/acr", ahead)[0] == 202
    store.done(store.take(0))
    for _ in range(70):
        clock.pass_by(10)
        assert client.send("/acr", ahead)[0] in {200, 400}
    assert store.take(0) is None


@pytest.mark.parametrize(
    "secret", [None, "", "a-made-up-secret-of-32-character", "wrong", "ü" * 20, "x" * 5000]
)
@pytest.mark.parametrize("path", ["/acr", "/distribution"])
def test_without_the_secret_nothing_is_said(client, event, store, secret, path):
    headers = {"Authorization": f"Bearer {secret}".encode()} if secret else None
    status, answered, document = client.send(path, event(), secret=None, headers=headers)
    assert (status, document) == (401, {})
    assert answered["WWW-Authenticate"] == "Bearer"
    assert store.take(0) is None


def test_the_status_is_for_those_who_know_the_secret(client, event, store):
    client.send("/acr", event())
    assert client.send("/status", secret=None)[0] == 401
    status, _, document = client.send("/status")
    assert status == 200
    assert document["queue"] == {"waiting": 1, "running": 0, "done": 0, "failed": 0}
    assert document["last"] is None


def test_probes_need_no_secret_and_tell_when_nothing_can_be_stored(client, event, intake, log):
    assert client.send("/healthz", secret=None)[0] == 200
    assert client.send("/readyz", secret=None)[0] == 200
    intake.store._connection.execute("PRAGMA query_only = 1")
    assert client.send("/acr", event())[0] == 503
    assert client.send("/readyz", secret=None)[0] == 503
    assert client.send("/healthz", secret=None)[0] == 200
    intake.store._connection.execute("PRAGMA query_only = 0")
    assert client.send("/readyz", secret=None)[0] == 200, "without an event: none would be sent"
    assert client.send("/acr", event())[0] == 202
    assert "healthz" not in log.text


def test_two_mebibytes_are_refused_unread_and_told(client, log):
    status, _, document = client.send("/acr", b"x" * (2 << 20))
    assert (status, document) == (413, {"error": "more than 1048576 bytes"})


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"events": 1}', b"nonsense", b"\xff\xfe"])
@pytest.mark.parametrize("path", ["/acr", "/distribution"])
def test_nonsense_is_refused(client, path, body):
    assert client.send(path, body)[0] == 400


def raw(server, data, *, wait=10):
    """Send bytes and return all that is answered."""
    with socket.create_connection(server.server_address[:2], timeout=wait) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    return answer


AUTHORIZED = b"Authorization: Bearer a-made-up-secret-of-32-characters\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /acr HTTP/1.1\r\n" + AUTHORIZED + b"\r\n", b"411"),
        (b"POST /acr HTTP/1.1\r\n" + AUTHORIZED + b"Content-Length: -1\r\n\r\n", b"411"),
        (b"POST /acr HTTP/1.1\r\n" + AUTHORIZED + b"Content-Length: 9" + b"9" * 5000, b"413"),
        (
            b"POST /acr HTTP/1.1\r\n" + AUTHORIZED + b"Content-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"411",
        ),
        (b"GET /acr HTTP/1.1\r\n" + AUTHORIZED + b"\r\n", b"405"),
        (b"GET /nowhere HTTP/1.1\r\n\r\n", b"404"),
        (b"BREW /acr HTTP/1.1\r\n\r\n", b"501"),
        (b"GET /acr HTTP/9.9\r\n\r\n", b"505"),
        (b"<script>alert(1)</script> x y z\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
    ],
)
def test_odd_requests_are_refused_without_being_repeated(server, log, request_, status):
    request_ = request_ if request_.endswith(b"\r\n\r\n") else request_ + b"\r\n\r\n"
    answer = raw(server, request_)
    assert answer.split(b" ")[1] == status, answer
    assert b"script" not in answer
    assert b"nowhere" not in answer
    assert "Traceback" not in log.text


def test_nothing_that_a_client_says_reaches_the_log(client, event, log):
    odd = "x\n::error::y\x1b[2J##vso[task.complete]"
    client.send("/acr", event(repository=odd))
    client.send("/nowhere-%0A::error::", method="GET")
    client.send("/acr", event(), headers={"User-Agent": "##vso[task.complete]"})
    for line in log.lines:
        assert "\n" not in line
        assert "\x1b" not in line
        assert len(line) < 300
    assert "nowhere" not in log.text
    assert "secret" not in log.text


def test_a_slow_client_is_sent_away_and_others_are_served_meanwhile(
    server, client, event, monkeypatch
):
    monkeypatch.setattr(module, "_PATIENCE", 1.0)
    with socket.create_connection(server.server_address[:2], timeout=10) as slow:
        slow.sendall(b"POST /acr HTTP/1.1\r\n" + AUTHORIZED + b"Content-Length: 1000\r\n\r\n")
        ended = threading.Event()

        def drip():
            try:
                for _ in range(200):
                    slow.sendall(b"{")
                    time.sleep(0.05)
            except OSError:
                ended.set()

        thread = threading.Thread(target=drip)
        thread.start()
        assert client.send("/acr", event())[0] == 202
        thread.join(15)
        assert ended.is_set()


@pytest.mark.parametrize("listen", ["taken", "192.0.2.1:8090", "127.0.0.1:99999"])
def test_an_address_that_is_not_to_be_had_is_told(server, intake, store, listen):
    if listen == "taken":
        listen = f"127.0.0.1:{server.server_address[1]}"
    with pytest.raises(PortTakenError, match="can't listen at"):
        open_server(listen, intake=intake, secret=Secret("s"), status=store.status)


def test_it_listens_on_ipv6_too(intake, store):
    server = open_server("[::1]:0", intake=intake, secret=Secret("s"), status=store.status)
    server.server_close()
    assert server.server_address[0] == "::1"
