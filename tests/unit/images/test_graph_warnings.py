"""Names that are near one of the project's, and what else is most often not meant so."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pytest

from aksci.config.models import Config
from aksci.core.errors import ConfigError
from aksci.images.graph import graph_document
from aksci.images.graph_warnings import graph_warnings
from aksci.images.missing_mounts import require_mounts

ROOT = Path(__file__).parents[3]
BASE = {"schema": 1, "project": {"name": "shop"}}
NOW = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)
ALL = '[discover]\ndockerfiles = ["**/*ockerfile*"]\n'


def found(graph, **tables):
    config = Config.model_validate({**BASE, **tables}, strict=False)
    return graph_warnings(graph, config, now=NOW)


def warnings(graph, **tables):
    return [one.message for one in found(graph, **tables)]


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


def test_a_cause_that_several_images_share_is_one_warning_that_names_them(project):
    files = {f"{name}/Dockerfile": "FROM shop/base:1.4" for name in "abcde"}
    (one,) = found(project({"base/Dockerfile": "FROM scratch", **files}))
    assert one.message.startswith("a/Dockerfile, b/Dockerfile, c/Dockerfile and 2 more: shop/base")
    assert one.images == tuple("abcde")
    assert (one.code, one.path, one.line) == ("OTHER_TAG", "a/Dockerfile", 0)


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("corp.example/shop/base:1.4", "corp.example/shop/base"),  # an environment's registry
        ("shop/bsae", "shop/base"),
        ("shop/bas", "shop/base"),
        ("shop/basee", "shop/base"),
        ("shop/python3.12", None),  # another version, and no misspelling
        ("shop/bastion", None),
        ("other/base", None),
        ("corp.example/shop/base", None),
    ],
)
def test_an_own_name_that_is_nearly_right_is_told(project, written, near):
    files = {"base/Dockerfile": "FROM scratch", "python3.11/Dockerfile": "FROM scratch"}
    environments = {"prod": {"registry": "corp.example", "namespace": "shop"}}
    toml = f'{ALL}[environments.prod]\nregistry = "corp.example"\nnamespace = "shop"\n'
    graph = project({**files, "web/Dockerfile": f"FROM {written}"}, toml)
    name = written if ":" in written else f"{written}:latest"
    line = f"web/Dockerfile: {name} is not built here; this project builds {near}:latest"
    assert warnings(graph, environments=environments) == ([line] if near else [])


def test_an_image_that_needs_an_earlier_version_of_itself_is_as_it_should_be(project):
    assert warnings(project({"base/Dockerfile": "FROM shop/base:1.0"})) == []


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
        ("TARGETPLATFORM", False),  # FROM uses it, and no ARG has to declare it
    ],
)
def test_an_argument_that_no_arg_declares_is_told(project, name, told):
    text = (
        "ARG GLOBAL=1\nFROM scratch AS other\nARG ELSEWHERE\n"
        "FROM --platform=$TARGETPLATFORM scratch\nARG VERSION\n"
    )
    toml = f'[images.web]\ndockerfile = "web/Dockerfile"\nargs = {{ {name} = "linux/amd64" }}'
    table = {"web": {"args": {name: "linux/amd64"}, "dockerfile": "web/Dockerfile"}}
    graph = project({"web/Dockerfile": text}, toml)
    line = (
        "aksci.toml: images.web.args.VERSOIN: no ARG of web/Dockerfile declares it. "
        "Did you mean 'VERSION'?"
    )
    assert warnings(graph, images=table) == ([line] if told else [])


def test_an_argument_of_requires_that_no_arg_declares_is_told(project):
    table = {"dockerfile": "web/Dockerfile", "requires": {"BAES": "base"}}
    toml = ALL + '[images.web]\ndockerfile = "web/Dockerfile"\nrequires = { BAES = "base" }'
    files = {"base/Dockerfile": "FROM scratch", "web/Dockerfile": "ARG BASE=scratch\nFROM $BASE"}
    assert warnings(project(files, toml), images={"web": table}) == [
        (
            "aksci.toml: images.web.requires.BAES: no ARG of web/Dockerfile declares it. "
            "Did you mean 'BASE'?"
        )
    ]


def test_what_a_compose_file_gives_to_all_need_be_declared_by_one(project):
    compose = """x-args: &args { LEVEL: "1", VERSOIN: "2", LEFT_OVER: "3" }
