"""The examples run as they stand: those of docs/testing.md in a repository of their own."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aksci import testing

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
    "pipelines/__init__.py": "",
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
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "5 passed" in ended.stdout


@pytest.mark.parametrize("name", testing.__all__)
def test_each_public_double_has_a_docstring_and_its_example_runs(name):
    double = getattr(testing, name)
    assert double.__doc__
    tests = doctest.DocTestFinder(recurse=False).find(
        double, name, globs=dict(vars(sys.modules[double.__module__]))
    )  # fmt: skip
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for each in tests:
        runner.run(each)
    assert runner.summarize(verbose=False).failed == 0
