"""docs/library.md as a team has it: its files in a repository of theirs, with the wheel."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
from pathlib import Path

import pytest

PIPELINES = Path(__file__).parents[2] / "unit/test_library_pipelines.py"
CONFTEST = '''\
"""A copy of this repository, which a test may change."""

import shutil
import sys
from pathlib import Path

import aksci
import pytest

assert Path(aksci.__file__).is_relative_to(sys.prefix)  # the wheel's


@pytest.fixture
def team_repository(tmp_path):
    return Path(shutil.copytree(Path(__file__).parents[1], tmp_path / "team"))
'''
SCAN = """\
from aksci import Environment, steps
from aksci.parts import Parts
from aksci.testing import MemoryWorld

HOST = "shopstaging.azurecr.io"

world = MemoryWorld()
world.hosts.add(HOST)
parts = Parts(
    registry=world.connect(HOST),
    outside={"docker.io": world.connect("docker.io")},
    builder=world.builder,
    image_runner=world.image_runner,
    signer=world.signer,
)
with Environment.open("staging", parts=parts) as env:
    verdicts = steps.scan(env, steps.build(env))
    for name, verdict in sorted(verdicts.items()):
        print(name, verdict.scanner, [each.id for each in verdict.failing], sep=": ")
"""
"""All is in memory but the scanner, which is the one that aksci.toml asks for."""


@pytest.fixture
def repository(library_page, tmp_path):
    """A team's repository, with the files of the page and what they need."""
    return library_page.write(tmp_path / "team")


@pytest.fixture
def team(foreign, installed, repository):
    """The wheel with what the team installs beside it: pytest, and its scanner."""
    return foreign.install_with(installed.version, repository / "acme-scanner")


def test_its_tests_and_ours_of_its_pipelines_pass(team, repository, tmp_path):
    shutil.copy(PIPELINES, repository / "tests")
    (repository / "tests/conftest.py").write_text(CONFTEST)
    words = ("-q", "--basetemp", tmp_path / "pytest")
    told = team.run("python", "-m", "pytest", *words, cwd=repository)
    tests = PIPELINES.read_text().count("\ndef test_") + 2
    assert f"{tests} passed" in told


def test_nox_offers_its_session_in_place_of_ours(installed, repository):
    listed = installed.run("nox", "-l", cwd=repository)
    assert "* build -> " in listed
    assert listed.count(" release -> ") == 1
    assert "- release -> Build, check and deploy.\n" in listed
    usage = installed.run("nox", "-s", "release", "--", "--help", cwd=repository)
    assert "--only" in usage


def test_nox_offers_the_readme_s_session_beside_ours(installed, repository, library_page):
    (repository / "noxfile.py").write_text(library_page.README_NOXFILE)
    listed = installed.run("nox", "-l", cwd=repository)
    assert "- ship -> Build, check and deploy.\n" in listed
    assert listed.count(" release -> ") == 1
    usage = installed.run("nox", "-s", "ship", "--", "--help", cwd=repository)
    assert "nox -s ship -- " in usage
    assert "--only" in usage


def test_its_scanner_is_chosen_by_aksci_toml_and_decides(team, repository, library_page):
    with (repository / "aksci.toml").open("a") as file:
        file.write(library_page.SCANNER_TABLES)
    good = {"package": "zlib", "version": "1.3"}
    bad = {**good, "id": "ACME-7", "severity": "CRITICAL", "fixed": "1.4"}
    (repository / "security").mkdir()
    listed = {"shop/gateway": [good], "shop/worker": [bad]}
    (repository / "security/acme.json").write_text(json.dumps(listed))
    (repository / "scripts/scan.py").write_text(SCAN)
    told = team.run("python", "-m", "scripts.scan", cwd=repository)
    scanner = r"acme 1\.4, of acme-scanner 1\.4, options [0-9a-f]{12}"
    assert re.search(rf"^gateway: {scanner}: \[\]$", told, re.MULTILINE), told
    assert re.search(rf"^worker: {scanner}: \['ACME-7'\]$", told, re.MULTILINE), told


@pytest.fixture
def name(kubectl):
    """A name for a project; its namespace is deleted afterwards."""
    made = f"t-{secrets.token_hex(4)}"
    yield made
    kubectl("delete", "namespace", made, "--ignore-not-found", "--wait=false")


def test_its_first_pipeline_brings_an_image_to_a_real_cluster(foreign, repository, name, kubectl):
    toml = repository / "aksci.toml"
    text = toml.read_text().replace('"shop"', f'"{name}"')
    toml.write_text(f'{text}\n[scan]\ndatabase = "small"\n')
    shutil.rmtree(repository / "worker")
    installed = foreign.install("{}.{}".format(*sys.version_info))
    homes = {key: value for key, value in os.environ.items() if key.startswith("XDG_")}
    installed.run("nox", "-s", "release", cwd=repository, variables=homes)
    build = json.loads((repository / ".aksci/build.json").read_text())
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    running = kubectl("get", "deployment", "gateway", "--namespace", name, "--output", image)
    assert running == build["images"]["gateway"]["ref"]
    (record,) = (repository / ".aksci/runs").glob("*-release.json")
    assert {"build", "scan", "sign", "publish", "deploy"} <= set(json.loads(record.read_text()))
