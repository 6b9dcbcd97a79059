"""However a small input is made, it ends in a result or in an error that says what is wrong."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "worst_inputs.py"
CASES = runpy.run_path(str(SCRIPT))["CASES"]
LARGEST = 300_000
"""Bytes of all files of an input."""
LONGEST = 1_000
"""Characters of an error."""


@pytest.fixture(scope="module")
def endings():
    """Return how the reading of each input ended, within hard limits of time and memory."""
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = map(json.loads, done.stdout.splitlines())
    return {one["case"]: one["ended"] for one in found}


@pytest.mark.parametrize("name", CASES)
def test_a_small_input_costs_neither_hours_nor_gigabytes(name, endings):
    error = CASES[name][1]
    if not error:
        assert endings[name] == "result"
    else:
        assert endings[name].startswith("config: ")
        assert error in endings[name]
        assert len(endings[name]) < LONGEST


@pytest.mark.parametrize("name", CASES)
def test_these_inputs_are_small(name):
    assert sum(len(text) for text in CASES[name][0]().values()) < LARGEST
