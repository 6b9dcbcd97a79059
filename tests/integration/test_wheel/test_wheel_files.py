"""What is published: a wheel that holds aksci alone, and a source archive that makes the same."""

from __future__ import annotations

import re
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from trove_classifiers import classifiers

import aksci

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INFO = f"aksci-{aksci.__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(foreign):
    with zipfile.ZipFile(foreign.wheel()) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    return message_from_string(wheel.read(f"{INFO}/METADATA").decode())


def test_the_wheel_installs_aksci_and_nothing_beside_it(wheel):
    assert {name.partition("/")[0] for name in wheel.namelist()} == {"aksci", INFO}


def test_the_wheel_holds_every_file_of_the_package_and_none_that_python_made(wheel):
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "aksci").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel.namelist() if name.startswith("aksci/")} == source
    needed = {"aksci/py.typed", "aksci/config/aksci.schema.json", "aksci/tools/pins.toml"}
    assert needed <= source


def test_its_metadata_says_what_pyproject_says(metadata):
    assert metadata["Name"] == "aksci"
    assert metadata["Version"] == aksci.__version__
    assert metadata["Summary"] == PROJECT["description"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert set(metadata.get_all("Requires-Dist")) == set(PROJECT["dependencies"])
    assert metadata["Keywords"].split(",") == PROJECT["keywords"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text().strip()


def test_each_python_that_is_supported_and_tried_is_named(metadata, foreign):
    named = metadata.get_all("Classifier")
    assert set(named) <= classifiers
    assert "Typing :: Typed" in named
    versions = [found[1] for each in named if (found := re.search(r":: (3\.\d+)$", each))]
    module = sys.modules[type(foreign).__module__]
    assert tuple(versions) == module.PYTHONS


def test_one_program_is_installed(wheel):
    assert wheel.read(f"{INFO}/entry_points.txt").decode().split() == [
        *("[console_scripts]", "aksci", "=", "aksci.__main__:main"),
    ]
    assert wheel.read(f"{INFO}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_the_source_archive_makes_the_very_same_wheel_twice(foreign, tmp_path):
    build = sys.modules[type(foreign).__module__].build
    fixed = {"SOURCE_DATE_EPOCH": "1790000000"}
    sdist = build(tmp_path / "sdist", "sdist", variables=fixed)
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
        archive.extractall(tmp_path / "unpacked", filter="data")
    tops = {name.partition("/")[0] for name in names}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "aksci", "pyproject.toml", "tests"} <= tops
    assert tops.isdisjoint({".venv", ".nox", ".aksci", ".git", "dist"})
    assert [name for name in names if name.endswith(".pyc") or "/.aksci/" in name] == []
    (folder,) = (tmp_path / "unpacked").iterdir()
    again = build(tmp_path / "again", "wheel", source=folder, variables=fixed)
    first = build(tmp_path / "first", "wheel", variables=fixed)
    assert again.read_bytes() == first.read_bytes()
