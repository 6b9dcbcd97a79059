"""Discovery and graph: names, edges, circles, and the document that they print as."""

from __future__ import annotations

import contextlib
import json

import pytest

from aksci.core.errors import ConfigError
from aksci.images.discovery.importers.imported import Importer
from aksci.images.graph import graph_document, read_image


def edges(graph):
    return {(edge.base, edge.to, edge.type) for edge in graph.edges}


def test_images_are_named_by_folder_and_by_the_files_suffix_where_there_are_several(project):
    graph = project(
        {
            "services/api/Dockerfile": "FROM scratch",
            "tools/Dockerfile": "FROM scratch",
            "tools/Dockerfile.lint": "FROM scratch",
            "tools/fmt.Dockerfile": "FROM scratch",
            "tools/Dockerfile.lint.dockerignore": "*",
            "Dockerfile": "FROM scratch",
        }
    )
    assert list(graph.images) == ["services/api", "shop", "tools", "tools-fmt", "tools-lint"]
    assert graph.images["services/api"].spec.repository == "shop/services/api"


def test_a_dockerfile_with_a_table_is_not_discovered_again(project):
    toml = '[discover]\ndockerfiles = ["*/Dockerfile"]\n[images.web]\ndockerfile = "a/Dockerfile"\n'
    graph = project({"a/Dockerfile": "FROM scratch"}, toml)
    assert list(graph.images) == ["web"]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('[images.a]\ndockerfile = "no/Dockerfile"', r"images\.a\.dockerfile: no/Dockerfile does"),
        ('[images.a]\ndockerfile = "x/Dockerfile"\ncontext = "no"', r"images\.a\.context: .*no"),
        ("", "no image to build"),
        ('[discover]\ndockerfiles = ["Upper Case/*"]', "can't be the name of an image"),
    ],
)
def test_what_is_missing_or_misnamed_is_a_clear_error(project, toml, message):
    with pytest.raises(ConfigError, match=message):
        project({"x/Dockerfile": "FROM scratch", "Upper Case/Dockerfile": "FROM scratch"}, toml)


def test_all_names_that_can_not_be_are_told_at_once(project):
    files = {
        "Upper Case/Dockerfile": "FROM scratch",
        "b@d/Dockerfile": "FROM scratch",
        "x/a.dockerfile": "FROM scratch",
        "x/a.Dockerfile": "FROM scratch",
        "good/Dockerfile": "FROM scratch",
    }
    with pytest.raises(ConfigError) as caught:
        project(files)
    assert caught.value.message.splitlines() == [
        "3 Dockerfiles have no name as images:",
        "Two Dockerfiles would be the image 'x-a': x/a.Dockerfile and x/a.dockerfile.",
        "Upper Case/Dockerfile: 'upper case' can't be the name of an image.",
        "b@d/Dockerfile: 'b@d' can't be the name of an image.",
    ]
    assert 'exclude = ["Upper Case/Dockerfile", "b@d/Dockerfile"]' in caught.value.hint


def test_all_that_is_wrong_with_tables_is_told_at_once(project):
    toml = '[images.a]\ndockerfile = "no/Dockerfile"\n[images.b]\ndockerfile = "nor/Dockerfile"\n'
    with pytest.raises(ConfigError) as caught:
        project({}, toml)
    assert [line.partition(":")[0] for line in caught.value.message.splitlines()] == [
        "aksci.toml"
    ] * 2


def test_a_frontend_of_a_mirror_is_opaque_until_aksci_toml_says_what_it_is(
    project,
):
    files = {"Dockerfile": "# syntax=mirror.example/docker/dockerfile:1\nFROM debian:12"}
    toml = '[discover]\ndockerfiles = ["Dockerfile"]\n'
    (why,) = project(files, toml).images["shop"].recipe.opaque
    said = '[build]\nstandard_frontends = ["mirror.example/docker/dockerfile"]\n'
    assert said.replace("\n", " ").strip() in why
    image = project(files, toml + said).images["shop"]
    assert image.recipe.opaque == ()
    assert image.recipe.runtime == "debian:12"


