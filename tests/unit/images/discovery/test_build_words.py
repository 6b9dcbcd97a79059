"""A word that buildx would take apart is refused: it would be built as nobody has read it."""

from __future__ import annotations

import json

import pytest

from aksci.core.errors import ConfigError

COMPOSE = '[discover]\ncompose = ["compose.yaml"]\n'
WEB = '[images.web]\ndockerfile = "Dockerfile"\n'
FILES = {"Dockerfile": "FROM scratch\n", "sub/file": ""}


def compose(**build):
    service = {"build": {"context": ".", **build}}
    return {**FILES, "compose.yaml": json.dumps({"services": {"web": service}})}


@pytest.mark.parametrize(
    "name",
    [
        # buildx takes "x" for the name and "/home/…/d=/project/sub" for the folder: a path in the
        # project may be a link to anywhere, which is no file that anybody has looked at.
        "x=/home/runner/work/shop/shop/d",
        "x=docker-image://evil.example/base#",
        "=x",
        "",
        "x y",
        "x\n",
        "-x",
    ],
)
def test_a_named_context_has_no_second_name_in_its_name(discover, name):
    for where, files, toml in (
        ("compose.yaml: services.web", compose(additional_contexts={name: "sub"}), COMPOSE),
        ("images.web", FILES, f'{WEB}contexts = {{ {json.dumps(name)} = "sub" }}\n'),
    ):
        with pytest.raises(ConfigError, match="can't be the name of a context") as caught:
            discover(files, toml)
        assert f"{where}.contexts: " in str(caught.value)


@pytest.mark.parametrize(
    "name", ["lib", "Base_1", "build-", "debian:12", "ghcr.io:443/a/b:1.2", "a@sha256:" + 64 * "a"]
)
def test_a_named_context_may_be_called_like_an_image_or_a_stage(discover, name):
    found = discover(compose(additional_contexts={name: "sub"}), COMPOSE)
    assert found["web"].contexts == {name: "sub"}


@pytest.mark.parametrize("name", ["BASE=evil.example/base:1", "=x", "", "A B", "A\nB", "A\0"])
def test_an_argument_has_no_value_in_its_name(discover, name):
    """BuildKit would get BASE, and a Dockerfile's ``${BASE%=*}`` a base that nobody has pinned."""
    for files, toml in (
        (compose(args={name: "y"}), COMPOSE),
        (FILES, f"{WEB}args = {{ {json.dumps(name)} = 'y' }}\n"),
        (FILES, f'{WEB}[images.web.requires]\n{json.dumps(name)} = "web"\n'),
    ):
        with pytest.raises(ConfigError, match="can't be the name of a build argument"):
            discover(files, toml)


def test_an_argument_that_no_program_can_be_given_is_refused_before_a_build(discover):
    with pytest.raises(ConfigError, match=r"services\.web\.args\.A: no argument can hold a NUL"):
        discover(compose(args={"A": "x\0y"}), COMPOSE)


@pytest.mark.parametrize("name", ["VERSION", "npm_config_registry", "http.proxy", "with-dash"])
def test_an_argument_may_have_any_other_name(discover, name):
    assert discover(compose(args={name: "a=b c"}), COMPOSE)["web"].args == {name: "a=b c"}


@pytest.mark.parametrize(
    "platform", ["linux(1)/amd64", "linux/arm/v7/x", "", "linux/amd64,", "linux/amd46", "lcal"]
)
def test_what_is_no_platform_is_refused_wherever_it_is_written(discover, platform):
    for files, toml in (
        # A Compose file's empty one is a variable that is not set: buildx asks for none, too.
        (compose(platforms=[platform or "lcal"]), COMPOSE),
        (FILES, f"{WEB}platforms = [{json.dumps(platform)}]\n"),
        (FILES, f"[build]\nplatforms = [{json.dumps(platform)}]\n{WEB}"),
    ):
        with pytest.raises(ConfigError, match="is no platform"):
            discover(files, toml)


@pytest.mark.parametrize(
    ("platform", "means"),
    [
        ("LINUX/AMD64", ("linux/amd64",)),
        ("linux/x86_64", ("linux/amd64",)),
        ("linux/arm64/v8", ("linux/arm64",)),
        ("linux/amd64,linux/arm64", ("linux/amd64", "linux/arm64")),
        ("arm64", ("linux/arm64",)),
        ("linux", ("linux/amd64",)),
        ("local", ("linux/amd64",)),
    ],
)
def test_every_spelling_of_a_platform_means_what_buildx_takes_it_for(discover, platform, means):
    """What a Dockerfile is told (TARGETARCH) decides which files are read."""
    files = compose(platforms=[platform])
    assert discover(files, COMPOSE)["web"].platforms == means
