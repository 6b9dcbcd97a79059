"""What a session imports is what its user waits for: heavy libraries come when they are needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIBRARIES = ("asyncio", "azure", "cryptography", "docker", "lightkube", "requests", "rich", "sh")
OURS = ("aksci.deploy", "aksci.local.platform", "aksci.supply")


@pytest.mark.parametrize("module", ["aksci.pipelines.build", "aksci.pipelines.plan"])
def test_to_decide_what_to_build_no_heavy_library_is_imported(module):
    code = (
        "import sys, aksci.__main__, aksci.cli.edge, aksci.config.loader, aksci.local.layout;"
        f"import {module};"
        f"print([name for name in {LIBRARIES + OURS!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
