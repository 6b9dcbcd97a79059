"""Which images a Dockerfile's target needs, and how."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.errors import ConfigError
from aksci.images.dockerfile.parser import parse_dockerfile
from aksci.images.dockerfile.recipe import PartOf
from aksci.images.dockerfile.stages import resolve_stages

PLATFORM = {"BUILDPLATFORM": "linux/amd64", "TARGETARCH": "arm64"}

COMMIT = "0" * 40


def resolve(text, target=None, contexts=None, triggers=None, **args):
    dockerfile = parse_dockerfile(text.encode(), name="Dockerfile")
    return resolve_stages(
        dockerfile,
        target=target,
        args=args,
        platform=PLATFORM,
        contexts=contexts,
        triggers={
            base: parse_dockerfile(added.encode(), name="ONBUILD").instructions
            for base, added in (triggers or {}).items()
        },
    )


def needs(text, target=None, **args):
    return {(need.reference, need.type) for need in resolve(text, target, **args).needs}


def test_the_last_stage_is_the_runtime_base_and_others_are_stages():
    assert needs("FROM a AS x\nFROM b\nCOPY --from=x / /") == {("a", "stage"), ("b", "runtime")}


def test_the_runtime_base_is_found_through_stages():
    """``FROM x AS base / FROM y AS b / FROM base`` is based on x."""
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
        ('ARG V="a b"\nFROM "${V%%?b}"', {}, "a"),
        ("ARG V=a:1-b\nFROM ${V#a:}-${V/:*/}", {}, "1-b-a"),
        ("ARG V\nFROM a$V", {}, "a"),
        ("FROM --platform=${P:-x} a", {}, "a"),
        ("FROM a:$TARGETSTAGE AS last", {}, "a:last"),
        ("FROM a:$TARGETSTAGE", {}, "a:default"),
        ("ARG TARGETSTAGE\nFROM a:$BUILDARCH$TARGETARCH", {"BUILDARCH": "no"}, "a:arm64"),
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


def test_a_stage_that_does_not_end_before_it_is_used_is_an_error():
    """BuildKit looks for the name among all stages, and refuses one that comes later."""
    text = "FROM a\nCOPY --from=late / /\nFROM b AS late"
    with pytest.raises(ConfigError, match=r"Dockerfile, line 2: the stage late can't be used"):
        resolve(text, target="0")
    assert resolve(text).runtime == "b"
    with pytest.raises(ConfigError, match="line 2: the stage me"):
        resolve("FROM a AS me\nCOPY --from=me / /")


@pytest.mark.parametrize(
    "text",
    ["FROM a b", "FROM a AS", "FROM a AS 1x", "FROM", "FROM A:1", "FROM a\nCOPY --from=B! x y"],
)
def test_what_is_no_stage_and_no_image_is_an_error_with_its_line(text):
    with pytest.raises(ConfigError, match=r"Dockerfile, line \d"):
        resolve(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("FROM a\nCOPY --from=$X / /", "line 2: from=\\$X uses a variable"),
        ("FROM a\nRUN --mount=from=$X,target=/x y", "line 2: from=\\$X uses a variable"),
        ("FROM a\nCOPY --from=7 / /", "line 2: from=7 is the index of no stage"),
        ("FROM a\nADD https://x.io/y /", "line 2: what ADD https://x.io/y brings may change"),
        ("FROM a\nADD local git@x.io:a/b.git /x/", "line 2: what ADD git@x.io:a/b.git brings"),
        (f"FROM a\nADD https://x.io/y#{COMMIT} /", "line 2: what ADD https"),
        ("FROM a\nADD https://x.io/y.git#main /", "line 2: what ADD https"),
        ("FROM a\nARG C\nADD --checksum=$C https://x.io/y /", "line 3: what ADD https"),
        ("FROM scratch\nARG U=http://x.io/y\nADD $U /", "line 3: what ADD \\$U brings"),
        ("FROM a\nADD $FROM_THE_BASE /", "line 2: what ADD \\$FROM_THE_BASE brings"),
        ("FROM a\nFETCH x", "line 2: the instruction FETCH is not known"),
        ("# syntax=docker/dockerfile:1.2\nFROM a\nRUN <<E\nE", "line 3"),
    ],
)
def test_what_nobody_can_be_sure_of_makes_it_opaque(text, why):
    assert any(re.search(why, one) for one in resolve(text).opaque)


@pytest.mark.parametrize(
    "line",
    [
        "ADD local *.txt https:/x ./git@x /x/",
        f"ADD --checksum=sha256:{COMMIT} https://x.io/y /",
        f"ARG SUM={COMMIT}\nADD --checksum=$SUM https://x.io/y.git#v1 /",
        f"ADD https://x.io/y.git#{COMMIT}:sub git@x.io:a/b#{COMMIT} /x/",
        "COPY --from=b https://x.io/y /",
    ],
)
def test_what_is_pinned_or_local_is_no_reason_to_be_opaque(line):
    assert resolve(f"FROM a\n{line}").opaque == ()


def test_the_time_of_something_else_makes_it_opaque():
    assert resolve("FROM a", SOURCE_DATE_EPOCH="context").opaque
    assert not resolve("FROM a", SOURCE_DATE_EPOCH="1700000000").opaque


SOURCES = [
    ("COPY a b/ ./c//d /x/", {"a", "b", "c/d"}),
    ('COPY ["a b", "c", "/x"]', {"a b", "c"}),
    ("COPY *.txt d/?[a-c] /x/", {"*.txt", "d/?[a-c]"}),
    ("COPY . /x", None),
    ("COPY / /x", None),
    ("COPY a .. /x", None),
    ("COPY a/../../b /x", {"b"}),
    ("COPY --from=x a /x", set()),
    ("COPY <<E b <<'F' /x/\n1\nE\n2\nF", {"b"}),
    (
        "COPY --parents a/b/*.c ./d/./e/../f *././/./g /x/",
        {
            PartOf(path="", included="a/b/*.c"),
            PartOf(path="d", included="f"),
            PartOf(path="*.", included="g"),
        },
    ),
    ("COPY --parents . /x/", None),
    ("COPY --parents !a /x/", None),
    ("COPY --parents=false d /x/", {"d"}),
    (
        "COPY --exclude=a --exclude=$B . c /x/",
        {PartOf(path=p, excluded=("a", "$B")) for p in ("", "c")},
    ),
    ("ADD --exclude=a https://x.io/y d /x/", {PartOf(path="d", excluded=("a",))}),
    (
        "COPY --parents --link --exclude=a d/b /x/",
        {PartOf(path="", included="d/b", excluded=("a",))},
    ),
    ("ADD --unpack=true a.tar /x/", {"a.tar"}),
    ("COPY a\\b /x", {"ab"}),
    ("COPY a\\\\b /x", None),
    ("COPY C:/a /x", None),
    ("ADD https://x.io/y git://x.io/y local /x/", {"local"}),
    ("ADD git@github.com:a/b.git /x/", {"git@github.com:a/b.git"}),
    ("RUN --mount=target=/x y", None),
    ("RUN --mount=type=bind,source=a/b,target=/x --mount=src=c,dst=/y z", {"a/b", "c"}),
    ("RUN --mount=source=a,src=b,target=/x --mount=src=c,source=d,target=/y z", {"b", "d"}),
    ("RUN --mount=type=bind,from=x,source=a,target=/x y", set()),
    ("RUN --mount=type=cache,target=/x --mount=type=secret,id=a --mount=TYPE=tmpfs y", set()),
    ("RUN --mount='type=bind,\"source=a,b\",target=/x' y", {"a,b"}),
    ("RUN --mount=type=$T,target=/x y", None),
    ("RUN --mount=type=bind,source=a*,target=/x y", None),
    ("RUN cp a b", set()),
    ("ARG A=x\nCOPY $A/y ${A}z /", {"x/y", "xz"}),
    ("ENV A=x B=$A\nCOPY $A /", {"x"}),
    ("ENV A x y\nCOPY $A/z /", {"x y/z"}),
    ("ARG A=x\nENV B=$A\nCOPY $B /", {"x"}),
    ("ARG TARGETARCH\nCOPY bin/$TARGETARCH /", {"bin/arm64"}),
    ("COPY $UNSET /", None),
    ("COPY ${UNSET:-x} /", None),
    ("COPY a/${UNSET#x} /", None),
    ("COPY a/${UNSET%x} /", None),
    ("ENV A=$UNSET\nCOPY $A /", None),
    ("ARG G\nCOPY $G /", {"global"}),
    ("ARG CONF\nCOPY $CONF /", {"configured"}),
    ("ARG CONF=x\nCOPY $CONF /", {"configured"}),
    ("COPY 'a /x", None),
    ("COPY a[", set()),
    ("ARG BUILDKIT_SBOM_SCAN_CONTEXT=1\nCOPY a /x", None),
]


@pytest.mark.parametrize(("line", "sources"), SOURCES)
def test_the_paths_of_the_context_that_are_read_are_found(line, sources):
    found = resolve(f"ARG G=global\nFROM alpine\n{line}\n", CONF="configured").sources
    assert found == (None if sources is None else frozenset(sources))


def test_without_a_base_what_is_not_set_is_empty():
    text = "FROM scratch\nCOPY a$UNSET ${UNSET:-b} c/${UNSET#x} /x/"
    assert resolve(text).sources == {"a", "b", "c"}


def test_a_stage_goes_on_with_the_variables_of_the_one_that_it_stands_on():
    text = "FROM scratch AS x\nARG A=1\nENV B=2\nFROM x\nCOPY $A $B /\nFROM a\nCOPY $A /"
    assert resolve(text, target="1").sources == {"1", "2"}
    assert resolve(text).sources is None


@pytest.mark.parametrize(
    ("below", "above", "sources"),
    [
        ("ARG A=1", "", None),  # the image may have an ENV A, which then counts again
        ("ARG A=1", "ARG A", None),
        ("ARG A=1", "ARG A=2", {"2"}),
        ("ENV A=3\nARG A=1", "", {"3"}),
        ("ARG A=1\nENV B=$A A=3", "", {"3"}),
    ],
)
def test_an_env_counts_again_where_a_stage_begins_over_the_args_below(below, above, sources):
    """As BuildKit 0.34 was seen to do it."""
    found = resolve(f"FROM a AS x\n{below}\nFROM x\n{above}\nCOPY $A /").sources
    assert found == (None if sources is None else frozenset(sources))


def test_only_reachable_stages_read_and_use():
    text = "ARG A\nARG B\nFROM a:$A AS x\nARG C\nCOPY no /\nFROM b:$B\nARG D\nCOPY yes /"
    recipe = resolve(text, A="1", B="2")
    assert recipe.sources == {"yes"}
    assert recipe.used_args == {"B", "D"}


def test_used_arguments_are_found_through_defaults_platforms_and_what_buildkit_obeys():
    text = (
        "ARG A=1\nARG B=${A:-$Z}\nARG C=$B\nARG OTHER\n"
        "FROM --platform=$P a:$TARGETARCH\nARG C\nARG D=1\n"
    )
    args = {"BUILDKIT_X": "1", "SOURCE_DATE_EPOCH": "0", "HTTPS_PROXY": "x", "OTHER": "y"}
    assert resolve(text, P="linux/arm64", **args).used_args == (
        {"A", "B", "C", "D", "P", "Z", "TARGETARCH", "BUILDKIT_X", "SOURCE_DATE_EPOCH"}
    )


def test_another_frontend_may_read_and_use_anything():
    recipe = resolve("# syntax=other/x\nWHATEVER\n")
    assert (recipe.sources, recipe.used_args) == (None, None)


def test_onbuild_runs_in_the_child_stage_once_and_is_then_gone():
    text = (
        "FROM a AS x\nONBUILD COPY --from=tool /t /t\nONBUILD COPY used /\n"
        "FROM x AS y\nFROM y AS z\nONBUILD RUN later\n"
    )
    assert needs(text, target="x") == {("a", "runtime")}
    assert needs(text, target="y") == {("a", "runtime"), ("tool", "copy")}
    recipe = resolve(text, target="y")
    assert [(one.keyword, one.line) for one in recipe.instructions][-3:] == [
        ("FROM", 4),
        ("COPY", 4),
        ("COPY", 4),
    ]
    assert recipe.sources == {"used"}
    assert [one.keyword for one in resolve(text, target="x").onbuild] == ["COPY", "COPY"]
    assert resolve(text, target="y").onbuild == ()
    assert [one.text for one in resolve(text).onbuild] == ["later"]


def test_onbuild_of_a_base_runs_before_the_stages_own_lines():
    """It may copy from a stage that nothing needed before."""
    text = "FROM b AS late\nARG L\nRUN x\nFROM a\nCOPY own $V /\n"
    added = "ARG V=set\nCOPY --from=late /x /\nCOPY $V-1 /"
    recipe = resolve(text, triggers={"a": added})
    assert recipe.sources == {"own", "set", "set-1"}
    assert recipe.used_args == {"V", "L"}
    assert {need.reference for need in recipe.needs} == recipe.bases == {"a", "b"}
    assert resolve(text).bases == {"a"}


def test_named_contexts_stand_in_for_stages_and_images():
    text = (
        "FROM a AS Base\nCOPY no /\nFROM debian:latest AS build\nCOPY --from=base / /\n"
        "COPY --from=docker.io/library/tool:1 / /\nFROM scratch\nCOPY --from=build / /\n"
    )
    contexts = {"base": "image:own", "debian": "docker-image://mirror/debian", "tool:1": "folder"}
    recipe = resolve(text, contexts=contexts)
    assert {(need.reference, need.type) for need in recipe.needs} == {
        ("image:own", "context"),
        ("docker-image://mirror/debian", "context"),
    }
    assert recipe.sources == frozenset()
    assert recipe.bases == {"docker-image://mirror/debian"}
    assert resolve("FROM debian", contexts=contexts).runtime == "docker-image://mirror/debian"
    assert resolve("FROM x AS base\nFROM base", contexts=contexts).runtime == "image:own"
    assert resolve("FROM tool:1", contexts=contexts).runtime is None


def test_a_digest_and_scratch_are_never_replaced():
    digest = f"debian@sha256:{'0' * 64}"
    contexts = {"debian": "image:own", "scratch": "image:own"}
    assert resolve(f"FROM {digest}", contexts=contexts).runtime == digest
    assert resolve("FROM scratch", contexts=contexts).runtime is None


PARTS = st.lists(
    st.sampled_from(
        ["COPY {} /", "RUN --mount=from={},target=/x y", "ARG {}", "COPY --from={} / /"]
    ),
    max_size=4,
)


@given(PARTS, PARTS)
def test_what_an_unreachable_stage_says_changes_nothing_of_the_rest(one, other):
    def of(parts):
        lines = "\n".join(part.format(f"x{i}") for i, part in enumerate(parts))
        return resolve(f"FROM a AS used\nCOPY y /\nFROM b\n{lines}\nFROM used\nRUN z")

    first, second = of(one), of(other)
    found = [
        [(line.keyword, line.text) for line in recipe.instructions] for recipe in (first, second)
    ]
    assert found[0] == found[1]
    assert (first.needs, first.sources, first.used_args) == (
        second.needs,
        second.sources,
        second.used_args,
    )
