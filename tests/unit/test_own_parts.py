"""Parts of a team's own: chosen by their names, made by an installed package, and really used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aksci.testing.registry_server import serve

ACME = Path(__file__).parents[1] / "packages/acme-parts"
TOML = """\
schema = 1
[project]
name = "shop"
[discover]
dockerfiles = ["*/Dockerfile"]
[build]
validate = false
[scan]
scanner = "acme"
[scan.acme]
forbidden = {{ left-pad = "it was unpublished once" }}
[sign]
signers = ["acme"]
[sign.acme]
key = "acme.pem"
[environments.acme]
registry = "{registry}"
plain_http = true
namespace = "shop"
builder = {{ kind = "acme", folder = "srv" }}
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The folder in which the team's package is installed, as pip does it."""
    folder = tmp_path_factory.mktemp("installed")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--python", sys.executable)
    subprocess.run(["uv", "pip", "install", "-q", *offline, "--target", folder, ACME], check=True)
    return folder


@pytest.fixture
def registry():
    with serve() as server:
        yield server


@pytest.fixture
def project(tmp_path, registry):
    """A project with two images, one of which is based on the other."""
    root = tmp_path / "project"
    files = {
        "aksci.toml": TOML.format(registry=registry.host),
        "base/Dockerfile": "FROM scratch\nCOPY packages.txt /\n",
        "base/packages.txt": "zlib 1.3\n",
        "web/Dockerfile": "FROM shop/base:latest\nCOPY packages.txt /\n",
        "web/packages.txt": "zlib 1.3\nright-pad 2.0\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (root / "acme.pem").write_bytes(Ed25519PrivateKey.generate().private_bytes(*form))
    return root


@pytest.fixture
def aksci(project, installed, tmp_path):
    """Run a session where the package is installed; return what it said and its status."""

    def run(*words, **variables):
        return subprocess.run(
            [sys.executable, "-m", "aksci", "-C", project, *words, "--env", "acme"],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path / "home"),
                "PYTHONPATH": str(installed),
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_parts_of_a_teams_own_build_scan_and_sign(aksci, registry, project):
    done = aksci("build")
    assert done.returncode == 0, done.stderr
    built = json.loads((project / ".aksci/build.json").read_text())
    print(built)
    print(registry.store.repositories())
    raise AssertionError