services:
  a: { build: { context: a, args: *args } }
  b: { build: { context: b, args: *args } }
"""
    files = {"a/Dockerfile": "FROM scratch\nARG VERSION LEVEL", "b/Dockerfile": "FROM scratch"}
    graph = project({**files, "compose.yaml": compose}, '[discover]\ncompose = ["compose.yaml"]')
    assert warnings(graph) == [
        (
            "a/Dockerfile, b/Dockerfile: no ARG declares VERSOIN, which a, b are given. "
            "Did you mean 'VERSION'?"
        )
    ]


@pytest.mark.parametrize(
    ("mount", "told"),
    [
        ("id=npm", "BuildKit goes on without it"),
        ("id=npm,env=NPM", "BuildKit goes on without it"),
        ("source=npm", "BuildKit goes on without it"),
        ("id=npm,required=true", "BuildKit refuses it"),
        ("id=npm,required", "BuildKit refuses it"),
        ("target=/run/secrets/npm", "BuildKit goes on without it"),
        ("dst=/run/npm/", "BuildKit goes on without it"),
        ("id=known", ""),
        ("id=$ID", ""),
    ],
)
def test_a_secret_that_no_table_brings_is_told_before_a_build(project, mount, told):
    text = f"FROM scratch\nRUN --mount=type=secret,{mount} x\n"
    build = {"secrets": {"known": {"env": "KNOWN"}}}
    line = f"web/Dockerfile, line 2: aksci.toml has no [build.secrets.npm]; {told}"
    assert warnings(project({"web/Dockerfile": text}), build=build) == ([line] if told else [])


def test_a_secret_that_many_mount_is_one_warning_with_what_was_meant(project):
    files = {
        f"{name}/Dockerfile": "FROM scratch\nRUN --mount=type=secret,id=npm_token x"
        for name in "abcd"
    }
    build = {"secrets": {"npm-token": {"env": "NPM"}}}
    assert warnings(project(files), build=build) == [
        (
            "a/Dockerfile, line 2; b/Dockerfile, line 2; c/Dockerfile, line 2 and 1 more: "
            "aksci.toml has no [build.secrets.npm_token]; BuildKit goes on without it. "
            "Did you mean 'npm-token'?"
        )
    ]


@pytest.mark.parametrize(
    ("mount", "name"), [("", "default"), (",id=deploy", "deploy"), (",id=known", "")]
)
def test_an_ssh_agent_that_no_table_brings_is_told(project, mount, name):
    text = f"FROM scratch\nRUN --mount=type=ssh{mount} git clone x\n"
    build = {"ssh": {"known": []}}
    line = (
        f"Dockerfile, line 2: aksci.toml has no {name!r} under [build.ssh]; BuildKit goes on "
        "without it"
    )
    assert warnings(project({"Dockerfile": text}), build=build) == ([line] if name else [])


def test_what_a_run_requires_is_asked_for_before_anything_is_built(project):
    graph = project(
        {
            "a/Dockerfile": "FROM scratch\nRUN --mount=type=secret,id=npm,required=true x",
            "b/Dockerfile": "FROM scratch\nRUN --mount=type=ssh,required x",
            "c/Dockerfile": "FROM scratch\nRUN --mount=type=secret,id=pip x",
        }
    )
    config = Config.model_validate(BASE)
    require_mounts(graph, config, {"c"})
    with pytest.raises(ConfigError) as caught:
        require_mounts(graph, config, {"a", "b", "c"})
    assert caught.value.message.splitlines()[1:] == [
        "a/Dockerfile, line 2: aksci.toml has no [build.secrets.npm]",
        "b/Dockerfile, line 2: aksci.toml has no 'default' under [build.ssh]",
    ]
    assert "[build.secrets] and [build.ssh]" in caught.value.hint


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
        ".dockerignore leaves it out"
    )
    assert warnings(project(files)) == ([line] if told else [])


def test_images_of_one_context_are_told_of_git_once(project):
    text = "FROM scratch\nCOPY . /x"
    files = {f"Dockerfile.{name}": text for name in "abcd"}
    own = {"Dockerfile.own": text, "Dockerfile.own.dockerignore": "x"}
    told = warnings(project({**files, **own, ".git/HEAD": "x"}))
    assert [line.rpartition("; ")[2] for line in told] == [
        ".git in .dockerignore leaves it out",
        ".git in Dockerfile.own.dockerignore leaves it out",
    ]
    assert "shop-a, shop-b, shop-c and 1 more anew" in told[0]


@pytest.mark.parametrize(
    ("epoch", "told"),
    [
        ("1700000000", None),
        ("0", None),
        ("1796000000", "is in the future"),
        ("1700000000000", "is in the future; it counts seconds, not milliseconds"),
    ],
)
def test_a_date_that_is_still_to_come_is_told(project, epoch, told):
    toml = f"{ALL}[build]\nsource_date_epoch = {epoch}\n"
    graph = project({"Dockerfile": "FROM scratch"}, toml)
    line = f"aksci.toml: SOURCE_DATE_EPOCH {epoch}, the date of shop, {told}"
    assert warnings(graph) == ([line] if told else [])


def test_the_document_has_the_warnings_only_where_there_are_some(project):
    from dataclasses import replace

    graph = project({"Dockerfile": "FROM scratch\nRUN --mount=type=secret,id=npm x"})
    assert "warnings" not in graph_document(graph)
    told = replace(graph, warnings=found(graph))
    assert graph_document(told)["warnings"] == [
        {
            "code": "NO_SECRET",
            "message": "Dockerfile, line 2: aksci.toml has no [build.secrets.npm]; BuildKit goes "
            "on without it",
            "path": "Dockerfile",
            "line": 2,
            "images": ["shop"],
        }
    ]


def test_a_frontend_that_is_called_like_the_standard_one_is_told_once(project):
    names = {
        "a": "m.example/docker/dockerfile:1",
        "b": "m.example/docker/dockerfile:1.7",
        "c": "docker/dockerfile:1",
        "d": "example.com/mockerfile",
    }
    files = {f"{one}/Dockerfile": f"# syntax={name}\nFROM scratch" for one, name in names.items()}
    line = (
        "a/Dockerfile, b/Dockerfile: the frontend m.example/docker/dockerfile makes a, b opaque, "
        "to be built in every run; if it is docker/dockerfile from a mirror: [build] "
        'standard_frontends = ["m.example/docker/dockerfile"]'
    )
    assert warnings(project(files)) == [line]
    said = '[build]\nstandard_frontends = ["m.example/docker/dockerfile"]'
    assert warnings(project({}, f"{ALL}{said}")) == []


@pytest.mark.parametrize("name", ["m.example/a:1", "m.example/a@sha256:1", "dockerfile", ""])
def test_a_standard_frontend_is_named_in_full_and_without_a_tag(project, name):
    with pytest.raises(ConfigError, match=r"build\.standard_frontends"):
        project({"Dockerfile": "FROM scratch"}, f'[build]\nstandard_frontends = ["{name}"]')


@pytest.mark.parametrize("name", ["graph", "plan"])
def test_the_schemas_and_the_document_know_each_kind(name):
    schema = json.loads((ROOT / f"aksci/report/schemas/{name}.schema.json").read_text())
    codes = schema["properties"]["warnings"]["items"]["properties"]["code"]["enum"]
    page = (ROOT / "docs/plan.md").read_text()
    assert [code for code in codes if f"`{code}`" not in page] == []
    source = (ROOT / "aksci/images/graph_warnings.py").read_text()
    assert sorted(set(re.findall(r'"([A-Z]+_[A-Z]+)"', source)) - {"SOURCE_DATE"}) == codes


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