def test_edges_are_found_by_repository_and_tag_and_typed(project):
    graph = project(
        {
            "base/Dockerfile": "FROM debian:bookworm-slim",
            "tool/Dockerfile": "FROM scratch",
            "lib/Dockerfile": "FROM scratch",
            "app/Dockerfile": "FROM shop/base AS b\nFROM docker.io/shop/base:latest\n"
            "COPY --from=b / /\nCOPY --from=shop/tool / /\nRUN --mount=from=shop/lib,target=/x y",
        }
    )
    assert edges(graph) == {
        ("base", "app", "stage"),
        ("base", "app", "runtime"),
        ("tool", "app", "copy"),
        ("lib", "app", "mount"),
    }
    assert [(one.image, one.reference, one.type) for one in graph.external] == [
        ("base", "docker.io/library/debian:bookworm-slim", "runtime")
    ]
    assert graph.order[-1] == "app"


def test_an_image_may_be_named_in_several_ways(project):
    """Each is an edge of the same two images, and one line of the document."""
    toml = (
        '[images.base]\ndockerfile = "base/Dockerfile"\ntags = ["latest", "v1"]\n'
        '[images.app]\ndockerfile = "app/Dockerfile"\n'
    )
    text = "FROM shop/base AS a\nFROM shop/base:v1 AS b\nFROM scratch\nCOPY --from=a / /\n"
    files = {"base/Dockerfile": "FROM scratch", "app/Dockerfile": f"{text}COPY --from=b / /"}
    graph = project(files, toml)
    assert [edge.reference for edge in graph.edges] == [
        "docker.io/shop/base:latest",
        "docker.io/shop/base:v1",
    ]
    assert graph_document(graph)["edges"] == [{"from": "base", "to": "app", "type": "stage"}]


def test_images_of_one_repository_are_told_apart_by_tag_whatever_they_and_their_folders_are_called(
    project,
):
    """One Dockerfile, one repository, four images by argument."""
    toml = "".join(
        f'[images.py{v}]\ndockerfile = "runtimes/Dockerfile"\nrepository = "team/python"\n'
        f'tags = ["3.{v}"]\nargs = {{ MINOR = "{v}" }}\n'
        for v in (10, 11, 12, 13)
    )
    toml += '[images.api]\ndockerfile = "services/web/Dockerfile"\nrepository = "team/frontend"\n'
    text = "FROM team/python:3.12 AS build\nFROM team/python:3.10\nCOPY --from=build / /\n"
    files = {"runtimes/Dockerfile": "ARG MINOR\nFROM python:3.$MINOR"}
    graph = project(files | {"services/web/Dockerfile": text}, toml)
    assert edges(graph) == {("py12", "api", "stage"), ("py10", "api", "runtime")}
    assert {one.reference for one in graph.external_of["py13"]} == {"docker.io/library/python:3.13"}


def test_a_folder_called_like_its_base_is_no_circle(project):
    graph = project({"vendor/photon/Dockerfile": "FROM photon", "photon/Dockerfile": "FROM photon"})
    assert not graph.edges
    assert {one.reference for one in graph.external} == {"docker.io/library/photon:latest"}


def test_the_environments_registry_names_our_images_too(project):
    toml = (
        '[discover]\ndockerfiles = ["*/Dockerfile"]\n[environments.prod]\n'
        'registry = "shop.azurecr.io"\nnamespace = "shop"\n'
    )
    files = {"a/Dockerfile": "FROM scratch", "b/Dockerfile": "FROM shop.azurecr.io/shop/a"}
    assert edges(project(files, toml)) == {("a", "b", "runtime")}


