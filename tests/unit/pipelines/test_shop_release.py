"""The shop's own step: a built image is asked under load; one failed request stops the release."""

from __future__ import annotations

import contextlib
import itertools
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aksci.core.errors import ValidationError
from aksci.images.build.build_record import BuiltImage
from aksci.images.validate.image_runner import CheckOutcome, HttpAnswer
from aksci.images.validate.running_image import ask_loopback
from aksci.testing import open_environment
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import push_sample
from pipelines import shop_release
from pipelines.shop_release import SmokeError, load_test

SHOP = Path(__file__).parents[3] / "examples/shop"


class Loopback:
    """Serves on loopback what the image would; each tenth request for a page may fail."""

    def __init__(self, *, broken=False, ended=None):
        self.broken, self.outcome = broken, ended
        self.tasks, self.closed = [], False

    def platforms(self):
        return ("linux/amd64",)

    def close(self):
        self.closed = True

    @contextlib.contextmanager
    def serve(self, task, port, _halt):
        self.tasks.append((task, port))
        broken, numbers = self.broken, itertools.count(1)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                bad = self.path == "/" and broken and next(numbers) % 10 == 0
                self.send_response(500 if bad else 200)
                self.end_headers()
                self.wfile.write(b"out of memory" if bad else b"page")

            def log_message(self, *_):
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.address = f"http://127.0.0.1:{server.server_port}"
            try:
                yield self
            finally:
                server.shutdown()

    def ask(self, path, timeout):
        return ask_loopback(self.address + path, timeout)

    def ended(self):
        return self.outcome


@pytest.fixture
def load(make_environment):
    """Load-test the gateway for a moment with a runner; return the environment."""

    def run(runner):
        env = make_environment(root=SHOP)
        registry = MemoryRegistry()
        vars(env).update(registry=registry, validation_engine=lambda: runner)
        ref = push_sample(registry, "shop/gateway", runs={"Entrypoint": ["/app/gateway"]})
        image = BuiltImage(
            name="gateway", ref=ref, input_key="k", tags=(), action="built", reasons=(), seconds=0
        )
        run.env = env
        load_test(env, image, threads=4, seconds=0.2)
        return env

    return run


def test_an_image_that_answers_each_request_passes_and_the_record_counts_them(load):
    runner = Loopback()
    noted = load(runner).notes["load-test"]
    assert noted["requests"] >= noted["threads"] == 4
    assert noted["failed"] == 0
    assert runner.closed


def test_the_digest_that_was_built_runs_with_the_variables_of_its_table(load):
    runner = Loopback()
    load(runner)
    ((task, port),) = runner.tasks
    assert (task.ref.repository, port) == ("shop/gateway", 8080)
    assert task.check.env["CATALOG_URL"] == "http://catalog"


def test_one_failed_request_is_enough_and_the_first_is_told(load):
    with pytest.raises(SmokeError, match=r"gateway failed \d+ of \d+ .* with 500: out of memory"):
        load(Loopback(broken=True))
    assert load.env.notes["load-test"]["failed"] > 0


def test_an_image_that_does_not_run_is_no_failed_load(load, monkeypatch):
    runner = Loopback(ended=CheckOutcome(engine="e", started=True, exit_code=1))
    monkeypatch.setattr(runner, "ask", lambda *_: HttpAnswer(0, "refused"))
    with pytest.raises(ValidationError, match="ended with status 1"):
        load(runner)


def test_what_fails_under_load_is_never_signed(monkeypatch):
    monkeypatch.setattr(shop_release, "load_test", partial(load_test, threads=2, seconds=0.05))
    with open_environment(SHOP) as env:
        env.world.image_runner.answer("gateway", "/", status=500, text="out of memory")
        with pytest.raises(SmokeError, match="with 500: out of memory"):
            shop_release.release(env)
        assert set(env.notes) >= {"build", "scan", "load-test"}
        assert env.world.signer.signed == []


def test_without_the_gateway_there_is_no_load_and_no_release(monkeypatch):
    monkeypatch.setattr(shop_release, "load_test", lambda *_: pytest.fail("it was left out"))
    with open_environment(SHOP) as env:
        shop_release.release(env, only=("base",))
        assert [ref.repository for ref in env.world.signer.signed] == ["shop/base"]
