"""What a user of the wheel reads names no file that only the source tree has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(
    path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")
)
"""Of the tree; a wheel holds ``aksci`` alone."""
NAMED = re.compile(
    rf"(?<![\w./:-])(?:(?:{'|'.join(map(re.escape, FOLDERS))}|\.github|\.ci)/[\w./-]*"
    r"|(?:CHANGELOG|CONTRIBUTING|SECURITY)\.md)"
)
PUBLIC = ("__init__", "nox", "errors", "parts", "steps/", "pipelines/", "testing/")
"""Of these, docstrings are read as well: by ``help()`` and by editors."""
MODULES = sorted((ROOT / "aksci").rglob("*.py"))
OTHERS = sorted(
    path
    for kind in ("json", "html", "css", "js", "txt")
    for path in (ROOT / "aksci").rglob(f"*.{kind}")
)


def missing(text):
    """Return the files that a text names and the wheel lacks."""
    named = [found[0].rstrip("./") for found in NAMED.finditer(text)]
    # Repositories and categories are called aksci/NAME, too; files have an ending.
    ours = {name for name in named if name.startswith("aksci/")}
    there = {name for name in ours if (ROOT / name).exists() or not Path(name).suffix}
    return [name for name in named if name not in there]


def texts(path):
    """Yield every string of a module that may be shown."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = str(path.relative_to(ROOT / "aksci"))
    documents = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) not in documents or inner.startswith(PUBLIC):
            yield node.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_message_names_a_file_that_the_wheel_lacks(path):
    assert [name for text in texts(path) for name in missing(text)] == []


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_schema_and_no_page_names_one_either(path):
    assert missing(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(docs/configuration.md shows it)", ["docs/configuration.md"]),
        ("see docs/{name}.md", ["docs"]),
        ("check aksci/tools/pins.toml, or aksci/no-such.toml", ["aksci/no-such.toml"]),
        ("https://example.com/docs/x.md and my/docs/x.md", []),
        ("SECURITY.md says how", ["SECURITY.md"]),
    ],
)
def test_what_counts_as_such_a_name(text, found):
    assert missing(text) == found