def test_another_tag_or_a_digest_of_our_repository_is_external(project):
    digest = "sha256:" + "a" * 64
    graph = project(
        {
            "a/Dockerfile": "FROM scratch",
            "b/Dockerfile": "FROM shop/a:old",
            "c/Dockerfile": f"FROM shop/a@{digest}",
        }
    )
    assert not graph.edges
    assert [one.reference for one in graph.external] == [
        "docker.io/shop/a:old",
        f"docker.io/shop/a@{digest}",
    ]


def test_one_dockerfile_makes_several_images_by_target_and_args(project):
    toml = "".join(
        f'[images.{name}]\ndockerfile = "x/Dockerfile"\ntarget = "{name}"\n' for name in ("a", "b")
    )
    graph = project({"x/Dockerfile": "FROM scratch AS a\nFROM shop/a AS b"}, toml)
    assert edges(graph) == {("a", "b", "runtime")}


def test_a_stage_called_like_an_image_is_a_stage(project):
    files = {"base/Dockerfile": "FROM scratch", "b/Dockerfile": "FROM x AS base\nFROM base"}
    assert not project(files).edges


def test_copying_from_oneself_is_the_previous_version_and_no_circle(project):
    graph = project({"a/Dockerfile": "FROM scratch\nCOPY --from=shop/a / /"})
    assert [one.previous for one in graph.external] == [True]


def test_a_circle_is_an_error_that_names_its_path(project):
    files = {
        "a/Dockerfile": "FROM shop/c",
        "b/Dockerfile": "FROM shop/a",
        "c/Dockerfile": "FROM shop/b",
        "d/Dockerfile": "FROM shop/a",
    }
    with pytest.raises(ConfigError, match="circle: a -> c -> b -> a"):
        project(files)


def test_two_images_may_not_be_the_same_name_and_tag(project):
    toml = "".join(
        f'[images.{name}]\ndockerfile = "x/Dockerfile"\nrepository = "r"\n' for name in ("a", "b")
    )
    with pytest.raises(ConfigError, match="a and b are both r:latest"):
        project({"x/Dockerfile": "FROM scratch"}, toml)


def test_each_platform_needs_its_own_stages_and_bases(project):
    """With only the first platform's, a change to another one's base or stage would be skipped."""
    text = (
        "FROM scratch AS for-amd64\nCOPY a /\nFROM debian:$TARGETARCH AS for-arm64\nCOPY b /\n"
        "FROM scratch AS for-s390x\nFROM for-$TARGETARCH\nRUN x"
    )
    toml = '[images.web]\ndockerfile = "Dockerfile"\nplatforms = ["linux/amd64", "linux/arm64"]\n'
    graph = project({"Dockerfile": text}, toml)
    assert [(one.reference, one.type) for one in graph.external] == [
        ("docker.io/library/debian:arm64", "runtime")
    ]
    recipe = graph.images["web"].recipe
    assert [one.line for one in recipe.instructions] == [1, 2, 3, 4, 6, 7]
    assert recipe.runtime is None


def test_build_arguments_override_platform_args(project):
    toml = '[images.web]\ndockerfile = "Dockerfile"\nargs = { TARGETARCH = "mine" }\n'
    graph = project({"Dockerfile": "FROM debian:$TARGETARCH"}, toml)
    assert graph.images["web"].recipe.runtime == "debian:mine"


def test_the_document_is_what_the_design_promises(project):
    toml = (
        '[images.base]\ndockerfile = "base/Dockerfile"\nargs = { V = "12" }\n'
        '[images.app]\ndockerfile = "app/Dockerfile"\ntarget = "run"\n'
    )
    graph = project(
        {
            "base/Dockerfile": "ARG V\nFROM debian:$V",
            "app/Dockerfile": "# syntax=docker/dockerfile:1\nFROM shop/base AS run",
        },
        toml,
    )
    assert json.loads(json.dumps(graph_document(graph))) == {
        "schema": 1,
        "images": [
            {
                "name": "app",
                "dockerfile": "app/Dockerfile",
                "context": "app",
                "target": "run",
                "args": {},
                "opaque": False,
            },
            {
                "name": "base",
                "dockerfile": "base/Dockerfile",
                "context": "base",
                "target": None,
                "args": {"V": "12"},
                "opaque": False,
            },
        ],
        "edges": [{"from": "base", "to": "app", "type": "runtime"}],
        "external": [
            {"image": "app", "reference": "docker.io/docker/dockerfile:1", "type": "syntax"},
            {"image": "base", "reference": "docker.io/library/debian:12", "type": "runtime"},
        ],
    }


