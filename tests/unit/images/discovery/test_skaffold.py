"""Images of skaffold.yaml."""

from __future__ import annotations

import pytest

from aksci.core.errors import ConfigError

SKAFFOLD = '[discover]\nskaffold = ["skaffold.yaml"]\n'
HEAD = "apiVersion: skaffold/v4beta11\nkind: Config\n"
SHOP = (
    HEAD
    + """
metadata: {name: shop}
requires: [{path: modules/base, configs: [base]}, {configs: [tools]}]
build:
  platforms: [linux/amd64, linux/arm64]
  artifacts:
  - image: gcr.io/acme/web
    context: src/web
    requires: [{image: gcr.io/acme/base, alias: BASE}]
    platforms: [linux/amd64]
    docker:
      dockerfile: Dockerfile.prod
      target: final
      buildArgs: {VERSION: "{{.VERSION}}", PLAIN: 1, HOME: }
  - image: jvm
    jib: {}
  - image: gcr.io/other/base
    context: src/other
    kaniko: {}
---
"""
    + HEAD
    + """
metadata: {name: tools}
build: {artifacts: [{image: tool, context: tools, docker: {dockerfile: shared.Dockerfile}}]}
"""
)
FILES = {
    "skaffold.yaml": SHOP,
    "modules/base/skaffold.yaml": HEAD
    + "metadata: {name: base}\nbuild: {platforms: [linux/amd64, linux/arm64], artifacts: "
    + "[{image: gcr.io/acme/base}]}\n---\n"
    + HEAD
    + "metadata: {name: unused}\nbuild: {artifacts: [{image: unused}]}\n",
    "modules/base/Dockerfile": "FROM scratch\n",
    "src/web/Dockerfile.prod": "ARG BASE\nFROM $BASE AS final\n",
    "src/other/Dockerfile": "FROM gcr.io/acme/base\n",
    "shared.Dockerfile": "FROM scratch\n",
    "tools/x": "",
}


def test_artifacts_of_all_required_configurations_are_images(discover):
    specs = discover(FILES, SKAFFOLD, VERSION="7", HOME="/root")
    assert {name: spec.dockerfile for name, spec in specs.items()} == {
        "acme/base": "modules/base/Dockerfile",
        "other/base": "src/other/Dockerfile",
        "tool": "shared.Dockerfile",
        "web": "src/web/Dockerfile.prod",
    }
    web = specs["web"]
    assert web.args == {
        "VERSION": "7", "PLAIN": "1", "HOME": "/root", "BASE": "shop/acme/base:latest"
    }  # fmt: skip
    assert (web.target, web.platforms, web.requires) == ("final", ("linux/amd64",), ("acme/base",))
    assert specs["other/base"].platforms == ("linux/amd64", "linux/arm64")
    assert web.repository == "shop/acme/web"
    assert web.aliases == ("gcr.io/acme/web:latest", "docker.io/acme/web:latest")
    assert specs["tool"].context == "tools"


def test_what_no_dockerfile_builds_is_told(discover):
    discover(FILES, SKAFFOLD, VERSION="7")
    note, _names = discover.notes
    assert note == (
        "skaffold.yaml: document 1: build.artifacts[1]: jvm: not an image of this project: it is "
        "built with jib, without a Dockerfile"
    )


def test_a_base_is_found_by_alias_and_by_its_full_name(discover, project):
    toml = SKAFFOLD + '[images.web]\nargs = { VERSION = "1" }\n'
    graph = project(FILES, toml)
    assert {(edge.base, edge.to, edge.type) for edge in graph.edges} >= {
        ("acme/base", "web", "runtime"),
        ("acme/base", "other/base", "runtime"),
    }


def test_templates_are_filled_in_from_the_environment_and_its_file_only(discover):
    one = HEAD + "build: {artifacts: [{image: a, docker: {buildArgs: {V: '%s'}}}]}"
    files = {"Dockerfile": "FROM scratch", "skaffold.env": "A=file\n"}
    read = {**files, "skaffold.yaml": one % "{{ .A }}-{{.B}}"}
    assert discover(read, SKAFFOLD, B="env")["a"].args == {"V": "file-env"}
    for template, why in [
        ("{{.C}}", "the environment variable C is not set"),
        ("{{.IMAGE_TAG_x}}", "only Skaffold knows IMAGE_TAG_x"),
        ("{{cmd}}", "only Skaffold fills in templates"),
    ]:
        changed = {**files, "skaffold.yaml": one % template}
        with pytest.raises(ConfigError, match=f"buildArgs.V: .*{why}") as caught:
            discover(changed, SKAFFOLD)
        assert caught.value.hint == '[images."a"] args = { V = "…" }'
        known = discover(changed, SKAFFOLD + '[images.a]\nargs = { V = "x" }\n')
        assert known["a"].args == {"V": "x"}


