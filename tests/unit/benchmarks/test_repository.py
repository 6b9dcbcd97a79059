"""The repositories that are measured: the same each time, and as they are described."""

from __future__ import annotations

import json
import subprocess
from collections import Counter

import pytest

from aksci.config.loader import load_config
from aksci.images.graph import build_graph
from benchmarks.repository import Size, design, write_repository

SMALL = Size(images=12, depth=4, files=130)


def git(root, *words):
    return subprocess.run(
        ["git", "-C", root, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "repository"
    write_repository(folder, SMALL, project="bench", registry="localhost:5000")
    return folder


@pytest.mark.parametrize("depth", [1, 2, 6])
@pytest.mark.parametrize("images", [10, 100, 500])
def test_a_design_has_the_depth_the_images_and_the_files_that_were_asked_for(images, depth):
    made = design(Size(images=images, depth=depth, files=images * 3 + 1))
    level = {image.name: image.level for image in made}
    assert (len(level), sum(image.files for image in made)) == (images, images * 3 + 1)
    assert set(level.values()) == set(range(depth))
    assert all(level[image.base] == image.level - 1 for image in made if image.level)
    assert all(image.base is None for image in made if not image.level)


def test_the_levels_of_an_even_design_hold_the_same_number():
    made = design(Size(images=100, depth=25, files=0, even=True))
    assert set(Counter(image.level for image in made).values()) == {4}


def test_a_depth_of_more_than_the_images_is_refused():
    with pytest.raises(ValueError, match="3 images can't be 4 deep"):
        Size(images=3, depth=4, files=0)


def test_the_same_seed_makes_the_same_commit_and_another_seed_another(root, tmp_path):
    again, other = tmp_path / "again", tmp_path / "other"
    write_repository(again, SMALL, project="bench", registry="localhost:5000")
    seeded = Size(images=12, depth=4, files=130, seed=5)
    write_repository(other, seeded, project="bench", registry="localhost:5000")
    commits = [git(folder, "rev-parse", "HEAD") for folder in (root, again, other)]
    assert commits[0] == commits[1] != commits[2]


def test_everything_is_committed(root):
    assert git(root, "status", "--porcelain") == ""
    tracked = git(root, "ls-files").splitlines()
    assert sum("/part-" in path for path in tracked) == 130


def test_we_read_the_graph_that_was_designed(root):
    graph = build_graph(root, load_config(root / "aksci.toml"))
    designed = {image.name: {image.base} - {None} for image in design(SMALL)}
    assert graph.parents == designed


def test_the_peers_files_describe_the_same_graph(root):
    bake = json.loads((root / "docker-bake.json").read_text())["target"]
    skaffold = json.loads((root / "skaffold.yaml").read_text())["build"]["artifacts"]
    required = {
        one["context"]: [each["image"].rpartition("/")[2] for each in one["requires"]]
        for one in skaffold
    }
    for image in design(SMALL):
        based = [image.base] if image.base else []
        assert list(bake[image.name]["contexts"].values()) == [f"target:{name}" for name in based]
        assert required[image.name] == based
