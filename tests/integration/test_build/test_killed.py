"""A run that is killed while a base is validated leaves nothing that counts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from aksci.images.lineage import ARTIFACT_TYPE
from aksci.oci.artifact import find_artifacts
from aksci.oci.references import ImageRef

BUILD = """\
import os, signal, sys, threading
from pathlib import Path
from aksci import Environment, steps
from aksci.images.validate.image_runner import CheckOutcome
from aksci.parts import Parts
from aksci.testing import MemoryImageRunner

ran = threading.Event()

class ImageRunner(MemoryImageRunner):
    def run(self, task, halt):
        if task.image == "app":
            ran.set()
        elif sys.argv[1] == "kill":
            ran.wait(60)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(task, halt)

images = ImageRunner()
if sys.argv[1] == "fail":
    images.fail("base", exit_code=127, log="no such program")
with Environment.open(root=Path.cwd(), parts=Parts(image_runner=images)) as env:
    steps.build(env)
    print("ran:", *sorted(task.image for task in images.tasks))
"""


@pytest.fixture
def build(shop):
    """Build in a process of its own, whose validations pass, fail, or kill it."""

    def run(validation):
        return subprocess.run(
            [sys.executable, "-c", BUILD, validation],
            cwd=shop.root,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def finished(shop):
    names = ("base", "tool", "app")
    return [name for name in names if any(tag.startswith("in-") for tag in shop.tags(name))]


def test_a_run_that_is_killed_while_a_base_is_validated_leaves_nothing_that_counts(shop, build):
    """The next one does all of it, and one whose base then fails finishes nothing on it."""
    killed = build("kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert set(finished(shop)) <= {"tool"}
    assert not (shop.root / ".aksci/build.json").exists()
    failed = build("fail")
    assert failed.returncode != 0
    assert "Blocked: app (base failed its validation)." in failed.stderr
    assert set(finished(shop)) == {"tool"}
    built = build("pass")
    assert built.returncode == 0, built.stderr
    assert built.stdout.splitlines()[-1] == "ran: app base"
    assert set(finished(shop)) == {"base", "tool", "app"}
    record = json.loads((shop.root / ".aksci/build.json").read_text())
    refs = {name: ImageRef.parse(image["ref"]) for name, image in record["images"].items()}
    for name in ("base", "app"):
        assert len(find_artifacts(shop.registry, refs[name], ARTIFACT_TYPE)) == 1
    bases = {base["image"]: base["digest"] for base in record["images"]["app"]["bases"]}
    assert bases["base"] == refs["base"].digest
