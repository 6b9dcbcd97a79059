"""Existing repositories as they are: read by the real buildx, graphed by the real session."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.images.bases import RegistryBases
from aksci.images.build.build_images import BuildSettings, build_images
from aksci.images.discovery.importers.bake import print_bake
from aksci.images.discovery.importers.compose import read_compose
from aksci.images.discovery.importers.imported import Importer
from aksci.images.engines.buildx import BuildxBuilder
from aksci.images.engines.buildx_builders import BuilderSpec, BuilderStore
from aksci.images.graph import build_graph
from aksci.oci.client import RegistryClient

HEAD = 'schema = 1\n[project]\nname = "shop"\n[discover]\n'
BAKE = """
variable "TAG" {
  default = "dev"
}
group "default" {
  targets = ["app", "release"]
}
group "release" {
  targets = ["tool"]
}
target "_common" {
  args = {
    COMMON = "1"
    NONE = null
  }
  platforms = ["linux/amd64"]
}
target "base" {
  context = "base"
  tags = ["ghcr.io/acme/base:${TAG}"]
}
target "app" {
  name = "app-${replace(version, ".", "-")}"
  matrix = {
    version = ["3.11", "3.12"]
  }
  inherits = ["_common"]
  context = "app"
  contexts = {
    base = "target:base"
  }
  args = {
    VERSION = version
  }
  tags = ["ghcr.io/acme/app:${version}"]
}
target "tool" {
  dockerfile-inline = "FROM ghcr.io/acme/base:${TAG}\\nCOPY app /app\\n"
  secret = ["id=npm,src=no-such-file"]
  ssh = ["default=no-such-key"]
}
target "binaries" {
  context = "base"
  output = ["bin"]
}
"""
FILES = {
    "docker-bake.hcl": BAKE,
    "base/Dockerfile": "FROM scratch\nCOPY . /\n",
    "app/Dockerfile": "ARG VERSION\nFROM base\nCOPY . /\n",
}


@pytest.fixture
def write(tmp_path):
    def make(files, toml):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (tmp_path / "aksci.toml").write_text(HEAD + toml)
        return tmp_path

    return make


@pytest.fixture
def bake_print(toolbox, runner):
    buildx = toolbox.ensure("buildx")
    return lambda files, targets: print_bake(runner, buildx, files, targets)


def test_a_bake_file_with_a_matrix_inheritance_and_missing_secrets_is_read(write, bake_print):
    root = write(FILES, 'bake = ["docker-bake.hcl"]\n')
    notes = []
    importer = Importer(bake_print=bake_print, warn=notes.append)
    graph = build_graph(root, load_config(root / "aksci.toml"), importer=importer)
    assert list(graph.images) == ["app-3-11", "app-3-12", "base", "tool"]
    app = graph.images["app-3-12"].spec
    assert app.args == {"COMMON": "1", "VERSION": "3.12"}
    assert (app.repository, app.tags) == ("shop/acme/app", ("3.12",))
    assert {(edge.base, edge.to) for edge in graph.edges} == {
        ("base", "app-3-11"), ("base", "app-3-12"), ("base", "tool")
    }  # fmt: skip
    assert not graph.external


def test_only_the_targets_that_are_named_are_read(write, bake_print):
    root = write(FILES, 'bake = ["docker-bake.hcl"]\nbake_targets = ["base", "binaries"]\n')
    notes = []
    importer = Importer(bake_print=bake_print, warn=notes.append)
    graph = build_graph(root, load_config(root / "aksci.toml"), importer=importer)
    assert list(graph.images) == ["base"]
    assert notes[:1] == [
        (
            "docker-bake.hcl: target.binaries: not an image of this project: it makes no image "
            "(output: local)"
        )
    ]


@pytest.mark.parametrize(
    ("hcl", "targets", "word"),
    [
        ('target "a" {', '["a"]', "Unclosed configuration block"),
        ('target "a" {\n context = "${NO}"\n}', '["a"]', "NO"),
        ('target "a" {}', '["b"]', "failed to find target b"),
    ],
)
def test_what_bake_refuses_is_told_in_its_own_words(write, bake_print, hcl, targets, word):
    root = write({"docker-bake.hcl": hcl}, f'bake = ["docker-bake.hcl"]\nbake_targets = {targets}')
    with pytest.raises(ConfigError, match=r"docker-bake\.hcl") as caught:
        build_graph(
            root, load_config(root / "aksci.toml"), importer=Importer(bake_print=bake_print)
        )
    assert word in caught.value.message
    assert "bake_targets" in caught.value.hint


COMPOSE = """
x-args: &args {A: 1, F: 3.20, B: true, S: on, O: 010, D: "x", E: ""}
services:
  web: {image: "r.example/web:${TAG:-one}", build: {context: web, args: *args, target: t}}
  job: {build: {args: {<<: *args, A: two}, dockerfile: web/Dockerfile, tags: [job:1, job:2]}}
  list: {build: {context: ./web/, args: [A=$$1, "B=${B-${C:-c}}", HOME_LIKE]}}
  inline: {build: {dockerfile_inline: "FROM scratch\\n"}}
  ext: {extends: {service: web}, build: {dockerfile: ../web/Dockerfile, args: {A: three}}}
  multi: {build: {context: web, platforms: [linux/amd64, linux/arm64]}, profiles: [x]}
  db: {image: postgres}
