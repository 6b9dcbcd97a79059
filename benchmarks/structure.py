"""Measure the structure of the code: ``python -m benchmarks.structure [FOLDER]``.

Counts that say how hard it is to find something: lines and files, class names that stand for two
things, file names that stand in many folders, import circles, modules that only one other module
of the same folder imports, and the length of the pipelines that teams read as examples. Nothing
is imported or run: the sources are read as text.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Structure", "measure_structure"]

_PACKAGES = ("aksci", "pipelines")
_PIPELINES = ("aksci/pipelines", "pipelines")
_JOINED = 450
"""Lines that a module may have after it took in another one."""


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What was counted; names are dotted module names."""

    lines: int
    files: int
    comments: int
    """Lines that are nothing but a comment."""
    classes: Mapping[str, tuple[str, ...]]
    """Public class names that several modules define -> those modules."""
    file_names: Mapping[str, tuple[str, ...]]
    """File names that stand in several folders -> those folders."""
    circles: tuple[tuple[str, ...], ...]
    """Modules that import each other, directly or not, type checking included."""
    single: tuple[str, ...]
    """Modules with one importer, which is in the same folder."""
    joinable: tuple[str, ...]
    """Those that would leave it under 450 lines."""
    pipelines: Mapping[str, int]
    """Functions of the ready-made pipelines, and of this repository's -> lines, docstring and all;
    the longest first."""

    def text(self) -> str:
        """Return the counts, a line each, with the names that they count."""
        share = 100 * self.comments / self.lines if self.lines else 0.0
        rows = [
            f"lines {self.lines}, files {self.files}, comment lines {share:.1f} %",
            f"class names used more than once: {len(self.classes)}",
            *(f"  {name}: {', '.join(where)}" for name, where in sorted(self.classes.items())),
            f"file names in more than one folder: {len(self.file_names)}",
            *(f"  {name}: {', '.join(where)}" for name, where in sorted(self.file_names.items())),
            f"import circles: {len(self.circles)}",
            *(f"  {' <-> '.join(circle)}" for circle in self.circles),
            f"modules with one importer, in the same folder: {len(self.single)}",
            f"of these, could join it under {_JOINED} lines: {len(self.joinable)}",
            *(f"  {name}" for name in self.joinable),
            f"functions of pipelines: {len(self.pipelines)}; the longest, in lines:",
            *(f"  {name}: {lines}" for name, lines in list(self.pipelines.items())[:3]),
        ]
        return "\n".join(rows)


def measure_structure(root: Path) -> Structure:
    """Count what the packages ``aksci`` and ``pipelines`` of a checkout are made of."""
    files = {
        _module(root, path): path for name in _PACKAGES for path in (root / name).rglob("*.py")
    }
    texts = {module: path.read_text(encoding="utf-8") for module, path in files.items()}
    trees = {module: ast.parse(text) for module, text in texts.items()}
    imports = {module: _imports(tree, files, module) for module, tree in trees.items()}
    lines = {module: text.count("\n") for module, text in texts.items()}
    single = dict(_single(imports))
    return Structure(
        lines=sum(lines.values()),
        files=len(files),
        comments=sum(
            line.lstrip().startswith("#") for t in texts.values() for line in t.split("\n")
        ),
        classes=_repeated(
            (cls, module) for module, tree in trees.items() for cls in _classes(tree)
        ),
        file_names=_repeated(
            (path.name, str(path.parent.relative_to(root)))
            for path in files.values()
            # What teams import is called as they would call it: aksci.errors is of core.errors.
            if path.name not in {"__init__.py", "__main__.py"} and path != root / "aksci/errors.py"
        ),
        circles=tuple(sorted(_circles(imports))),
        single=tuple(sorted(single)),
        joinable=tuple(sorted(m for m, by in single.items() if lines[m] + lines[by] <= _JOINED)),
        pipelines=dict(
            sorted(
                (
                    (f"{module}.{node.name}", _length(node))
                    for module, tree in trees.items()
                    if files[module].parent in {root / folder for folder in _PIPELINES}
                    for node in ast.walk(tree)
                    if isinstance(node, ast.FunctionDef)
                ),
                key=lambda each: (-each[1], each[0]),
            )
        ),
    )


def _length(node: ast.FunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _module(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _classes(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def _imports(tree: ast.Module, files: Mapping[str, Path], own: str) -> set[str]:
    """Return the modules of ours that one imports, at its top or anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in files else node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return (found & set(files)) - {own}


def _repeated(pairs: Iterator[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, where in pairs:
        found[name].append(where)
    return {name: tuple(sorted(where)) for name, where in found.items() if len(where) > 1}


def _single(imports: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Yield each module whose one importer is in its own folder, with that importer."""
    counts = Counter(target for targets in imports.values() for target in targets)
    for module, targets in imports.items():
        for target in targets:
            together = module.rpartition(".")[0] == target.rpartition(".")[0]
            if counts[target] == 1 and together:
                yield target, module


def _circles(imports: Mapping[str, set[str]]) -> Iterator[tuple[str, ...]]:
    """Yield groups of modules that reach each other (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[tuple[str, ...]]:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(imports[module]):
            if target not in index:
                yield from visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            at = stack.index(module)
            group = tuple(sorted(stack[at:]))
            del stack[at:]
            if len(group) > 1:
                yield group

    for module in sorted(imports):
        if module not in index:
            yield from visit(module)


if __name__ == "__main__":
    print(measure_structure(Path(*sys.argv[1:2])).text())  # noqa: T201 - its output is its purpose
