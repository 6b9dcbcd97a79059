"""What of a Dockerfile has an effect on its image, and so counts in its key.

BuildKit 0.34 was seen to do it so: ``tests/integration/test_build/test_keys_by_buildkit.py``.
"""

from __future__ import annotations

import pytest

from aksci.images.dockerfile.parser import parse_dockerfile
from aksci.images.dockerfile.stages import resolve_stages

GIVING = "FROM a AS x\n{}\nCOPY f /\n{}\nFROM b\nCOPY --from=x /f /\n"
THROUGH = (
    "FROM a AS x\n{}\nFROM x AS y\nRUN --mount=from=x,target=/m make\nFROM b\nCOPY --from=y . /\n"
)
OWN = "FROM a AS x\n{}\nFROM x\nCOPY f /\n"


def meaning(text, target=None, **args):
    dockerfile = parse_dockerfile(text.encode(), name="Dockerfile")
    recipe = resolve_stages(dockerfile, target=target, args=args, platform={})
    return (
        [(one.keyword, one.flags, one.text, one.heredocs) for one in recipe.meaning],
        {name: args[name] for name in recipe.used_args & args.keys()},
        target if recipe.names_count else None,
    )


@pytest.mark.parametrize(
    "line",
    [
        "LABEL a=1", "CMD x", 'ENTRYPOINT ["x"]', "EXPOSE 80", "HEALTHCHECK NONE", "MAINTAINER me",
        "STOPSIGNAL 9", "VOLUME /v", "ENV A=1", "ARG A=1", "USER 1", 'SHELL ["/x"]', "ARG A=1 B=$A",
        "LABEL a=$A",
    ],
)  # fmt: skip
def test_in_a_stage_that_only_gives_files_metadata_and_the_environment_of_nothing_mean_nothing(
    line,
):
    bare = meaning(GIVING.format("", ""), A="1")
    assert meaning(GIVING.format(line, ""), A="1") == bare
    assert meaning(GIVING.format("", line), A="1") == bare
    assert meaning(GIVING.format(f"RUN x\n{line}", "")) == meaning(GIVING.format("RUN x", ""))


@pytest.mark.parametrize("line", ["ENV A=1", "ARG A=1", "USER 1", 'SHELL ["/x"]'])
@pytest.mark.parametrize("later", ["RUN x", "COPY $A /", "WORKDIR /$A", "COPY <<E /\n$A\nE"])
def test_what_follows_may_ask_for_the_environment(line, later):
    assert meaning(GIVING.format(line, later)) != meaning(GIVING.format("", later))
    assert meaning(THROUGH.format(line)) != meaning(THROUGH.format(""))


@pytest.mark.parametrize("between", ["", "FROM x AS y\n"])
def test_the_user_owns_the_folder_that_workdir_makes(between):
    text = f"FROM a AS x\nARG U\nUSER {{}}\n{between}WORKDIR /w\nFROM b\nCOPY --from=y /w /w\n"
    text = text if between else text.replace("--from=y", "--from=x")
    assert meaning(text.format("1")) != meaning(text.format("2"))
    assert meaning(text.format("$U"), U="1") != meaning(text.format("$U"), U="2")
    # It asks for nothing else.
    assert meaning(GIVING.format("ENV A=1", "WORKDIR /w")) == meaning(
        GIVING.format("", "WORKDIR /w")
    )


@pytest.mark.parametrize(
    "line", ["LABEL a=1", "CMD x", "ENV A=1", "ARG A", "USER 1", "EXPOSE 80", "ONBUILD RUN x"]
)
def test_of_the_stages_that_the_image_is_based_on_all_counts(line):
    """It is in the image's configuration, or in its history."""
    assert meaning(OWN.format(line)) != meaning(OWN.format(""))
    assert meaning("FROM a\n" + line) != meaning("FROM a\n")


@pytest.mark.parametrize("line", ["WORKDIR /w", "RUN x", "COPY g /", "ADD g /"])
def test_what_makes_files_counts_everywhere(line):
    assert meaning(GIVING.format(line, "")) != meaning(GIVING.format("", ""))


def test_the_metadata_of_a_stage_does_not_ask_for_arguments():
    text = GIVING.format("ARG V\nLABEL version=$V", "")
    assert meaning(text, V="1") == meaning(text, V="2")
    text = GIVING.format("ARG V\nENV version=$V", "RUN x")
    assert meaning(text, V="1") != meaning(text, V="2")


def test_what_buildkit_obeys_counts_in_any_stage():
    line = "ARG BUILDKIT_SBOM_SCAN_STAGE=true"
    assert meaning(GIVING.format(line, "")) != meaning(GIVING.format("", ""))


