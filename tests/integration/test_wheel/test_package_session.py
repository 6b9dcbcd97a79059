"""``./dev -s package``: what a tag publishes is this version, told of, and the same bytes again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import aksci

ROOT = Path(__file__).parents[3]
TAG = f"v{aksci.__version__}"


@pytest.fixture
def clone(tmp_path):
    """A repository with what the session reads, so that dist/ of this one stays as it is."""
    folder = tmp_path / "clone"
    made = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "aksci", folder / "aksci", ignore=made)
    for name in ("CHANGELOG.md", "LICENSE", "README.md", "noxfile.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    author = ("-c", "user.name=t", "-c", "user.email=t@t.test")
    for words in (("init", "--quiet"), ("add", "."), (*author, "commit", "--quiet", "-m", "all")):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    return folder


def package(clone, *words, expect=0):
    nox = Path(sys.executable).with_name("nox")
    argv = [nox, "-s", "package", *(["--", *words] if words else [])]
    done = subprocess.run(argv, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stderr
    return done.stderr


def tell(clone, version):
    text = (clone / "CHANGELOG.md").read_text()
    (clone / "CHANGELOG.md").write_text(text + f"\n## {version} - 2026-11-28\n")


def test_a_tag_of_another_version_is_refused(clone):
    tell(clone, "9.9.9")
    assert f"v9.9.9 is not {TAG}" in package(clone, "v9.9.9", expect=1)
    assert not (clone / "dist").exists()


def test_a_version_that_the_changelog_does_not_tell_of_is_refused(clone):
    tell(clone, f"{aksci.__version__}0")
    assert "has no section" in package(clone, TAG, expect=1)
    assert not (clone / "dist").exists()


def test_a_tag_makes_wheel_and_source_archive_and_makes_them_again(clone):
    tell(clone, aksci.__version__)
    package(clone, TAG)
    first = {path.name: path.read_bytes() for path in (clone / "dist").iterdir()}
    version = aksci.__version__
    assert set(first) == {f"aksci-{version}-py3-none-any.whl", f"aksci-{version}.tar.gz"}
    package(clone, TAG)
    assert {path.name: path.read_bytes() for path in (clone / "dist").iterdir()} == first
