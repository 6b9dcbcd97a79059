"""Folders that hold nothing to look for are told by their links, and only where those count."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.images.discovery import globs
from aksci.images.discovery.leaf_folders import LeafFolders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAMES = frozenset({"Dockerfile"})


def _mounts(folder: Path, kind: str) -> str:
    """Write a mountinfo in which the device of a folder has a file system of some kind."""
    device = os.lstat(folder).st_dev
    file = folder / "mountinfo"
    file.write_text(
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        f"36 35 {os.major(device)}:{os.minor(device)} / /mnt rw shared:1 master:2 - {kind} /dev/x\n"
    )
    return str(file)


def test_a_folder_with_files_alone_and_none_that_is_looked_for_lacks_them(tmp_path: Path) -> None:
    leaf = tmp_path / "leaf"
    leaf.mkdir()
    (leaf / "code.py").touch()
    assert LeafFolders(_mounts(tmp_path, "ext4")).lacks(str(leaf), _NAMES)


@pytest.mark.parametrize("holds", ["file", "folder", "broken link", "link to a folder"])
def test_a_folder_that_holds_such_a_name_or_a_folder_is_to_be_read(
    holds: str, tmp_path: Path
) -> None:
    leaf = tmp_path / "leaf"
    leaf.mkdir()
    if holds == "file":
        (leaf / "Dockerfile").touch()
    elif holds == "folder":
        (leaf / "any").mkdir()
    else:
        (leaf / "Dockerfile").symlink_to("nowhere" if holds == "broken link" else "..")
    assert not LeafFolders(_mounts(tmp_path, "ext4")).lacks(str(leaf), _NAMES)


@pytest.mark.parametrize("kind", ["btrfs", "fuse.mergerfs", "overlay", "9p"])
def test_nothing_is_concluded_where_links_may_count_something_else(
    kind: str, tmp_path: Path
) -> None:
    leaf = tmp_path / "leaf"
    leaf.mkdir()
    assert not LeafFolders(_mounts(tmp_path, kind)).lacks(str(leaf), _NAMES)


@pytest.mark.parametrize("text", [None, "", "36 35\n", "36 35 x:y / / rw - ext4 a rw\n"])
def test_nothing_is_concluded_where_nobody_says_what_is_mounted(
    text: str | None, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    if text is not None:
        mounts.write_text(text)
    leaf = tmp_path / "leaf"
    leaf.mkdir()
    assert not LeafFolders(str(mounts)).lacks(str(leaf), _NAMES)


def test_a_folder_that_is_gone_is_left_to_who_reads_it(tmp_path: Path) -> None:
    assert not LeafFolders(_mounts(tmp_path, "ext4")).lacks(str(tmp_path / "gone"), _NAMES)


def test_a_search_does_not_read_folders_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("web/src", "web/docs"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "file").touch()
    (tmp_path / "web/Dockerfile").touch()
    _count_links(tmp_path, monkeypatch)
    read: list[str] = []
    scan = os.scandir

    def noting(place: str) -> Iterator[os.DirEntry[str]]:
        read.append(place)
        return scan(place)

    monkeypatch.setattr(os, "scandir", noting)
    found = globs.find_files(tmp_path, ["**/Dockerfile"])
    assert [str(one) for one in found["**/Dockerfile"]] == ["web/Dockerfile"]
    assert sorted(read) == [f"{tmp_path}/", f"{tmp_path}/web/"]


_Tree = dict[str, "_Tree | None"]
_NODES: st.SearchStrategy[_Tree] = st.recursive(
    st.just({}),
    lambda below: st.dictionaries(
        st.sampled_from(["a", "b", "Dockerfile", "x.Dockerfile", "node_modules", "link"]),
        st.one_of(st.none(), below),
        max_size=4,
    ),
    max_leaves=12,
)


@given(
    tree=_NODES,
    patterns=st.lists(
        st.sampled_from(
            ["**/Dockerfile", "*/Dockerfile", "**/a/Dockerfile", "**/link/Dockerfile", "**/*.D*"]
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_a_search_finds_the_same_as_one_that_reads_every_folder(
    tree: _Tree, patterns: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("tree")
    _write(root, tree)
    with pytest.MonkeyPatch.context() as patch:
        _count_links(root.parent, patch)
        fast = globs.find_files(root, patterns)
        patch.setattr(LeafFolders, "lacks", lambda *_: False)
        assert globs.find_files(root, patterns) == fast


def _write(folder: Path, tree: _Tree) -> None:
    for name, below in tree.items():
        if below is not None:
            (folder / name).mkdir()
            _write(folder / name, below)
        elif name == "link":
            (folder / name).symlink_to("a")
        else:
            (folder / name).touch()


def _count_links(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the folder's file system be one whose links count, whatever it is."""
    patch.setattr(globs, "LeafFolders", partial(LeafFolders, _mounts(folder, "ext4")))
