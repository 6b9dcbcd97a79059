"""The examples of docs/testing.md run as they stand, in a repository of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs/testing.md"
PROJECT = {
    "aksci.toml": """\
schema = 1
[project]
name = "shop"
[discover]
dockerfiles = ["*/Dockerfile"]
[services.web]
chart = "chart"
images = {image = "web"}
""",
    "base/Dockerfile": "FROM debian:bookworm-slim\nCOPY . /base/\n",
    "web/Dockerfile": "FROM shop/base\nCOPY . /web/\n",
    "chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
}


@pytest.fixture
def repository(tmp_path):
    """Write a project, with the page's examples where their first lines say."""
    examples = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for name, text in {**PROJECT, **dict(examples)}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_documented_examples_run(repository):
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
    ]
    ended = subprocess.run(
        [*argv, "-o", "pythonpath=.", "tests"],
        cwd=repository, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "5 passed" in ended.stdout
