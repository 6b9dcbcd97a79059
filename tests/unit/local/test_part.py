"""Starting one part: idempotent, repaired, restarted when changed, explained when it fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import asdict, replace

import pytest

from aksci.core.errors import PlatformError, PortTakenError
from aksci.local.daemon import find_marked, read_record, stop
from aksci.local.layout import Layout
from aksci.local.part import Part, answers, running, start_part

ENVIRONMENT = {"PATH": os.environ["PATH"]}
SERVER = """
import http.server, sys
address = ("127.0.0.1", int(sys.argv[1]))
http.server.ThreadingHTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path)
    layout.make()
    yield layout
    stop(find_marked(layout.state), grace=0)


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def part(layout, port):
    return Part(
        name="web",
        argv=(sys.executable, "-c", SERVER, str(port)),
        healthy=lambda: answers(f"http://127.0.0.1:{port}/"),
        listens=(("127.0.0.1", port),),
        files={layout.config / "web.json": "{}"},
        address=f"http://127.0.0.1:{port}",
    )


def _start(part, layout):
    return start_part(part, layout, ENVIRONMENT, threading.Event())


def test_a_part_is_started_once(part, layout):
    assert _start(part, layout) is True
    first = running(part, layout)
    assert _start(part, layout) is False
    assert running(part, layout) == first
    assert (layout.config / "web.json").read_text() == "{}"


def test_a_killed_part_is_started_again(part, layout):
    _start(part, layout)
    os.kill(running(part, layout).pid, signal.SIGKILL)
    assert _start(part, layout) is True
    assert running(part, layout)


def test_a_part_whose_record_got_lost_is_replaced_and_not_doubled(part, layout):
    """An `up` that was killed between starting a part and recording it."""
    _start(part, layout)
    layout.record("web").unlink()
    assert _start(part, layout) is True
    assert len(find_marked(layout.state, "web")) == 1


def test_another_configuration_restarts_a_part(part, layout):
    _start(part, layout)
    before = running(part, layout)
    changed = replace(part, files={layout.config / "web.json": '{"a": 1}'})
    assert _start(changed, layout) is True
    assert not before.alive()
    assert (layout.config / "web.json").read_text() == '{"a": 1}'


def test_a_stopped_part_that_does_not_answer_is_replaced(part, layout):
    _start(part, layout)
    hung = running(part, layout)
    os.kill(hung.pid, signal.SIGSTOP)
    quick = replace(part, grace=0.2, healthy=lambda: answers(part.address, timeout=0.3))
    assert _start(quick, layout) is True
    assert not hung.alive()


def test_a_port_held_by_somebody_else_is_named_with_its_holder(part, layout, port):
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTakenError) as caught:
        _start(part, layout)
    assert f"Port {port}" in caught.value.message
    assert f"process {os.getpid()} " in caught.value.message
    assert f"kill {os.getpid()}" in caught.value.hint
    assert find_marked(layout.state) == []


def test_a_part_that_ends_at_once_shows_the_end_of_its_log_harmlessly(part, layout):
    words = "import sys; sys.exit('##vso[task.setvariable]no such option')"
    with pytest.raises(PlatformError) as caught:
        _start(replace(part, argv=(sys.executable, "-c", words)), layout)
    assert "web ended at once" in caught.value.message
    assert "# #vso[task.setvariable]no such option" in caught.value.message
    assert str(layout.log("web")) in caught.value.hint


def test_nobody_waits_for_a_part_once_the_run_stops(part, layout):
    stopping = threading.Event()
    threading.Timer(0.2, stopping.set).start()
    began = time.monotonic()
    never = replace(part, healthy=lambda: False)
    with pytest.raises(PlatformError):
        start_part(never, layout, ENVIRONMENT, stopping)
    assert time.monotonic() - began < 5


def test_a_process_that_has_our_recorded_pid_is_spared(part, layout):
    """The pid in the record now belongs to a process that we did not start."""
    _start(part, layout)
    mine = read_record(layout.record("web"))
    stop([mine], grace=0)
    pid = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
    try:
        layout.record("web").write_text(json.dumps({**asdict(mine), "pid": pid}))
        assert _start(part, layout) is True
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
