"""Images of docker-bake files, from what ``docker buildx bake --print`` says of them.

tests/integration/test_import.py has the real buildx say it.
"""

from __future__ import annotations

import json

import pytest

from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.images.discovery.importers.imported import Importer
from aksci.images.discovery.specs import discover_images

BAKE = 'schema = 1\n[project]\nname = "shop"\n[discover]\nbake = ["%s"]\n'


@pytest.fixture
def bake(tmp_path):
    """Return the images of what bake prints, written as the file itself, and the warnings."""
    notes = []

    def make(targets, files=(), file="docker-bake.json", toml=""):
        for name in (*files, file):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("FROM scratch\n")
        (tmp_path / file).write_text(json.dumps({"target": targets}))
        (tmp_path / "aksci.toml").write_text(BAKE % file + toml)
        return discover_images(
            tmp_path,
            load_config(tmp_path / "aksci.toml"),
            builder_platform="linux/amd64",
            importer=Importer(
                bake_print=lambda files, _targets: json.loads(files[0].read_text()),
                warn=notes.append,
            ),
        )

    make.root = tmp_path
    make.notes = notes
    return make


def test_targets_are_images_with_contexts_arguments_and_platforms(bake):
    targets = {
        "app": {
            "context": "app", "dockerfile": "Dockerfile", "target": "final",
            "args": {"V": "1", "NONE": None}, "platforms": ["linux/arm64", "local"],
            "tags": ["ghcr.io/acme/app:1", "ghcr.io/acme/app:latest", "acme/mirror:1"],
            "contexts": {"base": "target:Base_1", "lib": "./lib", "os": "docker-image://debian:12"},
        },
        "Base_1": {"context": ".", "dockerfile-inline": "FROM scratch\n",
                   "output": [{"type": "cacheonly"}]},
    }  # fmt: skip
    specs = bake(targets, ["app/Dockerfile", "lib/x"])
    assert list(specs) == ["app", "base_1"]
    app = specs["app"]
    assert (app.dockerfile, app.context, app.target) == ("app/Dockerfile", "app", "final")
    assert (app.args, app.platforms) == ({"V": "1"}, ("linux/arm64", "linux/amd64"))
    assert (app.repository, app.tags) == ("shop/acme/app", ("1", "latest"))
    assert "docker.io/acme/mirror:1" in app.aliases
    assert app.contexts == {
        "base": "image:base_1", "lib": "lib", "os": "docker-image://debian:12"
    }  # fmt: skip
    assert specs["base_1"].platforms == ("linux/amd64",)


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [("deploy/app/Dockerfile", "deploy/app"), ("app/Dockerfile", "app")],
)
def test_paths_stand_on_the_files_folder_or_else_on_the_project(bake, dockerfile, expected):
    spec = bake({"a": {"context": "app"}}, [dockerfile], "deploy/docker-bake.json")["a"]
    assert spec.context == expected


def test_what_makes_no_image_here_is_told_with_what_stands_on_it(bake):
    targets = {
        "ok": {"context": "."},
        "files": {"context": ".", "output": [{"type": "local", "dest": "bin"}]},
        "remote": {"context": "https://github.com/x/y.git"},
        "child": {"context": ".", "contexts": {"b": "target:remote"}},
        "layout": {"context": ".", "contexts": {"b": "oci-layout://x"}},
        "out": {"context": "../x"},
    }
    assert list(bake(targets, ["Dockerfile"])) == ["ok"]
    assert {note.split(": ")[1]: note.split(": ", 3)[3] for note in bake.notes} == {
        "target.files": "it makes no image (output: local)",
        "target.remote": "its context is the address https://github.com/x/y.git, not a folder",
        "target.child": "it is based on the target remote",
        "target.layout": "its named context oci-layout://x is no folder",
        "target.out": f"its context ../x is outside of {bake.root}",
    }


def test_what_is_not_taken_over_is_told(bake):
    target = {
        "context": ".",
        "network": "host",
        "labels": {"a": "b"},
        "secret": [{"id": "npm"}, {"id": "pip"}],
        "ssh": [{"id": "default"}],
    }
    bake(
        {"a": target},
        ["Dockerfile"],
        toml='[build]\nssh.default = []\nsecrets.pip = { env = "P" }\n',
    )
    assert bake.notes == [
        "docker-bake.json: target.a: not taken over: labels, network",
        "docker-bake.json: target.a: the secret npm is not taken over: add [build.secrets.npm]",
    ]


def test_what_76_targets_have_is_told_in_one_line_and_listed_in_the_notes(bake):
    labelled = {f"t{at:02}": {"target": f"s{at}", "labels": {"a": "b"}} for at in range(76)}
    other = {"one": {"target": "one", "network": "host", "secret": [{"id": "npm"}]}}
    bake({**labelled, **other}, ["Dockerfile"])
    assert bake.notes == [
        "docker-bake.json: target.t00, target.t01, target.t02 and 73 more: not taken over: labels",
        "docker-bake.json: target.one: not taken over: network",
        "docker-bake.json: target.one: the secret npm is not taken over: add [build.secrets.npm]",
    ]


def test_names_that_are_published_as_others_are_told_in_few_lines(bake):
    targets = {f"t{at:02}": {"target": f"s{at}", "tags": [f"acme/t{at}:1"]} for at in range(76)}
    bake(targets, ["Dockerfile"])
    (note,) = bake.notes
    first, *_, more, hint = note.splitlines()
    assert first == "docker-bake.json: target.t00: acme/t0 is published as shop/acme/t0"
    assert more == "and 73 more like these"
    assert '[images.NAME] repository = "…"' in hint


def test_what_was_noted_is_told_though_an_error_follows(bake):
    """A target that was left out is most often the cause."""
    targets = {"a": {"context": "https://e.org/x.git"}}
    with pytest.raises(ConfigError, match=r"missing\.yaml"):
        bake(targets, toml='compose = ["missing.yaml"]\n')
    assert [note for note in bake.notes if "not an image of this project" in note]


def test_an_override_that_is_not_named_is_told(bake):
    bake({"a": {}}, ["Dockerfile", "docker-bake.override.json"])
    assert bake.notes == [
        "docker-bake.override.json is not read: add it to [discover] bake if it belongs there"
    ]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"a": {"context": "no"}}, "target.a.dockerfile: no/Dockerfile does not exist"),
        ({"a": {"tags": ["x:"]}}, "docker-bake.json: target.a: 'x:' is not the name"),
        ({"a": {"contexts": {"x": "no"}}}, "target.a.contexts.x: 'no' is no folder"),
        ({"a": {}, "A": {"target": "x"}}, "would be called 'a'"),
        ({"a": {"output": [{"type": "tar"}]}}, "none that this project can build"),
    ],
)
def test_a_mistake_is_told_with_file_and_key(bake, targets, message):
    with pytest.raises(ConfigError, match=message):
        bake(targets, ["Dockerfile"])


def test_a_bake_file_needs_buildx_and_must_exist(tmp_path):
    (tmp_path / "aksci.toml").write_text(BAKE % "docker-bake.hcl")
    config = load_config(tmp_path / "aksci.toml")
    with pytest.raises(ConfigError, match=r"discover.bake: docker-bake.hcl does not exist"):
        discover_images(tmp_path, config, builder_platform="linux/amd64")
    (tmp_path / "docker-bake.hcl").write_text("")
    with pytest.raises(ConfigError, match="can't be read without buildx"):
        discover_images(tmp_path, config, builder_platform="linux/amd64")