def tables(*names, **extra):
    """Make a table for each image: its Dockerfile is in the folder of its name."""
    return "".join(
        f'[images.{name}]\ndockerfile = "{name}/Dockerfile"\n{extra.get(name, "")}\n'
        for name in names
    )


def test_onbuild_of_a_base_adds_edges_and_sources_to_what_stands_on_it(project):
    """Only in the direct child: then it is gone."""
    graph = project(
        {
            "tool/Dockerfile": "FROM scratch",
            "base/Dockerfile": "FROM scratch\nONBUILD COPY --from=shop/tool / /\n"
            "ONBUILD ARG V\nONBUILD COPY src /src",
            "child/Dockerfile": "FROM shop/base AS x\nFROM x\nCOPY own /",
            "grandchild/Dockerfile": "FROM shop/child",
        }
    )
    assert edges(graph) == {
        ("base", "child", "runtime"),
        ("tool", "child", "copy"),
        ("child", "grandchild", "runtime"),
    }
    recipe = graph.images["child"].recipe
    assert recipe.sources == {"src", "own"}
    assert recipe.used_args == {"V"}
    assert graph.images["grandchild"].recipe.sources == frozenset()
    again = read_image(
        graph.root, graph.images["child"].spec, {}, triggers=graph.images["child"].triggers
    )
    assert again.recipe == recipe


def test_onbuild_of_a_base_may_reach_a_stage_that_brings_another_base_with_onbuild(project):
    graph = project(
        {
            "one/Dockerfile": "FROM scratch\nONBUILD COPY --from=late /x /x",
            "two/Dockerfile": "FROM scratch\nONBUILD COPY two /",
            "app/Dockerfile": "FROM shop/two AS late\nFROM shop/one",
        }
    )
    assert edges(graph) == {("one", "app", "runtime"), ("two", "app", "stage")}
    assert graph.images["app"].recipe.sources == {"two"}


def test_a_circle_through_onbuild_is_found(project):
    files = {
        "a/Dockerfile": "FROM scratch\nONBUILD COPY --from=shop/c / /",
        "b/Dockerfile": "FROM shop/a",
        "c/Dockerfile": "FROM shop/b",
    }
    with pytest.raises(ConfigError, match="circle: b -> c -> b"):
        project(files)


def test_a_named_context_takes_the_place_of_a_reference(project):
    contexts = (
        'contexts = { "debian:12" = "image:base", tools = "docker-image://alpine:3", '
        'files = "shared" }'
    )
    (project.root / "shared").mkdir()
    text = "FROM debian:12\nCOPY --from=tools / /\nCOPY --from=files / /"
    graph = project(
        {"base/Dockerfile": "FROM scratch\nONBUILD COPY x /", "app/Dockerfile": text},
        tables("base", "app", app=contexts),
    )
    assert edges(graph) == {("base", "app", "context")}
    assert [(one.reference, one.type) for one in graph.external] == [
        ("docker.io/library/alpine:3", "context")
    ]
    assert graph.images["app"].recipe.sources == {"x"}


def test_requires_is_an_edge_without_a_reference(project):
    files = {"base/Dockerfile": "FROM scratch", "app/Dockerfile": "FROM scratch"}
    graph = project(files, tables("base", "app", app='requires = ["base"]'))
    assert edges(graph) == {("base", "app", "requires")}
    assert graph.order == ("base", "app")


