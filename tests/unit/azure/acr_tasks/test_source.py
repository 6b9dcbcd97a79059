"""Where ACR Tasks finds the sources."""

from __future__ import annotations

import pytest

from aksci.azure.acr_tasks.source_location import locate_source


@pytest.mark.parametrize(
    ("address", "repository", "kind"),
    [
        ("https://github.com/example/shop", "https://github.com/example/shop.git", "Github"),
        ("https://github.com/example/shop.git", "https://github.com/example/shop.git", "Github"),
        ("https://user:s3cret@github.com/e/s/", "https://github.com/e/s.git", "Github"),
        ("https://github.com/e/s#branch:x", "https://github.com/e/s.git", "Github"),
        (
            "https://dev.azure.com/org/project/_git/shop",
            "https://dev.azure.com/org/project/_git/shop",
            "VisualStudioTeamService",
        ),
        ("https://github.com.evil.example/x", "https://github.com.evil.example/x", None),
        ("https://notgithub.com/x", "https://notgithub.com/x", None),
        ("", "", None),
        ("git@github.com:example/shop.git", "", None),
        ("https://[bad", "", None),
    ],
)
def test_the_repository_is(address, repository, kind, tmp_path):
    found = locate_source(address, tmp_path)
    assert found.repository == repository
    assert found.kind == (kind or "VisualStudioTeamService")


def test_the_folder_is_the_one_in_the_work_tree(tmp_path):
    project = tmp_path / "examples" / "shop"
    project.mkdir(parents=True)
    assert locate_source("", project).suffix == ""
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    assert locate_source("", project).suffix == ":examples/shop"
    assert locate_source("", tmp_path).suffix == ""
