"""``build`` as its users run it: parts of a project, failures, Ctrl-C, nothing to do."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[3]
GOOD = "FROM debian:bookworm-slim\nRUN echo fine\n"
CONFIG = """\
schema = 1
[project]
name = "{name}"
[build]
validate = false
[discover]
dockerfiles = ["*/Dockerfile"]
[scan]
database = "small"
empty = "note"
"""


class Project:
    """``lib`` and what is based on it, ``app``; ``tool`` needs neither."""

    def __init__(self, root, registry):
        self.name = f"t{secrets.token_hex(4)}"
        self.root, self.registry = root, registry
        self.write("aksci.toml", CONFIG.format(name=self.name))
        self.write("lib/Dockerfile", f"{GOOD}LABEL x={self.name}\n")
        self.write("app/Dockerfile", f"FROM {self.name}/lib\nLABEL app=1\n")
        self.write("tool/Dockerfile", f"FROM scratch\nLABEL x={self.name}\n")

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def start(self, *words):
        return subprocess.Popen(
            [sys.executable, "-m", "aksci", *words],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def run(self, *words, expect=0):
        process = self.start(*words)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == expect, output
        return output

    def file(self, name):
        return json.loads((self.root / ".aksci" / name).read_text())

    def tags(self, image):
        url = f"http://{self.registry}/v2/{self.name}/{image}/tags/list"
        with contextlib.suppress(HTTPError), urlopen(url) as answer:
            return json.load(answer)["tags"] or []
        return []

    def finished(self, image):
        return [tag for tag in self.tags(image) if tag.startswith("in-")]


@pytest.fixture
def project(platform, toolbox, tmp_path):
    toolbox.ensure("buildx")
    return Project(tmp_path / "project", platform.registry)


def test_a_failure_is_kept_for_the_next_run_which_builds_only_what_is_missing(project):
    project.write("lib/Dockerfile", f"{GOOD}RUN echo the cause; exit 3\n")
    output = project.run("build", "--until", "build", expect=7)
    assert "Blocked: app (lib did not build)." in output
    assert not (project.root / ".aksci/build.json").exists()
    failed = project.file("failed.json")
    assert set(failed) == {"lib"}
    assert failed["lib"]["error"].endswith("exit code: 3")
    assert len(failed["lib"]["key"]) == 64
    project.write("lib/Dockerfile", GOOD)
    assert "2 built, 1 unchanged" in project.run("build", "--until", "build")
    assert project.file("failed.json") == {}
    assert "0 built, 3 unchanged" in project.run("build", "--until", "build")


def test_keep_going_takes_the_others_to_the_signature_and_releases_nothing(project):
    project.write("lib/Dockerfile", f"{GOOD}RUN echo the cause; exit 3\n")
    output = project.run("build", "--keep-going", expect=7)
    assert "1 signed" in output
    assert output.rstrip().endswith("exit code: 3")
    record = project.file("build.json")
    assert (list(record["images"]), record["failed"]) == (["tool"], ["app", "lib"])
    assert not (project.root / ".aksci/release.json").exists()
    assert "latest" not in project.tags("tool")
    assert "app, lib" in project.run("push", expect=2)
    assert "latest" not in project.tags("tool")
    project.write("lib/Dockerfile", GOOD)
    project.run("build")
    assert project.file("release.json")
    assert "latest" in project.tags("app")


def test_a_part_of_the_project_moves_its_tags_and_is_no_release(project):
    output = project.run("build", "--only", "lib")
    assert "no release: 2 of the project's images were left out (--only)" in output
    record = project.file("build.json")
    assert (list(record["images"]), record["leftOut"]) == (["lib"], ["app", "tool"])
    assert "latest" in project.tags("lib")
    assert not (project.root / ".aksci/release.json").exists()
    output = project.run("build", "--only", "lib", "--with-dependents", "--until", "build")
    assert "1 built, 1 unchanged" in output
    assert list(project.file("build.json")["images"]) == ["app", "lib"]


def test_an_image_to_build_again_must_be_selected(project):
    output = project.run("build", "--only", "lib", "--force", "tool", expect=3)
    assert "tool is to be built again, and is not selected" in output
    output = project.run("build", "--only", "lbi", expect=3)
    assert "did you mean lib?" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_tag_no_process_and_what_was_done_stays(project, number):
    project.write("lib/Dockerfile", f"{GOOD}RUN echo now-building; sleep 100\n")
    project.run("build", "--only", "tool", "--until", "build")
    process = project.start("build", "--until", "build")
    for line in process.stdout:
        if "  now-building" in line:
            break
    began = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert process.returncode == 130, output
    assert "[lib] stopped" in output
    assert project.tags("lib") == []
    assert project.tags("app") == []
    assert len(project.finished("tool")) == 1
    assert not _running(project.name)
    assert not (project.root / ".aksci/build.json").exists()
    project.write("lib/Dockerfile", GOOD)
    assert "2 built, 1 unchanged" in project.run("build", "--until", "build")


def test_where_nothing_is_to_be_built_no_engine_is_asked_for(project, platform):
    """The builder that the environment names does not exist: nobody looks."""
    project.write("lib/Dockerfile", f"FROM scratch\nLABEL x={project.name}\n")
    project.run("build", "--until", "build")
    with (project.root / "aksci.toml").open("a") as file:
        file.write(
            '[environments.there]\nplatform = "external"\nplain_http = true\nnamespace = "x"\n'
            f'registry = "{platform.registry}"\nbuilder = "no-such-builder"\n'
        )
    output = project.run("build", "--until", "build", "--env", "there")
    assert "0 built, 3 unchanged" in output
    project.write("tool/Dockerfile", "FROM scratch\nLABEL another=1\n")
    output = project.run("build", "--until", "build", "--env", "there", expect=18)
    assert "no-such-builder" in output


def test_a_build_without_work_imports_no_sdk_and_takes_no_tool(project):
    project.run("build", "--until", "build")
    code = (
        "import sys; from aksci.cli.edge import run_session\n"
        "assert run_session('build', ['--until', 'build']) == 0\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stdout)\n"
        "print(sorted(name for name in sys.modules if name.startswith('aksci.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "0 built, 3 unchanged" in done.stderr
    for heavy in ("azure", "docker", "rich", "requests", "filelock", "lightkube"):
        assert f"'{heavy}'" not in done.stdout
    for room in ("aksci.tools", "aksci.supply", "aksci.deploy", "aksci.images.validate"):
        assert f"'{room}'" not in done.stdout


def _running(words):
    """Return the command lines of programs that mention a project."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if words in line and "buildx" in line:
                found.append(line)
    return found