@pytest.mark.parametrize("requires", ['["base"]', '{ BASE = "base" }'])
def test_what_is_required_and_used_is_one_edge_of_the_use(project, requires):
    files = {"base/Dockerfile": "FROM scratch", "app/Dockerfile": "ARG BASE=shop/base\nFROM $BASE"}
    graph = project(files, tables("base", "app", app=f"requires = {requires}"))
    assert graph_document(graph)["edges"] == [{"from": "base", "to": "app", "type": "runtime"}]


def test_all_dockerfiles_that_are_wrong_are_told_at_once_and_how_to_leave_them_out(project):
    files = {
        "a/Dockerfile": "FROM ${NS}/x",
        "b/Dockerfile": "",
        "good/Dockerfile": "FROM scratch",
        "c/Dockerfile": "# syntax=acme/x:1@sha256:no\nFROM x",
    }
    with pytest.raises(ConfigError) as caught:
        project(files)
    first, *each = caught.value.message.splitlines()
    assert first == "2 errors in Dockerfiles:"
    assert each == [
        "a/Dockerfile, line 1: FROM ${NS}/x needs the ARG NS: it has no value.",
        "b/Dockerfile: the Dockerfile has no instructions.",
    ]
    assert "ARG NS=…" in caught.value.hint
    assert 'exclude = ["a/Dockerfile", "b/Dockerfile"]' in caught.value.hint
    toml = '[discover]\ndockerfiles = ["*/Dockerfile"]\nexclude = ["a/*", "b/*"]\n'
    with pytest.raises(ConfigError, match=r"^c/Dockerfile: its frontend: 'acme/x:1@sha256:no' is"):
        project(files, toml)
    toml = '[discover]\ndockerfiles = ["*/Dockerfile"]\nexclude = ["[abc]/*"]\n'
    assert list(project(files, toml).images) == ["good"]


def test_a_dockerfile_with_a_table_is_not_to_be_left_out_and_told_once_for_all_its_images(project):
    toml = "".join(
        f'[images.{name}]\ndockerfile = "x/Dockerfile"\ntarget = "{name}"\n' for name in "ab"
    )
    with pytest.raises(ConfigError) as caught:
        project({"x/Dockerfile": "RUN x"}, toml)
    assert caught.value.message == "x/Dockerfile: the Dockerfile has no FROM."
    assert caught.value.hint is None


def test_each_edge_and_external_need_is_found_by_its_image(project):
    files = {
        "a/Dockerfile": "FROM debian",
        "b/Dockerfile": "FROM shop/a\nCOPY --from=alpine / /",
    }
    graph = project(files)
    assert {name: len(found) for name, found in graph.edges_to.items()} == {"a": 0, "b": 1}
    assert {name: len(found) for name, found in graph.external_of.items()} == {"a": 1, "b": 1}


def test_a_syntax_argument_decides_who_reads_the_file(project):
    toml = '[images.web]\ndockerfile = "Dockerfile"\nargs = { BUILDKIT_SYNTAX = "other/x" }\n'
    assert project({"Dockerfile": "whatever {"}, toml).images["web"].recipe.opaque


PLATFORMS = """
[images.base]
dockerfile = "base/Dockerfile"
platforms = ["linux/amd64"]
[images.app]
dockerfile = "app/Dockerfile"
platforms = ["linux/amd64,linux/arm64"]
"""


@pytest.mark.parametrize(
    "app",
    [
        "FROM shop/base",
        "FROM --platform=$TARGETPLATFORM shop/base",
        "FROM shop/base AS a\nFROM a",
        "FROM scratch\nCOPY --from=shop/base /f /f",
        "FROM shop/base AS a\nRUN x\nFROM scratch\nCOPY --from=a /f /f",
        "FROM busybox\nRUN --mount=from=shop/base,target=/b true",
    ],
)
def test_an_image_for_a_platform_that_its_base_lacks_is_refused(project, app):
    with pytest.raises(ConfigError, match=r"app is built for linux/arm64, and base.*linux/amd64"):
        project({"base/Dockerfile": "FROM scratch", "app/Dockerfile": app}, PLATFORMS)


