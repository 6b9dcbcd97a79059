"""What a module exports is sorted and there; of packages, only the public ones re-export."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("aksci", "pipelines")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__main__.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_exports_is_sorted_and_there(name):
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert list(exported) == sorted(exported, key=lambda each: (not each.isupper(), each))
    assert all(hasattr(module, each) for each in exported)


PUBLIC = {
    ROOT / "aksci/__init__.py",
    ROOT / "aksci/steps/__init__.py",
    ROOT / "aksci/testing/__init__.py",
}
"""They name what teams import, each thing looked up when it is first asked for."""


@pytest.mark.parametrize("package", sorted({*ROOT.glob("aksci/**/__init__.py")} - PUBLIC), ids=str)
def test_a_package_re_exports_nothing(package):
    imports = [
        node
        for node in ast.walk(ast.parse(package.read_text()))
        if isinstance(node, ast.ImportFrom)
    ]
    assert [node.module for node in imports if (node.module or "").startswith("aksci")] == []


# What the edge reads and hands on; whoever else may, and why.
READS = {
    ("os", "environ"),
    ("os", "getenv"),
    ("os", "getcwd"),
    ("Path", "cwd"),
    ("time", "time"),
    ("datetime", "now"),
    ("date", "today"),
}
ALLOWED = {
    "aksci/cli/edge.py": "it is the edge",
    "aksci/environment.py": "what is not handed to Environment.open comes from the process",
    "aksci/local/pki.py": "asks the machine whether its certificates are still valid for it",
}


def test_only_the_edge_reads_the_environment_the_folder_and_the_clock():
    offenders = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("aksci", "pipelines")
        for path in (ROOT / package).rglob("*.py")
        if str(path.relative_to(ROOT)) not in ALLOWED
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and (_last(node.value), node.attr) in READS
    ]
    assert offenders == []


def _last(node):
    """Return the last name of ``a`` or ``x.a``."""
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
