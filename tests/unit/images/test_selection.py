"""--only and --with-dependents: the same words mean the same images to plan and build."""

from __future__ import annotations

import pytest

from aksci import steps
from aksci.core.errors import ConfigError
from aksci.images.selection import select
from aksci.testing import open_environment

FILES = {
    "base/Dockerfile": "FROM scratch\n",
    "tool/Dockerfile": "FROM scratch\n",
    "left/Dockerfile": "FROM shop/base\n",
    "right/Dockerfile": "FROM shop/base\nCOPY --from=shop/tool /x /x\n",
    "top/Dockerfile": "FROM shop/left\n",
    "lone/Dockerfile": "FROM scratch\n",
}


@pytest.fixture
def graph(project):
    return project(FILES)


@pytest.mark.parametrize(
    ("only", "with_dependents", "expected"),
    [
        ((), False, {"base", "left", "lone", "right", "tool", "top"}),
        (("lone",), False, {"lone"}),
        (("top",), False, {"top", "left", "base"}),
        (("lone",), True, {"lone"}),
        (("base",), True, {"base", "left", "right", "top", "tool"}),
        (("tool",), True, {"tool", "right", "base"}),
        (("tool", "top"), False, {"tool", "top", "left", "base"}),
    ],
)
def test_only_means_what_is_named_and_what_that_needs(graph, only, with_dependents, expected):
    assert select(graph, only, with_dependents=with_dependents) == expected


def test_a_misspelt_name_is_an_error_that_suggests_the_right_one(graph):
    with pytest.raises(ConfigError, match="no image 'rigth'") as caught:
        select(graph, ["rigth"])
    assert caught.value.hint == "did you mean right?"


@pytest.mark.parametrize("step", [steps.plan, steps.build])
@pytest.mark.parametrize("parameter", ["only", "force"])
def test_a_text_where_names_are_expected_is_not_read_letter_by_letter(tmp_path, step, parameter):
    (tmp_path / "aksci.toml").write_text(
        'schema = 1\n[project]\nname = "shop"\n[images.b]\ndockerfile = "Dockerfile"\n'
    )
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    with open_environment(tmp_path) as env, pytest.raises(ConfigError, match="is a text") as told:
        step(env, **{parameter: "b"})
    assert told.value.hint == f"{parameter}=['b']"
