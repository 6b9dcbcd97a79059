"""What is promised: the public surface as it was last reviewed, and facts that are facts."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from aksci.tools.pins import load_pins

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")
SURFACE = Path(__file__).with_name("public_surface.txt")


@pytest.fixture(scope="module")
def surface():
    path = ROOT / "tests/public_surface.py"
    spec = importlib.util.spec_from_file_location("public_surface", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_public_is_what_was_reviewed(surface):
    kept = SURFACE.read_text(encoding="utf-8").splitlines()
    now = surface.surface().splitlines()
    changes = [
        line for line in difflib.unified_diff(kept, now, lineterm="", n=0) if line[:2] != "@@"
    ]
    assert changes == [], "meant? ./dev -s surface, and a line in CHANGELOG.md"


def test_every_public_module_that_there_is_is_named_on_the_page(surface):
    packages = {module.rpartition(".")[0] for module in surface.public_modules()}
    named = set(re.findall(r"`(aksci(?:\.\w+)?)`", PAGE.partition("**Not public**")[0]))
    assert {*surface.MODULES, *surface.PACKAGES} == named
    assert packages <= {"", *named}


def test_the_tools_have_the_ranges_that_the_toolbox_heeds():
    pins = load_pins()
    rows = re.findall(r"^\| `([\w-]+)` \| (>=[\d.]+,<\d+)[^|]* \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 7
    for name, accepted, version in rows:
        assert str(pins[name].accept) == accepted, name
        assert pins[name].version == version, name


def test_the_types_in_the_registry_are_those_of_the_code():
    used = {
        node.value
        for path in (ROOT / "aksci").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith("application/vnd.aksci.")
    }
    assert used == set(re.findall(r"`(application/vnd\.aksci\.[^`]+)`", PAGE))


def test_the_versions_of_python_and_nox_are_those_of_pyproject_and_the_lock():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (row,) = re.findall(r"^\| Python \| (.*)$", PAGE, re.MULTILINE)
    supported = [
        each.rpartition(" ")[2] for each in project["classifiers"] if re.search(r":: 3\.\d+$", each)
    ]
    assert re.findall(r"3\.\d+", row) == supported
    (tried, least) = re.findall(r"^\| nox \| ([\d.]+) \| ([\d.]+) and", PAGE, re.MULTILINE)[0]
    assert f"nox>={least}" in project["dependencies"]
    assert f"nox=={tried} " in (ROOT / "requirements/run.lock").read_text()


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/compatibility.md"])
def test_its_links_lead_somewhere(page):
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert local
    assert [link for link in local if not (path.parent / link).exists()] == []
