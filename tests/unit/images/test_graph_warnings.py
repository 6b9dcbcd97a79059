"""Names that are near one of the project's, and are another one."""

from __future__ import annotations

import pytest

from aksci.config.models import Config
from aksci.images.graph_warnings import graph_warnings

BASE = {"schema": 1, "project": {"name": "shop"}}


def warnings(graph, **tables):
    return graph_warnings(graph, Config.model_validate({**BASE, **tables}))


def test_an_image_of_docker_hub_that_is_called_like_one_of_ours_is_told(project):
    graph = project(
        {
            "base/Dockerfile": "FROM scratch\n",
            "nginx/Dockerfile": "FROM nginx\n",
            "web/Dockerfile": "FROM base AS tools\nFROM nginx\nCOPY --from=tools /x /x\n",
            "good/Dockerfile": "FROM shop/base\n",
            "pinned/Dockerfile": "FROM base:1.2\n",
        }
    )
    told = (
        "web/Dockerfile: base means docker.io/library/base:latest; "
        "the project's own image base is shop/base"
    )
    assert warnings(graph) == [told]


def test_an_own_image_under_a_tag_that_is_not_built_is_told(project):
    files = {
        "base/Dockerfile": "FROM scratch",
        "web/Dockerfile": "FROM shop/base:1.4",
        "api/Dockerfile": "FROM shop/base",
        "old/Dockerfile": f"FROM shop/base@sha256:{'a' * 64}",
        "far/Dockerfile": "FROM quay.io/shop/base:1.4",
    }
    assert warnings(project(files)) == [
        "web/Dockerfile: shop/base:1.4 is not built here; this project builds shop/base:latest"
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("VERSOIN", True),
        ("VERSION", False),
        ("ELSEWHERE", False),  # another target's
        ("GLOBAL", False),
        ("HTTPS_PROXY", False),
        ("BUILDKIT_CONTEXT_KEEP_GIT_DIR", False),
        ("SOURCE_DATE_EPOCH", False),
    ],
)
def test_an_argument_that_no_arg_declares_is_told(project, name, told):
    text = "ARG GLOBAL=1\nFROM scratch AS other\nARG ELSEWHERE\nFROM scratch\nARG VERSION\n"
    table = {"web": {"args": {name: "1"}, "dockerfile": "web/Dockerfile"}}
    graph = project({"web/Dockerfile": text})
    line = (
        "aksci.toml: images.web.args.VERSOIN: no ARG of web/Dockerfile declares it. "
        "Did you mean 'VERSION'?"
    )
    assert warnings(graph, images=table) == ([line] if told else [])


@pytest.mark.parametrize(
    ("mount", "told"),
    [
        ("id=npm", "BuildKit goes on without it"),
        ("id=npm,required=true", "BuildKit refuses it"),
        ("id=npm,required", "BuildKit refuses it"),
        ("target=/run/secrets/npm", "BuildKit goes on without it"),
        ("id=known", ""),
        ("id=$ID", ""),
    ],
)
def test_a_secret_that_no_table_brings_is_told_before_a_build(project, mount, told):
    text = f"FROM scratch\nRUN --mount=type=secret,{mount} x\n"
    build = {"secrets": {"known": {"env": "KNOWN"}}}
    line = f"web/Dockerfile, line 2: aksci.toml has no [build.secrets.npm]; {told}"
    assert warnings(project({"web/Dockerfile": text}), build=build) == ([line] if told else [])


@pytest.mark.parametrize(
    ("text", "ignored", "told"),
    [
        ("FROM scratch\nCOPY . /x", "", True),
        ("FROM scratch\nCOPY . /x", ".git\n", False),
        ("FROM scratch\nCOPY . /x", "*\n!src\n", False),
        ("FROM scratch\nCOPY src /x", "", False),
        ("FROM scratch\nCOPY --exclude=.git . /x", "", False),
        ("FROM scratch\nCOPY --exclude=src . /x", "", True),
        ("FROM scratch\nRUN --mount=type=bind,target=/x y", "", True),
    ],
)
def test_a_context_that_brings_git_along_is_told(project, text, ignored, told):
    files = {"Dockerfile": text, ".dockerignore": ignored, ".git/HEAD": "x", "src/a": ""}
    line = (
        "Dockerfile: its context brings .git along, so that each commit makes shop anew; .git in "
        "its .dockerignore leaves that out"
    )
    assert warnings(project(files)) == ([line] if told else [])


@pytest.mark.parametrize(
    ("name", "target", "told"),
    [
        (".dockerignore", "../ignore", True),
        ("Dockerfile.dockerignore", "../ignore", True),
        (".dockerignore", "here", False),
        ("Dockerfile.dockerignore", "/here", False),
    ],
)
def test_an_ignore_file_that_buildkit_does_not_read_is_told(project, name, target, told):
    graph = project({"web/Dockerfile": "FROM scratch", "ignore": "a", "web/here": "a"})
    (graph.root / "web" / name).symlink_to(target)
    line = (
        f"web/{name} is a link that leads to no file of its folder: BuildKit does not follow it, "
        "so it leaves nothing out of web; a file in its place does"
    )
    assert warnings(graph) == ([line] if told else [])
