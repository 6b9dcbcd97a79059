"""What a project's files name stays in the project, whatever links say."""

from __future__ import annotations

import os

import pytest

from aksci.core.errors import ConfigError
from aksci.core.inside import Inside, place_named, read_file

CANARY = "canary-of-the-outside"


@pytest.fixture
def root(tmp_path):
    """A project's folder; beside it, what is none of its business."""
    (tmp_path / "outside/deep").mkdir(parents=True)
    (tmp_path / "outside/secret").write_text(CANARY)
    (tmp_path / "project-2").mkdir()
    (tmp_path / "project-2/secret").write_text(CANARY)
    root = tmp_path / "project"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_text("ours")
    return root


LEAVING = {
    "the link itself": ("x", "../outside/secret", "x"),
    "an absolute link": ("x", "{outside}/secret", "x"),
    "a folder on the way": ("x", "../outside", "x/secret"),
    "a link to a folder, and up again": ("x", "../outside/deep", "x/../secret"),
    "a link to a link": ("x", "a/y", "x"),
    "a folder whose name begins alike": ("x", "../project-2/secret", "x"),
    "no link at all": (None, None, "../outside/secret"),
    "an absolute path": (None, None, "{outside}/secret"),
    "a link that leads nowhere yet": ("x", "../outside/new", "x"),
    "the folder above": ("x", "..", "x/outside/secret"),
    "the root": ("x", "/", "x/etc/hostname"),
    "a process's root": ("x", "/proc/self/root", "x/etc/hostname"),
    "a process's variables": ("x", "/proc/self/environ", "x"),
}


@pytest.mark.parametrize(("link", "target", "path"), LEAVING.values(), ids=LEAVING)
def test_no_link_and_no_path_leads_out_of_the_project(root, link, target, path):
    outside = str(root.parent / "outside")
    (root / "a/y").symlink_to("../../outside/secret")
    if link:
        (root / link).symlink_to(target.format(outside=outside))
    path = path.format(outside=outside)
    for look in (Inside(root).find, Inside(root).read, Inside(root).has_file,
                 Inside(root).has_folder):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            look(path, where="compose.yaml: services.web")
        assert str(caught.value).startswith(
            f"compose.yaml: services.web: {path} leads out of the project"
        )
        assert CANARY not in str(caught.value)


def test_links_that_stay_in_the_project_are_followed(root):
    (root / "folder").symlink_to("a")
    (root / "a/up").symlink_to("../a/b/file")
    (root / "whole").symlink_to(root / "a/b")
    inside = Inside(root)
    for path in ("a/b/file", "folder/b/file", "a/up", "whole/file", "./a/../a//b/file",
                 str(root / "a/b/file")):  # fmt: skip
        assert inside.read(path) == b"ours"
        assert inside.find(path) == root / "a/b/file"
    assert inside.find(".") == inside.find("") == root
    assert inside.has_folder("folder/b")
    assert not inside.has_file("folder/b")
    assert not inside.has_file("a/b/file/more")
    assert inside.find("a/none/yet") == root / "a/none/yet"


def test_a_project_behind_a_link_is_where_the_link_leads(root):
    (root.parent / "link").symlink_to("project")
    assert Inside(root.parent / "link").find("a/b/file") == root / "a/b/file"


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000, "a/" * 3000 + "x"])
def test_what_can_be_no_path_is_told_and_not_raised(root, name):
    with pytest.raises(ConfigError, match="can't be read") as caught:
        Inside(root).read(name)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_no_system_call_takes_is_no_place_either(root, name):
    with pytest.raises(ConfigError, match="can't be read"):
        place_named(root, name, where="--output")


def test_only_regular_files_are_read(root):
    os.mkfifo(root / "pipe")  # nothing ever writes to it
    (root / "zero").symlink_to("/dev/zero")
    (root / "loop").symlink_to("loop")
    for name in ("pipe", "a", "zero", "loop"):
        with pytest.raises(ConfigError):
            Inside(root).read(name)
        assert name == "zero" or not Inside(root).has_file(name)
    with pytest.raises(ConfigError, match="is no file"):
        read_file(root / "pipe", shown="pipe")
    with pytest.raises(FileNotFoundError):
        Inside(root).read("none")


def test_no_more_is_read_than_a_file_may_have(root):
    assert read_file(root / "a/b/file", shown="x", largest=4) == b"ours"
    with pytest.raises(ConfigError, match="larger"):
        read_file(root / "a/b/file", shown="x", largest=3)
    huge = root / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on the disk
    with pytest.raises(ConfigError, match="larger"):
        read_file(huge, shown="huge")


def test_what_aksci_toml_names_elsewhere_may_be_elsewhere(root):
    outside = root.parent / "outside"
    assert place_named(root, outside / "secret", where="x") == outside / "secret"
    assert place_named(root, "../outside/secret", where="x") == outside / "secret"
    assert place_named(root, "a/b/file", where="x") == root / "a/b/file"
    # Links of the machine's own, as a mounted secret has them.
    (outside / "data").symlink_to("secret")
    assert place_named(root, outside / "data", where="x") == outside / "data"


def test_what_is_written_as_inside_stays_inside(root):
    (root / "keys").symlink_to("../outside")
    for path in ("keys/secret", "a/../keys/secret", str(root / "keys/secret")):
        with pytest.raises(ConfigError, match="leads out"):
            place_named(root, path, where="[build.secrets.npm] file")
    # In a repository of several projects, what lies beside this one stays in the repository.
    (root.parent / ".git").mkdir()
    (root.parent / "shared").symlink_to("/etc")
    assert place_named(root, "../outside/secret", where="x") == root.parent / "outside/secret"
    with pytest.raises(ConfigError, match="leads out"):
        place_named(root, "../shared/hostname", where="x")
    with pytest.raises(ConfigError, match="leads out"):
        place_named(root, "keys/secret", where="x")
