"""A file of a folder is found where BuildKit finds it in what it was sent."""

from __future__ import annotations

import pytest

from aksci.images.context.hasher import TreeHasher, ignore_override
from aksci.images.context.sent_files import find_sent_file

LINKS = {
    "beside": ("d/ignore", "d/ignore"),
    "out, to what is there by that name inside": ("../ignore", "ignore"),
    "far out": ("../../../d/ignore", "d/ignore"),
    "from the root, which is the folder": ("/d/ignore", "d/ignore"),
    "through a link to a folder": ("alias/ignore", "d/e/ignore"),
    "to another link": ("second", "d/ignore"),
    "to nothing": ("missing", None),
    "to itself": ("link", None),
    "to a folder": ("d", None),
    "to the folder itself": (".", None),
    "back from a link, where text and disk differ": ("alias/../ignore", None),
}


@pytest.mark.parametrize(("target", "expected"), LINKS.values(), ids=LINKS)
def test_links_stay_in_the_folder(tmp_path, target, expected):
    folder = tmp_path / "ctx"
    (folder / "d/e").mkdir(parents=True)
    for name in ("ignore", "d/ignore", "d/e/ignore", "../ignore"):
        (folder / name).write_text(name)
    (folder / "alias").symlink_to("d/e")
    (folder / "second").symlink_to("/d/ignore")
    (folder / "link").symlink_to(target)
    assert find_sent_file(str(folder), "link") == (expected and f"{folder}/{expected}")


@pytest.fixture
def read(tmp_path):
    """The files that count; ``ignore`` names both."""
    (tmp_path / "ctx").mkdir()
    for name in ("a", "b", "main"):
        (tmp_path / "ctx" / name).write_text(name)
    (tmp_path / "a-ignored").write_text("a")
    (tmp_path / "ctx/b-ignored").write_text("b\nb-ignored\n*ignore\n")

    def entries(dockerfile="ctx/Dockerfile"):
        found = TreeHasher(tmp_path).entries("ctx", dockerfile)
        return {name for name in found if len(name) == 1}

    return entries


def test_an_ignore_file_that_leads_out_of_its_context_ignores_nothing(read, tmp_path):
    """moby/moby issue 42108."""
    (tmp_path / "ctx/.dockerignore").symlink_to("../a-ignored")
    assert read() == {"a", "b"}
    assert read(dockerfile=None) == {"a", "b"}
    assert ignore_override(tmp_path, "ctx", "ctx/Dockerfile") is None


def test_an_ignore_file_behind_a_link_inside_its_context_ignores(read, tmp_path):
    (tmp_path / "ctx/.dockerignore").symlink_to("b-ignored")
    assert read() == {"a"}
    assert read(dockerfile=None) == {"a"}


def test_where_the_dockerfiles_own_ignore_file_leads_out_that_of_the_context_holds(read, tmp_path):
    (tmp_path / "ctx/.dockerignore").write_text("b")
    (tmp_path / "ctx/Dockerfile.dockerignore").symlink_to("../a-ignored")
    assert read() == {"a"}
    (tmp_path / "ctx/Dockerfile.dockerignore").unlink()
    (tmp_path / "ctx/Dockerfile.dockerignore").mkdir()
    assert read() == {"a"}


def test_a_dockerfile_behind_a_link_is_built_with_the_ignore_file_that_its_key_was_made_with(
    read, tmp_path
):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "ctx/Dockerfile").symlink_to("../Dockerfile")
    (tmp_path / "ctx/.dockerignore").write_text("b")
    assert ignore_override(tmp_path, "ctx", "ctx/Dockerfile") == b"b"
    (tmp_path / "ctx/.dockerignore").unlink()
    (tmp_path / "ctx/.dockerignore").symlink_to("../a-ignored")
    assert ignore_override(tmp_path, "ctx", "ctx/Dockerfile") == b""