@pytest.mark.parametrize(
    "app",
    [
        "FROM --platform=$BUILDPLATFORM shop/base",
        "FROM --platform=linux/amd64 shop/base AS a\nFROM scratch\nCOPY --from=a /f /f",
        "FROM --platform=$BUILDPLATFORM a AS a\nCOPY --from=shop/base /f /\nFROM a",
        "FROM shop/base AS unused\nFROM scratch",
        "FROM shop/base:other",
    ],
)
def test_a_from_that_names_its_platform_may_have_a_base_for_that_one_alone(project, app):
    graph = project({"base/Dockerfile": "FROM scratch", "app/Dockerfile": app}, PLATFORMS)
    assert graph.images["app"].spec.platforms == ("linux/amd64", "linux/arm64")


ARM = "FROM --platform=linux/arm64 shop/base"


@pytest.mark.parametrize(
    ("app", "base", "wanted", "good"),
    [
        # What FROM names is asked of a base, too, whatever the image is for.
        (ARM, ["linux/amd64"], "linux/amd64", False),
        ("FROM --platform=arm64 shop/base", ["linux/arm64/v8"], "linux/amd64", True),
        ("FROM --platform=$BUILDPLATFORM shop/base", ["linux/arm64"], "linux/arm64", False),
        ("ARG P=linux/s390x\nFROM --platform=$P shop/base", ["linux/amd64"], "linux/amd64", False),
        ("FROM --platform=linux/$TARGETARCH shop/base", ["linux/amd64"], "linux/arm64", False),
        (f"{ARM} AS a\nFROM a AS b\nFROM scratch\nCOPY --from=b / /", ["linux/386"], "linux/arm",
         False),
        # BuildKit takes what the machine runs as well: seen of real indexes.
        ("FROM shop/base", ["linux/arm/v6"], "linux/arm/v7", True),
        ("FROM shop/base", ["linux/arm/v7"], "linux/arm/v6", False),
        ("FROM shop/base", ["linux/arm"], "linux/arm/v7", True),
        ("FROM shop/base", ["linux/amd64"], "linux/amd64/v3", True),
        ("FROM shop/base", ["linux/amd64/v3"], "linux/amd64", False),
        ("FROM shop/base", ["linux/arm64/v8"], "linux/arm64", True),
        ("FROM shop/base", ["linux/386"], "linux/amd64", True),
        ("FROM shop/base", ["linux/arm/v7"], "linux/arm64", True),
        ("FROM shop/base", ["linux/arm64"], "linux/arm/v7", False),
        ("FROM shop/base", ["windows/amd64"], "linux/amd64", False),
    ],
)  # fmt: skip
def test_a_base_must_have_what_is_asked_of_it(project, app, base, wanted, good):
    toml = "".join(
        f'[images.{name}]\ndockerfile = "{name}/Dockerfile"\nplatforms = {json.dumps(platforms)}\n'
        for name, platforms in (("base", base), ("app", [wanted]))
    )
    files = {"base/Dockerfile": "FROM scratch", "app/Dockerfile": app}
    with contextlib.nullcontext() if good else pytest.raises(ConfigError, match=r"and base, which"):
        project(files, toml, builder_platform="linux/amd64")


def test_a_named_context_is_looked_at_like_a_base(project):
    toml = PLATFORMS + "[images.app.contexts]\nother = 'image:base'\n"
    with pytest.raises(ConfigError, match="app is built for linux/arm64, and base"):
        project({"base/Dockerfile": "FROM scratch", "app/Dockerfile": "FROM other"}, toml)


COMPOSE = """
services:
  proxy: {image: nginx, build: proxy}
  redis: {image: bitnami/redis, build: redis}
  front: {build: front}
  full: {build: full}
"""
HUBS = {
    "compose.yaml": COMPOSE,
    "proxy/Dockerfile": "FROM nginx",
    "redis/Dockerfile": "FROM bitnami/redis",
    "front/Dockerfile": "FROM nginx AS a\nFROM bitnami/redis\nCOPY --from=a / /",
    "full/Dockerfile": "FROM docker.io/library/nginx AS a\nFROM index.docker.io/bitnami/redis\n"
    "COPY --from=a / /",
}


