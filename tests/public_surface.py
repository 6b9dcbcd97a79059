"""Write what is public as text: ``python tests/public_surface.py > tests/unit/public_surface.txt``.

Names, signatures and fields are read from the sources, so the text is the same on each Python.
What docs/compatibility.md promises is what this lists: who changes a line of it breaks a promise,
or makes one.
"""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = (
    "aksci",
    "aksci.steps",
    "aksci.values",
    "aksci.errors",
    "aksci.parts",
    "aksci.nox",
    "aksci.testing",
)
PACKAGES = ("aksci.pipelines",)
"""Of these, each module is public."""
SPECIAL = {"__call__", "__enter__", "__exit__", "__getitem__", "__init__", "__iter__", "__len__"}
PROMISED = frozenset(
    {"name", "root", "work", "config", "settings", "variables", "now", "run_id", "commit"}
    | {"registry", "runner", "reporter"}
)
"""What a pipeline may read of an ``Environment``; what else steps find there may change."""
KINDS = {"property", "once", "classmethod", "staticmethod", "contextmanager", "overload"}


def surface() -> str:
    """Return the text: modules with what they export, values of steps, sessions, statuses."""
    lines: list[str] = []
    listed: set[tuple[str, str]] = set()
    for module in public_modules():
        lines += ["", f"# {module}"]
        for name in import_module(module).__all__:
            home, found = home_of(module, name)
            # Where two modules export one thing, it is told where it is exported first.
            known = (home, found) in listed
            lines += [f"{name}: see above"] if known else list(describe(home, found, name))
            listed.add((home, found))
    lines += ["", "# values that steps take and return"]
    for home, name in returned():
        if (home, name) not in listed:
            lines += describe(home, name, name)
    lines += ["", "# sessions and their options", *sessions()]
    lines += ["", "# errors, their codes and exit statuses", *statuses()]
    return "\n".join(lines).lstrip() + "\n"


def public_modules() -> Iterator[str]:
    """Yield the public modules that there are, in the order of the documents."""
    yield from (name for name in MODULES if find_spec(name))
    for package in PACKAGES:
        folder = Path(import_module(package).__path__[0])
        yield from (
            f"{package}.{path.stem}"
            for path in sorted(folder.glob("*.py"))
            if not path.stem.startswith("_")
        )


def tree_of(module: str) -> ast.Module:
    spec = find_spec(module)
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def imports_of(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Return what a module imports, for types too: name here -> its module, its name there."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def home_of(module: str, name: str) -> tuple[str, str]:
    """Return the module that defines a name, and what it is called there."""
    tree = tree_of(module)
    defined = {node.name for node in tree.body if hasattr(node, "name")}
    imported = imports_of(tree)
    if name in defined or name not in imported:
        return module, name
    where, called = imported[name]
    if find_spec(where) and called != "steps":
        return home_of(where, called)
    return where, called


def describe(module: str, name: str, shown: str) -> Iterator[str]:
    """Yield the lines about one name."""
    for node in tree_of(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            yield function(node)
            return
        if isinstance(node, ast.ClassDef) and node.name == name:
            yield from class_(node)
            return
    value = getattr(import_module(module), name)
    if isinstance(value, str | int | tuple) and not shown.startswith("__"):
        yield f"{shown} = {value!r}"
    else:
        yield f"{shown}: {type(value).__name__}"


def function(node: ast.FunctionDef, indent: str = "") -> str:
    kinds = [ast.unparse(each).rpartition(".")[2] for each in node.decorator_list]
    marks = "".join(f"@{kind} " for kind in kinds if kind in KINDS)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{indent}{marks}{node.name}({ast.unparse(node.args)}){returns}"


def class_(node: ast.ClassDef) -> Iterator[str]:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    yield f"class {node.name}({bases})" if bases else f"class {node.name}"
    yield from members(node)
    if node.name == "Environment":
        inherited = tree_of("aksci.environment_parts").body
        (base,) = (each for each in inherited if getattr(each, "name", "") == bases)
        yield from members(base, PROMISED)


def members(node: ast.ClassDef, names: frozenset[str] | None = None) -> Iterator[str]:
    """Yield the lines about a class's public members, or about those of some names."""
    for each in node.body:
        if names is not None and _name(each) not in names:
            continue
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            if not each.target.id.startswith("_"):
                default = " = …" if has_default(each.value) else ""
                yield f"    {each.target.id}: {ast.unparse(each.annotation)}{default}"
        elif isinstance(each, ast.FunctionDef) and (
            each.name in SPECIAL or not each.name.startswith("_")
        ):
            yield function(each, "    ")


def has_default(value: ast.expr | None) -> bool:
    """Return whether a field may be left out: ``field(repr=False)`` alone is no default."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "field":
        names = {each.arg for each in value.keywords}
        return bool(names & {"default", "default_factory"})
    return value is not None


def _name(node: ast.AST) -> str:
    return getattr(node, "name", "") or getattr(getattr(node, "target", None), "id", "")


def returned() -> list[tuple[str, str]]:
    """Return the classes of ours in the signatures of steps: what pipelines hand on."""
    found = set()
    for name in import_module("aksci.steps").__all__:
        module, called = home_of("aksci.steps", name)
        tree = tree_of(module)
        imported = imports_of(tree)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == called:
                every = [each.annotation for each in (*node.args.args, *node.args.kwonlyargs)]
                names = {
                    part.id
                    for annotation in (*every, node.returns)
                    if annotation is not None
                    for part in ast.walk(annotation)
                    if isinstance(part, ast.Name)
                }
                found |= {
                    home_of(*imported[each])
                    for each in names & set(imported)
                    if imported[each][0].startswith("aksci")
                }
    return sorted(found, key=lambda each: each[::-1])


def sessions() -> Iterator[str]:
    from aksci.cli.options import options_of
    from aksci.cli.sessions import SESSIONS

    for name in SESSIONS:
        yield f"{name}: {' '.join(sorted(options_of(SESSIONS[name])))}"


def statuses() -> Iterator[str]:
    from aksci.core import errors

    for name in errors.__all__:
        error = getattr(errors, name)
        if isinstance(error, type):
            yield f"{name}: {error.code} {error.exit_status}"


if __name__ == "__main__":
    sys.stdout.write(surface())