def test_the_same_image_of_compose_and_skaffold_is_one(discover):
    files = {
        "skaffold.yaml": HEAD + "build: {artifacts: [{image: gcr.io/x/front}]}",
        "compose.yaml": "services: {web: {image: acme/web, build: .}}",
        "Dockerfile": "FROM scratch",
    }
    specs = discover(files, SKAFFOLD + 'compose = ["compose.yaml"]\n')
    assert list(specs) == ["web"]
    assert specs["web"].aliases == ("docker.io/acme/web:latest", "gcr.io/x/front:latest")
    specs = discover(files, SKAFFOLD + '[images.mine]\ndockerfile = "Dockerfile"\n')
    assert specs["mine"].aliases == ("gcr.io/x/front:latest",)


def test_different_images_of_one_name_are_refused(discover):
    files = {
        "skaffold.yaml": HEAD + "build: {artifacts: [{image: web, docker: {target: x}}]}",
        "compose.yaml": "services: {web: {build: .}}",
        "Dockerfile": "FROM scratch AS x",
    }
    with pytest.raises(ConfigError, match=r"'web': compose.yaml: services.web and skaffold.yaml"):
        discover(files, SKAFFOLD + 'compose = ["compose.yaml"]\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Config", "skaffold.yaml: apiVersion"),
        (HEAD + "build: [a]", "skaffold.yaml: build: must be a mapping"),
        (HEAD + "build: {artifacts: {}}", "artifacts: must be a list"),
        (HEAD + "build: {artifacts: [{context: a}]}", r"artifacts\[0\].image: this key is"),
        (HEAD + "build: {artifacts: [{image: A}]}", r"artifacts\[0\].image: 'A' is not"),
        (HEAD + "build: {artifacts: [{image: a}]}", r"a.dockerfile|Dockerfile does not exist"),
        (HEAD + "requires: [{path: no}]", "no does not exist"),
        (HEAD + "requires: [{path: ../x}]", "requires.path: ../x can't be read"),
        (
            HEAD + "build: {artifacts: [{image: a}, {image: a, context: b}]}",
            r"artifacts\[1\]: a is another image than skaffold.yaml: build.artifacts\[0\]",
        ),
        (HEAD + "build: {}", "skaffold.yaml has none that this project can build"),
    ],
)
def test_a_mistake_is_told_with_file_and_key(discover, text, message):
    with pytest.raises(ConfigError, match=message):
        discover({"skaffold.yaml": text}, SKAFFOLD)


def _two(first, second):
    """Two configurations in folders of their own, each with an artifact ``base``."""
    one = HEAD + "build: {artifacts: [{image: base, context: %s}]}\n"
    return {
        "skaffold.yaml": HEAD + "requires: [{path: a}, {path: deep/b}]\n",
        "a/skaffold.yaml": one % first,
        "deep/b/skaffold.yaml": one % second,
        "base/Dockerfile": "FROM scratch\n",
        "a/base/Dockerfile": "FROM scratch\n",
        "deep/b/base/Dockerfile": "FROM scratch\n",
    }


def test_two_artifacts_of_one_name_in_two_folders_are_refused(discover):
    with pytest.raises(ConfigError, match=r"deep/b/skaffold.* another image than a/skaffold"):
        discover(_two("base", "base"), SKAFFOLD)


def test_one_folder_written_in_two_ways_is_one_image(discover):
    specs = discover(_two("../base", "../../base"), SKAFFOLD)
    assert [(name, spec.context) for name, spec in specs.items()] == [("base", "base")]


def test_what_only_skaffolds_development_loop_reads_makes_no_other_image(discover):
    one = "{image: base, context: base, sync: {infer: ['**']}}"
    other = "{image: base, context: ./base/, docker: {dockerfile: ./Dockerfile}}"
    files = {
        "skaffold.yaml": f"apiVersion: skaffold/v4beta11\nrequires: [{{path: b.yaml}}]\n"
        f"build: {{artifacts: [{one}]}}\n",
        "b.yaml": f"apiVersion: skaffold/v4beta11\nbuild: {{artifacts: [{other}]}}\n",
        "base/Dockerfile": "FROM scratch",
    }
    assert list(discover(files, '[discover]\nskaffold = ["skaffold.yaml"]\n')) == ["base"]


def test_dockerfiles_beside_two_files_are_two_images(discover):
    """Skaffold looks there, too, where the context has none."""
    files = _two("../src", "../../src") | {"src/x": ""}
    del files["a/base/Dockerfile"], files["deep/b/base/Dockerfile"]
    files |= {"a/Dockerfile": "FROM scratch", "deep/b/Dockerfile": "FROM scratch"}
    with pytest.raises(ConfigError, match="another image than"):
        discover(files, SKAFFOLD)