def test_docker_hub_is_where_nobody_here_publishes(project):
    """What an image is made of is no earlier version of it, though a file calls both the same."""
    graph = project(HUBS, '[discover]\ncompose = ["compose.yaml"]\n')
    nginx, redis = "docker.io/library/nginx:latest", "docker.io/bitnami/redis:latest"
    assert {(one.image, one.reference, one.previous) for one in graph.external} == {
        ("proxy", nginx, False),
        ("redis", redis, False),
        ("full", nginx, False),
        ("full", redis, False),
    }
    assert edges(graph) == {("proxy", "front", "stage"), ("redis", "front", "runtime")}


def test_docker_hub_may_be_an_environments_registry(project):
    """Nobody publishes at docker.io/library even so, and what an image is made of is not itself."""
    toml = '[discover]\ncompose = ["compose.yaml"]\n[environments.hub]\nregistry = "docker.io"\n'
    graph = project(HUBS, f'{toml}platform = "external"\nnamespace = "shop"\n')
    assert {(one.image, one.reference, one.previous) for one in graph.external} == {
        ("proxy", "docker.io/library/nginx:latest", False),
        ("redis", "docker.io/bitnami/redis:latest", False),
        ("full", "docker.io/library/nginx:latest", False),
    }
    assert ("redis", "full", "runtime") in edges(graph)


@pytest.mark.parametrize("source", ["table", "compose", "bake", "skaffold"])
@pytest.mark.parametrize(
    ("dockerfile", "kind"),
    [
        ("FROM nginx", "runtime"),
        ("FROM nginx:latest AS a\nFROM scratch\nCOPY --from=a / /", "stage"),
        ("FROM scratch\nCOPY --from=nginx / /", "copy"),
        ("FROM busybox\nRUN --mount=from=nginx,target=/n x", "mount"),
    ],
)
def test_whatever_names_an_image_like_one_of_docker_hubs_what_it_is_made_of_is_there(
    project, source, dockerfile, kind
):
    files = {"proxy/Dockerfile": dockerfile, "other/Dockerfile": dockerfile,
             "full/Dockerfile": dockerfile.replace("nginx", "docker.io/library/nginx")}  # fmt: skip
    said = {
        "table": '[images.proxy]\ndockerfile = "proxy/Dockerfile"\nrepository = "nginx"\n',
        "compose": '[discover]\ncompose = ["compose.yaml"]\n',
        "bake": '[discover]\nbake = ["docker-bake.json"]\n',
        "skaffold": '[discover]\nskaffold = ["skaffold.yaml"]\n',
    }
    files["compose.yaml"] = "services: {proxy: {image: nginx, build: proxy}}"
    files["skaffold.yaml"] = (
        "apiVersion: skaffold/v4beta11\nbuild: {artifacts: [{image: nginx, context: proxy}]}"
    )
    files["docker-bake.json"] = "{}"
    toml = said[source] + "".join(
        f'[images.{name}]\ndockerfile = "{name}/Dockerfile"\n' for name in ("other", "full")
    )
    bake = {"target": {"proxy": {"context": "proxy", "tags": ["nginx"]}}}
    graph = project(files, toml, importer=Importer(bake_print=lambda *_: bake))
    proxy = "nginx" if source == "skaffold" else "proxy"
    nginx = [(one.image, one.previous) for one in graph.external if "nginx" in one.reference]
    assert nginx == sorted([("full", False), (proxy, False)])
    assert edges(graph) == {(proxy, "other", kind)}


SAID = """
services:
  base: {image: 'docker.io/acme/base:1', build: base}
  app: {image: 'docker.io/acme/app:1', build: app}
  copy: {image: 'acme/copy:1', build: copy}
"""