NAMES = "FROM a AS {0}\nFROM {1} AS {2}\nRUN --mount=from={1},target=/m x\nCOPY --from={1} a /\n"


def test_the_names_of_stages_mean_nothing():
    assert meaning(NAMES.format("x", "x", "y")) == meaning(NAMES.format("X", "z", "w").replace(
        "AS X", "AS z"))  # fmt: skip
    by_index = NAMES.format("x", "x", "y").replace("COPY --from=x", "COPY --from=0")
    assert meaning(by_index) == meaning(NAMES.format("x", "x", "y"))
    unused = "FROM u AS unused\nRUN no\n"
    assert meaning(unused + NAMES.format("x", "x", "y")) == meaning(NAMES.format("x", "x", "y"))


def test_which_stage_is_meant_counts():
    text = "FROM a AS x\nFROM a AS y\nFROM b\nCOPY --from={} f /\nCOPY --from={} f /\n"
    found = [meaning(text.format(*two)) for two in ("xy", "yx", "xx", "yy")]
    assert found[0] != found[1]
    assert found[0] not in found[2:]
    # Two stages that are the same give the same.
    assert found[2] == found[3]


def test_a_stage_and_an_image_of_its_name_are_told_apart():
    stage = "FROM a AS x\nFROM b\nCOPY --from=x f /\n"
    image = "FROM a AS y\nFROM b\nCOPY --from=x f /\n"
    assert meaning(stage) != meaning(image)
    mounted = "FROM a\nFROM b\nCOPY --from=0 f /\nRUN --mount=from={},target=/m x\n"
    assert meaning(mounted.format("0")) != meaning(mounted.replace("FROM a", "FROM a AS z").format(
        "z"))  # fmt: skip


def test_the_name_of_the_target_counts_where_something_asks_for_it():
    assert meaning("FROM a AS x\nRUN y", "x") == meaning("FROM a AS x\nRUN y")
    asking = "FROM a AS x\nARG TARGETSTAGE\nRUN y"
    assert meaning(asking, "x") != meaning(asking, "0")
    assert meaning(asking) != meaning(asking.replace("AS x", "AS z"))
    scanned = {"BUILDKIT_SBOM_SCAN_STAGE": "x"}
    renamed = NAMES.format("z", "z", "y")
    assert meaning(NAMES.format("x", "x", "y"), **scanned) != meaning(renamed, **scanned)


def test_the_default_of_an_argument_that_has_a_value_means_nothing():
    text = "ARG A={0}\nFROM a:$A\nARG A={0}\nARG B\nRUN x"
    assert meaning(text.format("1"), A="3") == meaning(text.format("$C"), A="3", C="x")
    assert meaning(text.format("1")) != meaning(text.format("2"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("COPY a b /", "COPY a \t b  /"),
        ("COPY a b /", 'COPY ["a", "b", "/"]'),
        ("COPY --link --chmod=1 a /", "COPY --chmod=1 --link a /"),
        ("ENV A=1 B=2", "ENV A=1 \\\n   B=2"),
        ("LABEL A=1 B='2  3'", "LABEL A=1   B='2  3'"),
        ("ARG A=1 B=2", "ARG A=1 \\\n\tB=2"),
    ],
)
def test_blanks_between_words_mean_nothing(one, other):
    assert meaning(f"FROM a\n{one}\n") == meaning(f"FROM a\n{other}\n")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("COPY a b /", 'COPY ["a b", "/"]'),
        ("COPY --exclude=a --exclude=!a . /", "COPY --exclude=!a --exclude=a . /"),
        ("ENV A 1 B=2", "ENV A  1  B=2"),
        ("ENV A='1 2'", "ENV A='1  2'"),
        ("LABEL a=1\u00a0b=2", "LABEL a=1 b=2"),
        ("RUN a b", "RUN a  b"),
        ("COPY <<E /\n1\nE", "COPY <<E /\n2\nE"),
    ],
)
def test_what_may_mean_something_else_counts(one, other):
    assert meaning(f"FROM a\n{one}\n") != meaning(f"FROM a\n{other}\n")


def test_a_default_of_the_stage_hides_the_argument_before_the_first_from():
    text = "ARG B={0}\nARG A=$B\nFROM a\nARG A=1\nRUN x\n"
    assert meaning(text.format("1")) == meaning(text.format("2"))
    assert meaning(text, B="1") == meaning(text, B="2")
    assert meaning(text, A="1") != meaning(text, A="2")
    for asks in ("ARG A", "FROM a$A\nRUN x"):
        further = f"{text}{asks}\n"
        assert meaning(further.format("1")) != meaning(further.format("2"))
