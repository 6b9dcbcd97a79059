"""A pipeline fits on a screen: what would not is a step, or belongs to a room."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
LINES = 40


def test_no_function_of_a_pipeline_is_longer_than_40_lines():
    longer = [
        f"{path.name}: {each.name}"
        for folder in ("pipelines", "aksci/pipelines")
        for path in (ROOT / folder).glob("*.py")
        for each in ast.walk(ast.parse(path.read_text()))
        if isinstance(each, ast.FunctionDef) and each.end_lineno - each.lineno >= LINES
    ]
    assert longer == []