def test_a_file_that_names_its_images_at_docker_hub_means_them_where_dockerfiles_do_so(project):
    """Many Bake files do: ``tags = ["docker.io/acme/base:1"]``; ``library/`` is none of theirs."""
    files = {
        "compose.yaml": SAID,
        "base/Dockerfile": "FROM docker.io/library/debian",
        "app/Dockerfile": "FROM docker.io/acme/base:1",
        "copy/Dockerfile": "FROM acme/base:1 AS a\nFROM docker.io/acme/copy:1",
    }
    graph = project(files, '[discover]\ncompose = ["compose.yaml"]\n')
    assert edges(graph) == {("base", "app", "runtime")}
    files["copy/Dockerfile"] = "FROM acme/base:1 AS a\nFROM scratch\nCOPY --from=a / /"
    graph = project(files, '[discover]\ncompose = ["compose.yaml"]\n')
    assert edges(graph) == {("base", "app", "runtime"), ("base", "copy", "stage")}


def test_a_dockerfile_that_means_ours_and_docker_hubs_by_one_name_is_refused(project):
    """BuildKit takes a named context for both: it can't be told which is meant where."""
    files = HUBS | {
        "front/Dockerfile": "FROM nginx AS a\nFROM docker.io/library/nginx\nCOPY --from=a / /"
    }
    with pytest.raises(ConfigError, match=r"front/Dockerfile: .*nginx.* the image proxy") as caught:
        project(files, '[discover]\ncompose = ["compose.yaml"]\n')
    assert "shop/nginx" in caught.value.hint


ZABBIX = """
services:
  base: {image: 'zabbix/zabbix-build-base:alpine', build: base}
  mysql: {image: 'zabbix/zabbix-build-mysql:alpine', build: mysql}
  server: {image: 'zabbix/zabbix-server-mysql:alpine', build: server}
"""


def test_a_repository_whose_dockerfiles_name_its_images_as_docker_hub_has_them(project):
    """As zabbix/zabbix-docker: ARG in the FROM, and all of it is built here."""
    chain = (
        "ARG BUILD_BASE=zabbix/zabbix-{}:alpine\nFROM ${{BUILD_BASE}} AS b\nFROM alpine\n"
        "COPY --from=b / /"
    )
    files = {
        "compose.yaml": ZABBIX,
        "base/Dockerfile": "FROM alpine",
        "mysql/Dockerfile": chain.format("build-base"),
        "server/Dockerfile": chain.format("build-mysql"),
    }
    graph = project(files, '[discover]\ncompose = ["compose.yaml"]\n')
    assert edges(graph) == {("base", "mysql", "stage"), ("mysql", "server", "stage")}
    assert {one.reference for one in graph.external} == {"docker.io/library/alpine:latest"}


def test_an_image_copies_from_its_own_earlier_version(project):
    toml = '[images.app]\ndockerfile = "Dockerfile"\n[images.web]\ndockerfile = "web/Dockerfile"\n'
    files = {
        "Dockerfile": "FROM scratch\nCOPY --from=shop/app:latest /f /f",
        "web/Dockerfile": "FROM scratch\nCOPY --from=nginx /f /f",
    }
    graph = project(files, f'{toml}repository = "nginx"\n')
    assert [(one.image, one.previous) for one in graph.external] == [("app", True), ("web", False)]


def test_images_are_named_by_what_a_file_is_called_beside_dockerfile_or_containerfile(project):
    names = ["a/Dockerfile", "a/Dockerfile-dev", "b/Dockerfile", "b/Dockerfile_dev",
             "c/Containerfile", "c/Containerfile.test", "c/api.dockerfile"]  # fmt: skip
    globs = '[discover]\ndockerfiles = ["*/*"]\n'
    graph = project(dict.fromkeys(names, "FROM scratch"), globs)
    assert list(graph.images) == ["a", "a-dev", "b", "b-dev", "c", "c-api", "c-test"]
