from __future__ import annotations

import json
from pathlib import Path

import pytest

from aksci.supply.sandbox import Sandbox
from aksci.supply.scan.trivy import sbom_argv, scan_argv

CASES = sorted((Path(__file__).parent / "argv").glob("scan_*.json"))
SBOMS = sorted((Path(__file__).parent / "argv").glob("sbom_*.json"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_command_line_is_exactly_what_its_case_says(case, ref):
    content = json.loads(case.read_text())
    argv = scan_argv(
        Path("/t/trivy"),
        ref,
        cache=Path("/c"),
        report=Path("/f/report.json"),
        config=Path("/f/trivy.yaml"),
        ignorefile=Path("/f/ignore"),
        scanners=frozenset(content["scanners"]),
        timeout=600,
    )
    assert list(argv) == content["argv"]


@pytest.mark.parametrize("case", SBOMS, ids=lambda path: path.stem)
def test_the_command_line_of_a_bill_of_materials_is_exactly_what_its_case_says(case):
    content = json.loads(case.read_text())
    argv = sbom_argv(
        Path("/t/trivy"),
        Path("/f/report.json"),
        form=content["form"],
        output=Path("/f/bill.json"),
        cache=Path("/f/cache"),
        config=Path("/f/trivy.yaml"),
        ignorefile=Path("/f/ignore"),
    )
    assert list(argv) == content["argv"]


def test_a_sandbox_passes_on_no_credential_and_no_configuration(tmp_path):
    variables = {
        "PATH": "/usr/bin",
        "HTTPS_PROXY": "http://proxy:3128",
        "TRIVY_IGNORE_UNFIXED": "true",
        "TRIVY_PASSWORD": "x",
        "NOTATION_PASSWORD": "x",
        "AZURE_CLIENT_SECRET": "x",
        "DOCKER_CONFIG": str(tmp_path),
        "KUBECONFIG": str(tmp_path),
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    with Sandbox(variables) as sandbox:
        environment = dict(sandbox.environment)
        assert list(sandbox.empty.iterdir()) == []
    assert set(environment) == {
        "PATH",
        "HTTPS_PROXY",
        "HOME",
        "DOCKER_CONFIG",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
    }
    assert str(tmp_path) not in environment.values()
    assert not sandbox.empty.exists()
