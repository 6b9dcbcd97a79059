"""Projects made of text."""

from __future__ import annotations

import pytest

from aksci.config.loader import load_config
from aksci.images.discovery.sources.imported import Importer
from aksci.images.discovery.specs import discover_images
from aksci.images.graph import build_graph

HEAD = 'schema = 1\n[project]\nname = "shop"\n'


class Outside:
    """Images from outside whose digests a function tells; none of them has ONBUILD."""

    def __init__(self, digest_of):
        self._digest_of = digest_of

    def __call__(self, reference):
        return self._digest_of(reference)

    def onbuild(self, *_):
        return ()


@pytest.fixture
def project(tmp_path):
    """Write files and an aksci.toml; return its graph."""

    def make(files, toml='[discover]\ndockerfiles = ["**/*ockerfile*"]', **options):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (tmp_path / "aksci.toml").write_text(HEAD + toml)
        return build_graph(tmp_path, load_config(tmp_path / "aksci.toml"), **options)

    make.root, make.outside = tmp_path, Outside
    return make


@pytest.fixture
def discover(tmp_path):
    """Write files and an aksci.toml; return the images, and the warnings as ``notes``."""
    notes = []

    def make(files, toml='[discover]\ndockerfiles = ["**/*ockerfile*"]\n', **variables):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (tmp_path / "aksci.toml").write_text(HEAD + toml)
        return discover_images(
            tmp_path,
            load_config(tmp_path / "aksci.toml"),
            builder_platform="linux/amd64",
            importer=Importer(variables=variables, warn=notes.append),
        )

    make.root = tmp_path
    make.notes = notes
    return make
