"""``promote`` as users run it: from the local platform to an environment of another registry."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = """\
schema = 1
[project]
name = "{name}"
[images.web]
dockerfile = "Dockerfile"
[scan]
database = "small"
[sign.notation]
key = "t"
trust_store = "trust"
[services.web]
chart = "chart"
images = {{image = "web"}}
timeout = 60
[environments.local]
platform = "embedded"
namespace = "{name}"
create_namespace = true
[environments.next]
registry = "{registry}"
plain_http = true
kubeconfig = "{kubeconfig}"
namespace = "{name}-next"
create_namespace = true
promote_from = "local"
[environments.next.gates]
{gates}
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: "{{ .Values.image.repository }}@{{ .Values.image.digest }}"
"""


@pytest.fixture
def project(tmp_path, platform, toolbox, other_host):
    """A project of one image and one service, with a key of its own for notation."""
    made = Project(tmp_path, platform, other_host, toolbox)
    yield made
    for namespace in (made.name, f"{made.name}-next"):
        made.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


class Project:
    def __init__(self, folder, platform, registry, toolbox):
        self.name = f"t-{secrets.token_hex(4)}"
        self.folder = folder / "project"
        self.registry = registry
        self.platform = platform
        self.kube = toolbox.ensure("kube")
        self.variables = os.environ | {"XDG_CONFIG_HOME": str(folder / "config")}
        (self.folder / "chart/templates").mkdir(parents=True)
        (self.folder / "Dockerfile").write_text(
            'FROM debian:bookworm-slim\nUSER 10001\nCMD ["sleep", "infinity"]\n'
        )
        (self.folder / "chart/Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
        (self.folder / "chart/values.yaml").write_text("image: {repository: '', digest: ''}\n")
        (self.folder / "chart/templates/web.yaml").write_text(DEPLOYMENT)
        self.make_key(toolbox.ensure("notation"))
        self.write()

    def make_key(self, notation):
        subprocess.run(
            [notation, "cert", "generate-test", "t"],
            env=self.variables,
            check=True,
            capture_output=True,
        )
        keys = Path(self.variables["XDG_CONFIG_HOME"]) / "notation/localkeys"
        (self.folder / "trust").mkdir()
        shutil.copy(keys / "t.crt", self.folder / "trust/t.crt")

    def write(self, gates=""):
        text = EXAMPLE.format(
            name=self.name,
            registry=self.registry,
            kubeconfig=self.platform.kubeconfig,
            gates=gates,
        )
        (self.folder / "aksci.toml").write_text(text)

    def run(self, *arguments, expect=0):
        done = subprocess.run(
            [sys.executable, "-m", "aksci", "-C", self.folder, *arguments],
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == expect, done.stderr
        return done.stdout + done.stderr

    def kubectl(self, *arguments):
        argv = [self.kube, "kubectl", f"--kubeconfig={self.platform.kubeconfig}", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_what_runs_in_one_environment_is_promoted_to_the_next_once_its_gates_open(project, target):
    project.run("promote", "--env", "next", expect=2)  # nothing runs there
    project.run("build")
    project.run("deploy")
    project.write("min_age = 1\nsoak = 2")
    refused = project.run("promote", "--env", "next", expect=8)
    assert "min_age: the release was signed" in refused
    assert "soak: the release has run in 'local'" in refused
    assert target.tags(f"{project.name}/release") == []
    project.write("verdict_max_age = 20000")
    assert "to copy from" in project.run("promote", "--env", "next", "--plan")
    assert target.tags(f"{project.name}/release") == []
    project.run("promote", "--env", "next")
    assert len(target.tags(f"{project.name}/release")) >= 1
    found = project.kubectl("get", "deploy", "web", "-n", f"{project.name}-next", "-o", "json")
    image = json.loads(found)["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.startswith(f"{project.registry}/{project.name}/web@sha256:")
    assert "nothing to copy" in project.run("promote", "--env", "next")
