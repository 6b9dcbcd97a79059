"""What a session imports is what its user waits for: heavy libraries come when they are needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = ("asyncio", "azure", "cryptography", "docker", "lightkube", "requests", "rich", "sh")
OURS = ("aksci.deploy", "aksci.local.platform", "aksci.supply")


@pytest.mark.parametrize("module", ["aksci.steps.build_step", "aksci.steps.plan_step"])
def test_to_decide_what_to_build_no_heavy_library_is_imported(module):
    code = (
        "import sys, aksci.__main__, aksci.cli.edge, aksci.config.loader, aksci.local.layout;"
        f"import aksci.pipelines.build, aksci.pipelines.plan, {module};"
        f"print([name for name in {LIBRARIES + OURS!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_to_import_aksci_alone_imports_nothing_of_the_standard_library_either():
    """``typing`` alone is most of the 10 ms that it may take."""
    code = "import sys; before = set(sys.modules); import aksci; print(set(sys.modules) - before)"
    code = f"import __future__, sys; sys.path.insert(0, {str(ROOT)!r}); {code}"
    # -S: what an editable installation's .pth imports is not ours.
    argv = [sys.executable, "-I", "-S", "-c", code]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "{'aksci'}"
