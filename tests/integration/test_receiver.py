"""The receiver as its users run it: a process, a registry that notifies it, kills and restarts."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aksci.oci.artifact import push_image
from aksci.oci.client import RegistryClient

SECRET = "a-made-up-secret-of-32-characters"
DIGEST = "sha256:" + "a" * 64
DEBIAN = f"docker.io/library/debian:bookworm-slim@{DIGEST}"
TOOLS = f"shop.azurecr.io/bases/tools:1@{DIGEST}"
CONFIG = """\
schema = 1
[project]
name = "small"
[images.web]
dockerfile = "Dockerfile"
[cascade.receiver]
listen = "127.0.0.1:{port}"
target = "pipeline"
settle = {settle}
[cascade.targets.pipeline]
kind = "github"
repository = "shop/web"
api = "{api}"
"""
DOCKERFILE = """\
FROM {base}
COPY --from=shop.azurecr.io/bases/tools:1 /tool /tool
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def apis():
    path = Path(__file__).parents[1] / "pipelines_apis.py"
    spec = importlib.util.spec_from_file_location("pipelines_apis", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["pipelines_apis"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hub(apis):
    with apis.GithubServer() as server:
        yield server


class Receiver:
    """``python -m aksci receive`` in a small project."""

    def __init__(self, folder, hub, *, settle=1, base="debian:bookworm-slim"):
        self.folder = folder
        self.port = free_port()
        self.log = folder / "log"
        self.process = None
        self.variables = {
            "AKSCI_WEBHOOK_SECRET": SECRET,
            "AKSCI_GITHUB_TOKEN": hub.token,
            "XDG_STATE_HOME": str(folder / "state"),
        }
        config = CONFIG.format(port=self.port, settle=settle, api=hub.api)
        (folder / "aksci.toml").write_text(config)
        (folder / "Dockerfile").write_text(DOCKERFILE.format(base=base))

    def start(self, *, ready=True):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aksci", "-C", self.folder, "receive"],
                stdout=log,
                stderr=log,
                env=os.environ | self.variables,
                cwd="/",
            )
        deadline = time.monotonic() + 30
        while ready and not self._listens():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return self

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(20)

    def send(self, path, body=None, *, secret=SECRET):
        """Return status and document."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data,
            {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def queue(self):
        return self.send("/status")[1]["queue"]

    def _listens(self):
        try:
            return self.send("/readyz")[0] == 200
        except OSError:
            return False


@pytest.fixture
def receiver(tmp_path, hub):
    made = []

    def make(**options):
        made.append(Receiver(tmp_path, hub, **options))
        return made[-1]

    yield make
    for each in made:
        if each.process and each.process.poll() is None:
            each.process.kill()
            each.process.wait()
        if each.log.exists():
            assert "Traceback" not in each.log.read_text()
            assert SECRET not in each.log.read_text()


def event(host, repository, tag, *, age=0):
    """A push, in the form that both kinds of registry share."""
    at = datetime.now(UTC) - timedelta(seconds=age)
    return {
        "id": str(uuid.uuid4()),
        "timestamp": at.isoformat().replace("+00:00", "123Z"),
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "size": 524,
            "digest": DIGEST,
            "length": 524,
            "repository": repository,
            "tag": tag,
        },
        "request": {"id": str(uuid.uuid4()), "host": host, "method": "PUT", "useragent": "x"},
    }


def test_pushes_become_one_run_and_nothing_else_becomes_any(receiver, hub):
    running = receiver(settle=2).start()
    with socket.create_connection(("127.0.0.1", running.port)) as slow:
        slow.sendall(b"POST /acr HTTP/1.1\r\nContent-Le")
        pushed = event("shop.azurecr.io", "bases/tools", "1")
        assert running.send("/acr", pushed)[0] == 202
        mirrored = event("localhost:5000", "library/debian", "bookworm-slim")
        own = event("localhost:5000", "small/web", "in-" + "0" * 64)
        assert running.send("/distribution", {"events": [own, mirrored]})[0] == 202
        assert running.send("/acr", {"id": "1", "action": "ping"})[0] == 200
        assert running.send("/acr", event("evil.example", "bases/tools", "1"))[0] == 200
        assert running.send("/acr", pushed, secret="wrong" * 5) == (401, {})
        assert running.send("/acr", event("shop.azurecr.io", "bases/tools", "1", age=900))[0] == 400
        assert running.send("/acr", b"x" * (2 << 20))[0] == 413
        hub.wait_for(1)
    (asked,) = hub.accepted
    assert asked["event_type"] == "aksci-cascade"
    assert asked["client_payload"]["bases"] == f"{DEBIAN} {TOOLS}"
    assert running.send("/acr", pushed)[0] == 200, "a replay"
    time.sleep(3)
    assert len(hub.requests) == 1
    assert running.queue() == {"waiting": 0, "running": 0, "done": 2, "failed": 0}
    assert running.end() == 0
    assert "told to end; what waits is kept" in running.log.read_text()


def test_killed_in_between_nothing_is_lost_and_nothing_done_twice(receiver, hub):
    running = receiver(settle=3).start()
    pushed = event("shop.azurecr.io", "bases/tools", "1")
    assert running.send("/acr", pushed)[0] == 202
    running.end(signal.SIGKILL)
    assert hub.requests == []
    running.start()
    assert running.send("/acr", pushed)[0] == 200, "known from before the kill"
    hub.wait_for(1)
    while running.queue()["done"] != 1:
        time.sleep(0.05)
    running.end(signal.SIGKILL)
    running.start()
    time.sleep(4)
    assert [body["client_payload"]["bases"] for body in hub.accepted] == [TOOLS]
    assert running.queue() == {"waiting": 0, "running": 0, "done": 1, "failed": 0}


def test_killed_while_it_asks_it_asks_again_with_the_same_key(receiver, hub, apis):
    running = receiver(settle=0).start()
    hub.faults.append(apis.Fault(204, delay=2))
    assert running.send("/acr", event("shop.azurecr.io", "bases/tools", "1"))[0] == 202
    while not hub.arrived:
        time.sleep(0.02)
    running.end(signal.SIGKILL)
    running.start()
    hub.wait_for(2)
    assert len({seen.body["client_payload"]["key"] for seen in hub.requests}) == 1


def test_a_second_receiver_and_one_without_a_secret_do_not_start(receiver):
    running = receiver().start()
    second = receiver()
    second.start(ready=False)
    assert second.process.wait(30) == 2
    assert "in use: another receiver has it" in second.log.read_text()
    for secret, said in (("", "is not set"), ("short", "16 characters or more")):
        second.variables["AKSCI_WEBHOOK_SECRET"] = secret
        second.start(ready=False)
        assert second.process.wait(30) == 3
        assert said in second.log.read_text()
    assert running.end() == 0


def test_a_real_registry_tells_of_a_push_and_the_project_is_asked_to_run(
    receiver, hub, toolbox, tmp_path
):
    """CNCF Distribution as the embedded platform has it, with its own notifications."""
    port = free_port()
    base = f"localhost:{port}/bases/os:1"
    running = receiver(base=base).start()
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}", "relativeurls": True, "secret": "s"},
        "notifications": {
            "endpoints": [
                {
                    "name": "aksci",
                    "url": f"http://127.0.0.1:{running.port}/distribution",
                    "headers": {"Authorization": [f"Bearer {SECRET}"]},
                    "timeout": "5s",
                    "threshold": 5,
                    "backoff": "1s",
                    "ignore": {"actions": ["pull"]},
                }
            ]
        },
    }
    config = tmp_path / "registry.json"
    config.write_text(json.dumps(settings))
    registry = subprocess.Popen(
        [toolbox.ensure("registry"), "serve", config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = RegistryClient(f"localhost:{port}", plain_http=True)
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        layer = tmp_path / "layer.tar"
        layer.write_bytes(b"\0" * 10240)
        config_ = {"architecture": "amd64", "os": "linux", "config": {}}
        push_image(client, "bases/other", "1", layers=[layer], config=config_)
        ref = push_image(client, "bases/os", "1", layers=[layer], config=config_)
        hub.wait_for(1)
    finally:
        client.close()
        registry.terminate()
        registry.wait(20)
    assert [body["client_payload"]["bases"] for body in hub.accepted] == [f"{base}@{ref.digest}"]
