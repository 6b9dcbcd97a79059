"""The tables of attacks in docs/security.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = ("| attack | what happens | tried by |", "| --- | --- | --- |")


def test_every_attack_is_tried_by_tests_that_exist():
    text = (ROOT / "docs/security.md").read_text()
    table = text.partition("## Attacks")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and line not in HEAD]
    attacks = [row.split(" | ")[0] for row in rows]
    assert len(set(attacks)) == len(attacks)
    defined = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        defined |= set(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    assert len(rows) > 30
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, f"nothing tries: {row}"
        assert set(named) <= defined, row
