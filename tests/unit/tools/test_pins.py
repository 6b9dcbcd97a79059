"""The pin file says for each tool what it is, where it comes from, and what is never used."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aksci.tools.pins import SOURCES, Edit, GoSource, ReleaseFile, load_pins
from aksci.tools.tool_versions import matches

PINS = load_pins()
OWN = {"kube", "coredns", "pause", "trivydb", "notary-server"}

PRINTED = {
    "helm": ("v4.3.1\n", "4.3.1"),
    "buildx": ("github.com/docker/buildx v0.38.2 abcdef\n", "0.38.2"),
    "buildkitd": ("buildkitd github.com/moby/buildkit v0.34.2 \n", "0.34.2"),
    "buildctl": ("buildctl github.com/moby/buildkit v0.34.2 \n", "0.34.2"),
    "registry": ("/x/registry github.com/distribution/distribution/v3 v3.1.2\n", "3.1.2"),
    "trivy": ("Version: 0.69.4\nVulnerability DB:\n  Version: 2\n", "0.69.4"),
    "notation": ("Notation - a tool.\n\nVersion:     v1.3.2+x\nGo version:  go1.26.8\n", "1.3.2"),
    "kubeconform": ("v0.8.0\n", "0.8.0"),
    "actionlint": ("1.7.12\ninstalled by building from source\n", "1.7.12"),
    "coredns": ("CoreDNS-1.15.0\nlinux/amd64, go1.26.8,\n", "1.15.0"),
    "kube": ("Kubernetes v1.34.4\n", "1.34.4"),
    "pause": ("pause 1.0.0\n", "1.0.0"),
    "trivydb": ("trivydb 1.0.0\n", "1.0.0"),
    "cosign": ("  ____\ncosign: A tool\n\nGitVersion:    v3.1.3\nGitCommit:     x\n", "3.1.3"),
    "notary": ("notary\n Version:    0.7.0\n Git commit: \n Go version: go1.26.8\n", "0.7.0"),
    "notary-server": (
        "notary-server Version: 0.7.0, Git commit: , Go version: go1.26.8\n",
        "0.7.0",
    ),
}


def test_these_are_the_tools():
    assert set(PINS) == set(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_a_tools_version_is_found_in_what_it_prints(name):
    printed, expected = PRINTED[name]
    assert PINS[name].parse_version(printed) == expected
    assert PINS[name].parse_version("no such thing") is None


@pytest.mark.parametrize("name", PINS)
def test_only_tools_that_others_make_too_are_taken_from_path(name):
    assert (PINS[name].accept is None) == (name in OWN)


@pytest.mark.parametrize("name", PINS)
def test_a_module_is_pinned_to_one_exact_version(name):
    go = PINS[name].go
    assert all(version.startswith("v") and version[1].isdigit() for version in go.modules.values())
    assert "{version}" not in str(go)
    assert go.source is None or (SOURCES / go.source / "main.go").is_file()


def test_the_compromised_trivy_releases_are_denied_and_their_neighbours_are_not():
    trivy = PINS["trivy"]
    denied = [f"0.69.{patch}" for patch in range(10) if trivy.denial(f"0.69.{patch}")]
    assert denied == ["0.69.4", "0.69.5", "0.69.6"]
    assert matches("0.69.3", trivy.accept)


def test_a_pin_of_a_denied_version_is_refused(tmp_path):
    with pytest.raises(ValueError, match="denied by its own pin"):
        load_pins(
            _written(
                tmp_path,
                'version = "1.5"\ndeny = [{ range = ">=1.5", reason = "bad" }]\n'
                'go.modules = { "a.b/c" = "v1.5.0" }\n',
            )
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('version = "1"\nprobes = []\ngo.source = "pause"\n', "probes"),
        ('version = "1"\n', "neither a Go module nor a release"),
        ('version = "1"\naccept = ">=2"\ngo.source = "pause"\n', "outside >=2"),
        ('version = "1"\ngo.edits = [{ file = "a/x", find = "a", replace = "" }]\n', "is in none"),
        ('version = "1"\nrelease."linux/amd64" = { url = "u", sha256 = "abc" }\n', "64 hex digits"),
    ],
)
def test_a_wrong_pin_is_refused_by_name(tmp_path, text, expected):
    with pytest.raises(ValueError, match=rf"pins\.toml: tool: .*{expected}"):
        load_pins(_written(tmp_path, text))


def _written(folder, text):
    file = folder / "pins.toml"
    file.write_text(f"[tool]\n{text}", encoding="utf-8")
    return file


def test_the_recipe_changes_with_whatever_decides_what_the_program_is(tmp_path):
    (tmp_path / "pause").mkdir()
    source = tmp_path / "pause" / "main.go"
    source.write_text("package main\n")
    pin = replace(PINS["pause"], go=GoSource(source="pause"))
    release = ReleaseFile(url="https://x/y", sha256="0" * 64)
    edit = Edit(file="m/a.go", find="a", replace="b")

    recipes = {
        "first": pin.recipe("linux/amd64", tmp_path),
        "platform": pin.recipe("linux/arm64", tmp_path),
        "version": replace(pin, version="2").recipe("linux/amd64", tmp_path),
        "flag": replace(pin, go=GoSource(source="pause", set={"a.b": "c"})).recipe("x", tmp_path),
        "edit": replace(pin, go=GoSource(source="pause", edits=(edit,))).recipe("x", tmp_path),
        "other edit": replace(
            pin, go=GoSource(source="pause", edits=(replace(edit, replace="c"),))
        ).recipe("x", tmp_path),
        "release": replace(pin, release={"linux/amd64": release}).recipe("linux/amd64"),
    }
    source.write_text("package main // changed\n")
    recipes["source"] = pin.recipe("linux/amd64", tmp_path)

    assert len(set(recipes.values())) == len(recipes)


def test_the_recipe_does_not_change_with_what_is_only_said_about_the_tool():
    pin = PINS["helm"]
    assert replace(pin, purpose="other", accept=">=4").recipe("p") == pin.recipe("p")
