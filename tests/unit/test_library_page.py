"""docs/library.md: each of its files compiles, can be imported, and calls what there is."""

from __future__ import annotations

import ast
import inspect
import os
import re
import runpy
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from aksci import Environment, steps
from aksci.config.loader import load_config

_TESTS = Path(__file__).parents[1]
_MODULES = runpy.run_path(str(_TESTS / "public_surface.py"))["MODULES"]
_page = SimpleNamespace(**runpy.run_path(str(_TESTS / "library_page.py")))
PAGE, FILES, PYTHON = _page.PAGE, _page.FILES, _page.PYTHON
TREES = {name: ast.parse(text, name) for name, text in PYTHON.items()}


def shown(*, code: bool):
    """Return what is said of each step: in calls of the code, or in the table."""
    if code:
        return [
            (name, node.func.attr, [word.arg for word in node.keywords])
            for name, tree in TREES.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "steps"
        ]
    (table,) = re.findall(r"^## Steps\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)\((.*?)\)` \|", table, re.MULTILINE)
    return [("the table", name, re.findall(r"\w+", words)) for name, words in rows]


def test_each_block_of_python_is_a_file_with_a_name_of_its_own():
    assert len(re.findall(r"^```python$", PAGE, re.MULTILINE)) == len(PYTHON)
    assert len(re.findall(r"^`([^`\n]+)`$", PAGE, re.MULTILINE)) == len(FILES)


@pytest.mark.parametrize("code", [True, False])
def test_what_is_called_is_a_step_with_these_parameters(code):
    calls = shown(code=code)
    assert len(calls) > 30
    for where, name, words in calls:
        assert name in steps.__all__, (where, name)
        given = inspect.signature(getattr(steps, name)).parameters
        parameters = [each.removeprefix("_") for each in given]
        assert set(words) <= set(parameters), (where, name)
        if not code:
            assert words == parameters, name


def test_the_table_has_every_step():
    told = {name for _, name, _ in shown(code=False)}
    assert told == {*steps.__all__}


def test_what_is_told_of_an_environment_is_there():
    (table,) = re.findall(
        r"^## Environment\n.*?\n\n(\| \| \|.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE
    )
    told = [
        name
        for row in table.splitlines()[2:]
        for name in re.findall(r"`(\w+)[^`]*`", row.split("|")[1])
    ]
    assert {"root", "note", "registry"} < set(told)
    known = {*dir(Environment), *Environment.__dataclass_fields__}
    assert set(told) <= known
    used = {
        node.attr
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "env"
    }
    # ``world`` is of the one that aksci.testing opens.
    assert used <= {*told, "world"}


def test_our_names_that_it_imports_are_public_and_there():
    tests = ast.parse(Path(__file__).with_name("test_library_pipelines.py").read_text())
    for where, tree in {**TREES, "our tests of its pipelines": tests}.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("aksci"):
                continue
            assert node.module in _MODULES, where
            module = import_module(str(node.module))
            names = {each.name for each in node.names}
            assert names <= {*getattr(module, "__all__", ())}, where


def test_its_files_make_a_repository_whose_modules_can_be_imported(team_repository):
    for name, text in PYTHON.items():
        compile(text, name, "exec", dont_inherit=True)
    modules = [
        name.removeprefix("acme-scanner/").removesuffix(".py").replace("/", ".")
        for name, text in PYTHON.items()
        if name != "noxfile.py"
    ]
    assert len(modules) >= 5
    script = f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=team_repository,
        env={**os.environ, "PYTHONPATH": "acme-scanner"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_its_noxfile_offers_what_is_called_and_takes_the_options_that_are_given(team_repository):
    (called,) = re.findall(r"^```\n(nox -s .*)\n```", PAGE, re.MULTILINE)
    words = [*called.split()[1:], "--help"]
    done = subprocess.run(
        [sys.executable, "-m", "nox", *words],
        cwd=team_repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Build, check and deploy." in done.stdout
    assert "--only IMAGE" in done.stdout


def test_its_own_tests_pass(team_repository):
    words = ["-q", "-p", "no:cacheprovider", "--rootdir", ".", "tests"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=team_repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_its_aksci_toml_is_read(tmp_path):
    (tmp_path / "aksci.toml").write_text(FILES["aksci.toml"][1], encoding="utf-8")
    assert {"local", "staging", "production"} <= set(
        load_config(tmp_path / "aksci.toml").environments
    )


def test_its_other_tables_are_toml():
    parts = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert all(tomllib.loads(each) for each in parts)


def test_each_link_to_a_heading_of_the_page_leads_there():
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= anchors


def test_the_readme_shows_the_page_s_first_pipeline():
    assert f"# pipelines/release.py\n{PYTHON['pipelines/release.py']}" in _page.README
