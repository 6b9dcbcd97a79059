"""What is declared in pyproject.toml is what the wheel imports, no more and no less."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("aksci", "pipelines")


def name_of(requirement):
    """Return a distribution's name in the one form of PEP 503."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]).lower()


def statements(tree):
    """Yield what runs: what is only imported for types is not needed to run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from statements(node)


def imported(path):
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


def provided(name):
    """Return the top-level packages that a distribution has; of ``azure``, each has a part."""
    if name.startswith("azure-"):
        return {name.replace("-", ".", 1)}
    return {file.parts[0].removesuffix(".py") for file in distribution(name).files}


def package_of(module):
    top, _, rest = module.partition(".")
    return f"azure.{rest.partition('.')[0]}" if top == "azure" else top


def test_each_library_that_is_imported_is_declared_and_each_declared_one_is_imported():
    """A library that comes with another one is gone when that one needs it no more."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {name_of(one) for one in project["dependencies"]}
    files = [path for folder in OURS for path in (ROOT / folder).rglob("*.py")]
    used = {package_of(module) for path in files for module in imported(path)}
    used -= {*sys.stdlib_module_names, *OURS}
    packages = {name: provided(name) for name in declared}
    assert used - set().union(*packages.values()) == set(), "imported and not declared"
    assert {name for name in declared if not packages[name] & used} == set(), "never imported"


def test_each_declared_library_has_a_lower_bound_that_the_locked_version_meets():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for lock in ("run", "dev"):
        text = (ROOT / f"requirements/{lock}.lock").read_text(encoding="utf-8")
        locked = {name_of(line): line for line in text.splitlines() if "==" in line}
        for one in project["dependencies"]:
            least = re.fullmatch(r"[\w.-]+>=([\d.]+)", one)
            assert least, f"{one} has no lower bound"
            found = re.search(r"==([\d.]+)", locked[name_of(one)])
            assert numbers(found[1]) >= numbers(least[1]), one


def numbers(version):
    return [int(part) for part in version.split(".")]