"""


@pytest.mark.parametrize(
    "hcl",
    [
        'variable "A0" { default = "xxxxxxxxxx" }\n'
        + "".join(
            f'variable "A{at + 1}" {{ default = "${{A{at}}}${{A{at}}}" }}\n' for at in range(40)
        )
        + 'target "default" { args = { A = A40 } }\n',
        'target "default" {\n name = "t-${a}-${b}-${c}-${d}"\n matrix = {\n'
        + "".join(f"  {key} = {json.dumps([str(at) for at in range(40)])}\n" for key in "abcd")
        + " }\n}\n",
    ],
)
def test_a_small_bake_file_takes_no_gigabytes(write, bake_print, hcl):
    root = write({"docker-bake.hcl": hcl}, 'bake = ["docker-bake.hcl"]\n')
    with pytest.raises(ConfigError, match="with 384 MiB of memory"):
        bake_print([root / "docker-bake.hcl"], ["default"])


def test_compose_files_mean_what_they_mean_to_buildx(write, bake_print):
    root = write(
        {"compose.yaml": COMPOSE, "web/Dockerfile": "FROM scratch AS t", ".env": "B=b"}, ""
    )
    theirs = bake_print([root / "compose.yaml"], ["default"])["target"]
    ours = {one.name: one for one in read_compose(root, ["compose.yaml"], Importer())}
    assert ours.keys() == theirs.keys()
    for name, target in theirs.items():
        one = ours[name]
        assert dict(one.args) == (target.get("args") or {}), name
        assert list(one.references) == target.get("tags", []), name
        assert list(one.platforms) == target.get("platforms", []), name
        assert one.target == target.get("target"), name
        assert one.inline == target.get("dockerfile-inline"), name
        assert (root / one.context).resolve() == (root / target.get("context", ".")).resolve()


def test_the_session_graphs_a_repository_by_a_five_line_configuration(write, toolbox):
    toolbox.ensure("buildx")
    root = write(FILES, 'bake = ["docker-bake.hcl"]\n')
    done = subprocess.run(
        [sys.executable, "-m", "aksci", "-C", root, "graph", "--format", "json"],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [image["name"] for image in document["images"]] == [
        "app-3-11", "app-3-12", "base", "tool"
    ]  # fmt: skip


def test_what_compose_and_skaffold_describe_is_built(
    platform, toolbox, runner, reporter, write, tmp_path
):
    name = f"t{secrets.token_hex(4)}"
    files = {
        "compose.yaml": f"""
services:
  base: {{image: "ghcr.example/{name}/base:one", build: base}}
  web:
    image: ghcr.example/{name}/web
    build:
      context: web
      args: [KEPT=1]
      additional_contexts: {{up: "service:base", files: ./assets}}
      dockerfile_inline: |
        FROM ghcr.example/{name}/base:one
        COPY --from=up /base /again
        COPY --from=files asset /asset
        COPY page /page
""",
        "skaffold.yaml": f"""
apiVersion: skaffold/v4beta11
kind: Config
build:
  artifacts:
  - image: {name}/tool
    context: tool
    docker: {{target: final}}
  - image: {name}/job
    context: job
    requires: [{{image: {name}/tool, alias: TOOL}}]
""",
        "base/Dockerfile": "FROM scratch\nCOPY base /base\n",
        "base/base": name,
        "web/page": name,
        "assets/asset": name,
        "tool/Dockerfile": "FROM scratch AS final\nCOPY tool /tool\nFROM no.example/never\n",
        "tool/tool": name,
        "job/Dockerfile": "ARG TOOL\nFROM $TOOL\nCOPY job /job\n",
        "job/job": name,
    }
    root = write(files, 'compose = ["compose.yaml"]\nskaffold = ["skaffold.yaml"]\n')
    graph = build_graph(root, load_config(root / "aksci.toml"), importer=Importer())
    assert {(edge.base, edge.to) for edge in graph.edges} == {("base", "web"), ("tool", "job")}
    registry = RegistryClient(platform.registry, plain_http=True)
    store = BuilderStore(buildx=toolbox.ensure("buildx"), runner=runner, folder=tmp_path / "buildx")
    endpoint = BuilderSpec(name="import", driver="remote", endpoint=platform.buildkit)
    images = build_images(
        graph,
        registry=registry,
        builder=BuildxBuilder(store=store, spec=endpoint),
        bases=RegistryBases(mirror=registry, connect=RegistryClient),
        settings=BuildSettings(timeout=120),
        reporter=reporter,
        now=lambda: datetime.now(UTC),
    ).require()
    registry.close()
    built = {one: image.ref.repository for one, image in images.items()}
    assert built == {each: f"shop/{name}/{each}" for each in ("base", "job", "tool", "web")}
