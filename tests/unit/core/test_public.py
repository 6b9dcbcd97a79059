"""The public surface of each room is its ``__init__``: sorted, and all of it there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
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


@pytest.mark.parametrize("room", sorted(p.parent.name for p in ROOT.glob("aksci/*/__init__.py")))
def test_a_room_exports_something(room):
    assert importlib.import_module(f"aksci.{room}").__all__


def test_only_the_edge_reads_the_environment_and_the_clock():
    """DESIGN §3: everything else is handed them.

    The local platform asks the machine itself whether its certificates are still valid for it.
    """
    allowed = {"aksci/edge.py", "aksci/local/pki.py"}
    offenders = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("aksci", "pipelines")
        for path in (ROOT / package).rglob("*.py")
        if str(path.relative_to(ROOT)) not in allowed
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr)
        in {("os", "environ"), ("os", "getenv"), ("os", "getcwd"), ("datetime", "now")}
    ]
    assert offenders == []
