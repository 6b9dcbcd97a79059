"""The example of docs/testing.md runs."""

from __future__ import annotations

import re
from pathlib import Path


def test_the_documented_example_runs():
    text = (Path(__file__).parents[3] / "docs/testing.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(compile(example, "docs/testing.md", "exec"), names)  # noqa: S102 - our own text
    examples = [found for name, found in names.items() if name.startswith("test_")]
    assert len(examples) == 2
    for found in examples:
        found()
