"""The product as its users run it: ``python -m aksci`` in a folder of theirs."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SERVICE = """\
FROM debian:bookworm-slim
LABEL version="{version}"
USER 10001
CMD {command}
"""
CHART = """\
apiVersion: v2
name: web
version: 1.0.0
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: "{{{{ .Values.image.repository }}}}@{{{{ .Values.image.digest }}}}"
          readinessProbe:
            exec: {{command: [sh, -c, "{ready}"]}}
            periodSeconds: 1
          securityContext: {{readOnlyRootFilesystem: true, allowPrivilegeEscalation: false}}
          resources: {{requests: {{cpu: 10m, memory: 16Mi}}, limits: {{memory: 64Mi}}}}
"""
CONFIG = """\
schema = 1
[project]
name = "{name}"
[images.web]
dockerfile = "Dockerfile"
[scan]
database = "small"
[services.web]
chart = "chart"
images = {{image = "web"}}
timeout = 60
{extra}
[environments.local]
platform = "embedded"
namespace = "{name}"
create_namespace = true
"""


@dataclass
class Project:
    """A small project: one image, one service."""

    folder: Path
    name: str
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, *, command='["sleep", "infinity"]', version="1", extra="", ready="true"):
        """(Re)write the sources."""
        templates = self.folder / "chart" / "templates"
        templates.mkdir(parents=True, exist_ok=True)
        (self.folder / "aksci.toml").write_text(CONFIG.format(name=self.name, extra=extra))
        dockerfile = SERVICE.format(version=version, command=command)
        (self.folder / "Dockerfile").write_text(dockerfile)
        (self.folder / ".dockerignore").write_text(".aksci\n")
        (self.folder / "chart" / "Chart.yaml").write_text(CHART)
        (self.folder / "chart" / "values.yaml").write_text("image: {repository: '', digest: ''}\n")
        (templates / "web.yaml").write_text(DEPLOYMENT.format(ready=ready))

    def start(self, *arguments, prefix=()):
        """Start a session and return the process."""
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "aksci", "-C", self.folder, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | self.variables,
            cwd="/",
        )

    def run(self, *arguments, expect=0, prefix=()):
        """Run a session to its end; return what it printed."""
        process = self.start(*arguments, prefix=prefix)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == expect, f"exit status {process.returncode}\n{output}"
        assert "Traceback" not in output
        return output

    def interrupt_when(self, pattern, *arguments):
        """Press Ctrl-C as soon as a line matches; return exit status, output and seconds."""
        process = self.start(*arguments)
        seen = []
        for line in process.stdout:
            seen.append(line)
            if re.search(pattern, line):
                break
        else:
            pytest.fail(f"no line matched {pattern!r}:\n{''.join(seen)}")
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        rest, _ = process.communicate(timeout=60)
        return process.returncode, "".join(seen) + rest, time.monotonic() - started

    def last_record(self, session):
        """Return the newest run record of a session."""
        records = sorted((self.folder / ".aksci/runs").glob(f"*-{session}.json"))
        return json.loads(records[-1].read_text())


@pytest.fixture
def project(tmp_path, platform, kubectl):
    """A project with a name of its own; its namespace is deleted afterwards."""
    made = Project(folder=tmp_path / "project", name=f"t-{secrets.token_hex(4)}")
    made.folder.mkdir()
    made.write()
    yield made
    kubectl("delete", "namespace", made.name, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="session")
def shop(tmp_path_factory, platform):
    """A copy of the shop, as somebody who copies it would have."""
    folder = tmp_path_factory.mktemp("shop") / "shop"
    hidden = shutil.ignore_patterns(".aksci", "__pycache__", ".venv")
    shutil.copytree(ROOT / "examples/shop", folder, ignore=hidden)
    return Project(folder=folder, name="shop")
