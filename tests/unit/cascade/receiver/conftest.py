"""A receiver on loopback with a clock and a store of the test's own."""

from __future__ import annotations

import http.client
import json
import threading

import pytest

from aksci.cascade.receiver.event_store import EventStore
from aksci.cascade.receiver.intake import Intake
from aksci.cascade.receiver.push_filter import PushFilter
from aksci.cascade.receiver.server import open_server
from aksci.core.secret import Secret
from aksci.testing.clock import Clock
from aksci.testing.reporter import RecordingReporter

SECRET = "a-made-up-secret-of-32-characters"
DIGEST = "sha256:" + "a" * 64
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def acr_event(clock, number="1", **changes):
    """What Azure's webhook reference shows, with a time of now."""
    event = {
        "id": f"cb8c3971-9adc-488b-bdd8-43cbb4974ff{number}",
        "timestamp": clock().strftime("%Y-%m-%dT%H:%M:%S.343145347Z"),
        "action": "push",
        "target": {
            "mediaType": MANIFEST,
            "size": 524,
            "digest": DIGEST,
            "length": 524,
            "repository": "bases/python",
            "tag": "3.12",
        },
        "request": {
            "id": "3cbb6949-7549-4fa1-86cd-a6d5451dffc7",
            "host": "shop.azurecr.io",
            "method": "PUT",
            "useragent": "docker/17.09.0-ce",
        },
    }
    for key, value in changes.items():
        holder = event if key in event else event["request" if key == "host" else "target"]
        holder[key] = value
    return event


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log():
    return RecordingReporter()


@pytest.fixture
def store(tmp_path, clock):
    store = EventStore(tmp_path / "q.sqlite", now=clock, attempts=3, remember=600)
    yield store
    store.close()


@pytest.fixture
def intake(store, clock, log):
    wanted = PushFilter(
        bases=frozenset(
            {"shop.azurecr.io/bases/python:3.12", "docker.io/library/debian:bookworm-slim"}
        ),
        project="shop",
        own=frozenset({"shop/web"}),
        registries=frozenset({"localhost:5000", "shop.azurecr.io"}),
        mirror="localhost:5000",
    )
    return Intake(
        store=store, push_filter=wanted, max_age=300, now=clock, reporter=log, wake=lambda: None
    )


class Client:
    """Send requests to the receiver."""

    def __init__(self, server):
        self.server = server
        self.port = server.server_address[1]

    def send(self, path, body=None, *, secret=SECRET, method=None, headers=None):
        """Return status, headers and document."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        shown = {"Authorization": f"Bearer {secret}"} if secret is not None else {}
        try:
            connection.request(
                method or ("GET" if body is None else "POST"),
                path,
                data,
                {"Content-Type": "application/json", **shown, **(headers or {})},
            )
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read() or "null")
        finally:
            connection.close()


@pytest.fixture
def server(intake, store):
    server = open_server("127.0.0.1:0", intake=intake, secret=Secret(SECRET), status=store.status)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(server):
    return Client(server)


@pytest.fixture
def event(clock):
    return lambda number="1", **changes: acr_event(clock, number, **changes)


@pytest.fixture
def notification(clock):
    """One event of Distribution, as its documentation and registry 2.8 have it."""

    def make(number="1", **changes):
        event = {
            **acr_event(clock, number, repository="library/debian", tag="bookworm-slim"),
            "actor": {},
            "source": {"addr": "registry:5000", "instanceID": "a53db899"},
        }
        event["request"]["host"] = "localhost:5000"
        event["target"]["url"] = "http://localhost:5000/v2/library/debian/manifests/x"
        for key, value in changes.items():
            holder = event if key in event else event["target"]
            holder[key] = value
        return event

    return make
