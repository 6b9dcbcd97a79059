"""Which images a Dockerfile's target needs, and how."""

from __future__ import annotations

import pytest

from aksci.errors import ConfigError
from aksci.images.dockerfile import parse_dockerfile
from aksci.images.stages import resolve_stages

PLATFORM = {"BUILDPLATFORM": "linux/amd64", "TARGETARCH": "arm64"}


def resolve(text, target=None, **args):
    dockerfile = parse_dockerfile(text.encode(), name="Dockerfile")
    return resolve_stages(dockerfile, target=target, args=args, platform=PLATFORM)


def needs(text, target=None, **args):
    return {(need.reference, need.type) for need in resolve(text, target, **args).needs}


def test_the_last_stage_is_the_runtime_base_and_others_are_stages():
    assert needs("FROM a AS x\nFROM b\nCOPY --from=x / /") == {("a", "stage"), ("b", "runtime")}


def test_the_runtime_base_is_found_through_stages():
    """``FROM x AS base / FROM y AS b / FROM base`` stands on x."""
    recipe = resolve("FROM x AS base\nFROM y AS b\nFROM base")
    assert recipe.runtime == "x"
    assert {need.reference for need in recipe.needs} == {"x"}


def test_from_names_earlier_stages_only():
    assert needs("FROM alpine AS alpine") == {("alpine", "runtime")}
    assert needs("FROM b\nFROM c AS b", target="0") == {("b", "runtime")}


def test_stage_names_ignore_case_and_the_later_of_two_wins():
    assert resolve("FROM a AS One\nFROM b AS one\nFROM ONE").runtime == "b"


def test_unreachable_stages_need_nothing():
    text = "FROM a AS x\nFROM b AS y\nCOPY --from=z /a /\nFROM c AS end"
    assert needs(text) == {("c", "runtime")}
    assert needs(text, target="y") == {("b", "runtime"), ("z", "copy")}


def test_copy_from_means_an_index_then_a_stage_then_an_image():
    text = "FROM a\nFROM b AS s\nFROM c\nCOPY --from=0 / /\nCOPY --from=S / /\nCOPY --from=i:1 / /"
    assert needs(text) == {("a", "stage"), ("b", "stage"), ("c", "runtime"), ("i:1", "copy")}


def test_mount_from_knows_names_but_no_indexes():
    text = "FROM a AS s\nFROM c\nRUN --mount=type=bind,from=s,target=/x --mount=from=0,target=/y z"
    assert needs(text) == {("a", "stage"), ("c", "runtime"), ("0", "mount")}


def test_scratch_is_not_an_image():
    assert needs("FROM scratch\nCOPY x /") == set()
    assert resolve("FROM scratch").runtime is None


@pytest.mark.parametrize(
    ("text", "args", "base"),
    [
        ("ARG V=1\nFROM a:$V", {}, "a:1"),
        ("ARG V=1\nFROM a:$V", {"V": "2"}, "a:2"),
        ("ARG V\nFROM a:${V:-3}", {}, "a:3"),
        ("ARG V\nFROM a${V:+:$V}", {"V": "4"}, "a:4"),
        ("ARG A=1\nARG B=${A}2 C=x\nFROM a:$B-$C", {}, "a:12-x"),
        ("FROM a:$TARGETARCH", {}, "a:arm64"),
        ("FROM --platform=$BUILDPLATFORM a", {}, "a"),
        ('ARG V="1"\nFROM a:$V', {}, "a:1"),
    ],
)
def test_args_before_the_first_from_fill_in_bases(text, args, base):
    assert resolve(text, **args).runtime == base


@pytest.mark.parametrize("text", ["ARG V\nFROM a:$V", "FROM a:$V", "FROM x\nARG V=1\nFROM a:$V"])
def test_an_arg_without_a_value_is_an_error_that_names_it(text):
    with pytest.raises(ConfigError, match="needs the ARG V"):
        resolve(text)


def test_an_empty_base_is_an_error():
    with pytest.raises(ConfigError, match="empty once its ARGs"):
        resolve("ARG V=\nFROM ${V}")


def test_a_missing_target_is_an_error_that_lists_the_stages():
    with pytest.raises(ConfigError, match=r"no stage 'nope'\. Its stages: one, two"):
        resolve("FROM a AS one\nFROM b AS two", target="nope")


def test_another_frontend_makes_it_opaque():
    recipe = resolve("# syntax=other/x\nWHATEVER\n")
    assert recipe.opaque
    assert {(need.reference, need.type) for need in recipe.needs} == {("other/x", "syntax")}


def test_a_variable_in_copy_from_makes_it_opaque_and_not_guessed():
    assert resolve("FROM a\nCOPY --from=$X / /").opaque


def test_only_declared_args_are_used():
    recipe = resolve("ARG A=1\nFROM a AS x\nARG B\nFROM b\nARG C C2=1")
    assert recipe.declared == {"A", "C", "C2"}
