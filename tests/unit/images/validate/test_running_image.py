"""When an image that is kept running counts as ready, and when it is refused; without an engine."""

from __future__ import annotations

import contextlib
import socket
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aksci.core.errors import PlatformError, UsageError, ValidationError
from aksci.images.validate.image_runner import CheckOutcome, HttpAnswer
from aksci.images.validate.running_image import ask_loopback, keep_running
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import push_sample


class Server:
    """Serves answers one after another; the last one stays."""

    def __init__(self, *answers, ended=None):
        self.answers, self.outcome = list(answers), ended
        self.tasks, self.asked, self.removed = [], [], False

    def platforms(self):
        return ("linux/amd64",)

    @contextlib.contextmanager
    def serve(self, task, port, _halt):
        self.tasks.append((task, port))
        try:
            yield self
        finally:
            self.removed = True

    def ask(self, path, timeout):
        self.asked.append((path, timeout))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def ended(self):
        return self.outcome


@pytest.fixture
def registry():
    return MemoryRegistry()


def keep(runner, registry, *, timeout=5, platform="linux/amd64", runs=(("Cmd", ["serve"]),)):
    ref = push_sample(registry, "shop/web", platform=platform, runs=dict(runs))
    return keep_running(
        runner, registry, "web", ref, variables={"A": "1"}, port=80,
        ready="/up", timeout=timeout, limit=77, run="r",
    )  # fmt: skip


def test_the_block_begins_with_the_first_answer_of_the_service_itself(registry):
    runner = Server(HttpAnswer(0, "refused"), HttpAnswer(503, "proxy"), HttpAnswer(404, "mine"))
    with keep(runner, registry) as running:
        assert [path for path, _ in runner.asked] == ["/up"] * 3
        assert running.get("/x", timeout=2) == (404, "mine")
        assert runner.asked[-1] == ("/x", 2)
        assert not runner.removed
    assert runner.removed


def test_its_own_process_runs_with_these_variables_and_without_a_probe(registry):
    healthcheck = {"Test": ["CMD", "never"]}
    runner = Server(HttpAnswer(200, ""))
    with keep(runner, registry, runs=(("Cmd", ["serve"]), ("Healthcheck", healthcheck))):
        ((task, port),) = runner.tasks
    assert (task.check.kind, task.check.probe, task.check.timeout) == ("start", (), 77)
    assert (task.check.env, task.platform, port) == ({"A": "1"}, "linux/amd64", 80)


def test_one_that_ended_is_refused_with_its_log(registry):
    ended = CheckOutcome(engine="e", started=True, exit_code=3, log="no\ndatabase")
    runner = Server(HttpAnswer(0, "refused"), ended=ended)
    with (
        pytest.raises(ValidationError, match=r"^web ended with status 3 .*\n\n  no\n  database$"),
        keep(runner, registry),
    ):
        pytest.fail("it never answered")
    assert runner.removed


@pytest.mark.parametrize(
    ("answer", "told"),
    [(HttpAnswer(0, "refused"), "refused"), (HttpAnswer(500, "long"), "HTTP 500")],
)
def test_one_that_does_not_answer_in_time_is_refused_with_the_last_answer(registry, answer, told):
    with (
        pytest.raises(ValidationError, match=rf"port 80 does not answer GET /up .*: {told}\.$"),
        keep(Server(answer), registry, timeout=0),
    ):
        pytest.fail("it never answered")


def test_what_can_not_be_run_here_is_refused_before_it_is_started(registry):
    runner = Server(HttpAnswer(200, ""))
    for given, told in (
        ({"platform": "linux/arm64"}, "it is for linux/arm64, and what would run it is linux/amd"),
        ({"runs": ()}, "there is nothing to run"),
    ):
        with pytest.raises(ValidationError, match=told), keep(runner, registry, **given):
            pytest.fail("it can't run")
    assert runner.tasks == []


def test_a_runner_that_only_checks_is_refused_by_its_name(registry):
    class Checker:
        """Only checks."""

    with (
        pytest.raises(PlatformError, match="Checker can't keep web running"),
        keep(Checker(), registry),
    ):
        pytest.fail("it can't run")


@pytest.fixture
def serve():
    """Serve one answer on an address of loopback, and return the port, and who asks for what."""
    servers = []

    def start(address, status, headers, body):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer((address, 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port, asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_image_sends_us_nowhere_else(serve):
    port, asked = serve("127.0.0.2", 200, {}, b"a token")
    elsewhere = f"http://127.0.0.2:{port}/metadata"
    image, _ = serve("127.0.0.1", 302, {"Location": elsewhere}, b"this way")
    assert ask_loopback(f"http://127.0.0.1:{image}/", 5) == (302, "this way")
    assert asked == []


def test_an_answer_without_end_is_not_read_to_its_end(serve, monkeypatch):
    monkeypatch.setattr("aksci.images.validate.running_image._LONGEST", 8)
    image, _ = serve("127.0.0.1", 200, {}, b"0123456789")
    assert ask_loopback(f"http://127.0.0.1:{image}/", 5) == (200, "01234567")


ENDLESS = {
    "a status": b"H",
    "other statuses": b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    "headers": b"a: b\r\n",
    "chunks": b"1\r\na\r\n" * 100,
    "a body": b"x",
}
BEGINNINGS = {
    "headers": b"HTTP/1.1 200 OK\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a body": b"HTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_that_drips_has_its_time_in_all(kind):
    ended = threading.Event()

    def drip():
        client, _ = listener.accept()
        with client:
            client.sendall(BEGINNINGS.get(kind, b""))
            try:
                # Longer than the time limit, and never longer than it without a byte.
                for _ in range(99 if kind == "headers" else 400):
                    client.sendall(ENDLESS[kind])
                    if ended.wait(0.02):
                        return
                ended.wait(10)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=drip)
        server.start()
        answer = ask_loopback(f"http://127.0.0.1:{listener.getsockname()[1]}/", 0.5)
        ended.set()
        server.join()
    assert answer == (0, "no whole answer in 0.5 s")


def test_an_answer_in_chunks_of_a_byte_takes_no_more_memory_than_its_text(serve, monkeypatch):
    monkeypatch.setattr("aksci.images.validate.running_image._LONGEST", 1 << 18)
    headers = {"Transfer-Encoding": "chunked"}
    image, _ = serve("127.0.0.1", 200, headers, b"1\r\na\r\n" * (1 << 18))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        status, text = ask_loopback(f"http://127.0.0.1:{image}/", 60)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert (status, len(text)) == (200, 1 << 18)
    # The server's own copy of what it sends is in this process, too.
    assert peak < 6 << 20


@pytest.mark.parametrize("path", ["@elsewhere.example/", "0/", "metadata", ""])
def test_what_is_no_path_names_no_other_host(registry, path):
    runner = Server(HttpAnswer(200, "fine"))
    with keep(runner, registry) as running, pytest.raises(UsageError, match="no path"):
        running.get(path)
    assert [path for path, _ in runner.asked] == ["/up"]
