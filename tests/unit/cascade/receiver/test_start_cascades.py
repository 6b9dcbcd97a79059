"""What a cascade is started with, here and in another place."""

from __future__ import annotations

import json
import os
import sys
import threading
import time

import pytest

from aksci.cascade.receiver.event_store import Batch
from aksci.cascade.receiver.start_cascades import CascadeHere, CascadeThere, Worker
from aksci.cascade.receiver.webhook_events import Push
from aksci.core.errors import Interrupted, ProcessError
from aksci.core.process import Runner

DIGEST = "sha256:" + "a" * 64
BATCH = Batch(
    entries=(1, 2),
    bases=(("docker.io/library/debian:12", DIGEST), ("h.example/b:1", DIGEST)),
    key="k",
)


def here(tmp_path, log, script):
    """The cascade, with a small program in Python's place that does what the test says."""
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{script}\n")
    program.chmod(0o755)
    runner = Runner(environment={**os.environ, "AKSCI_WEBHOOK_SECRET": "s"}, log=log.line)
    return CascadeHere(
        runner=runner,
        python=str(program),
        root=tmp_path,
        environment_name="staging",
        variables={"PATH": os.environ["PATH"]},
        reporter=log,
    )


def test_a_cascade_here_gets_the_bases_as_one_word_and_not_the_secret(tmp_path, log):
    script = "print(json.dumps([sys.argv[1:], sorted(os.environ)]))"
    here(tmp_path, log, script).start(BATCH)
    words, names = json.loads(log.lines[-1])
    assert words == [
        *("-m", "aksci", "-C", str(tmp_path), "cascade", "--env", "staging"),
        "--base=" + " ".join(f"{reference}@{digest}" for reference, digest in BATCH.bases),
    ]
    assert set(names) <= {"PATH", "LC_CTYPE"}


def test_what_a_cascade_prints_obeys_nobody(tmp_path, log):
    here(tmp_path, log, r"print('\x1b[2J##vso[task.complete]done')").start(BATCH)
    assert log.lines[-1] == "# #vso[task.complete]done"


def test_a_cascade_that_fails_here_is_an_error_with_its_last_words(tmp_path, log):
    with pytest.raises(ProcessError, match="exit status 7"):
        here(tmp_path, log, "sys.exit(7)").start(BATCH)


def test_a_cascade_here_is_ended_with_the_receiver_and_waits_again(tmp_path, log, store, clock):
    start = here(tmp_path, log, "print('begun', flush=True); time.sleep(60)")
    push = Push(
        source="acr",
        id="1",
        at=clock(),
        host="h.example",
        repository="r",
        tag="t",
        digest=DIGEST,
    )
    store.add(push, ["h.example/r:t"])

    def stop():
        while "begun" not in log.lines:
            time.sleep(0.02)
        start.runner.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    worker = Worker(store=store, start=start, settle=0, reporter=log)
    with pytest.raises(Interrupted):
        worker.work_once()
    thread.join()
    assert store.status()["queue"]["waiting"] == 1


def test_a_cascade_there_is_asked_for_with_digests_and_the_key(log):
    class Asked:
        def ask(self, ask):
            self.ask = ask
            return "https://ci.example/1"

    dispatcher = Asked()
    CascadeThere(dispatcher=dispatcher, reporter=log).start(BATCH)
    assert dispatcher.ask.bases == BATCH.bases
    assert (dispatcher.ask.key, dispatcher.ask.chain) == ("k", "")
    assert "https://ci.example/1" in log.text
