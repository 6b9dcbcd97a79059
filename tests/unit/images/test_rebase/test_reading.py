"""What a Dockerfile says about a rebase."""

from __future__ import annotations

import json

import pytest

from aksci.images.rebase.facts import RebaseFacts, facts_from, masks_packages

PLAIN = "FROM base:1\n"


@pytest.mark.parametrize(
    ("line", "condition"),
    [
        ("RUN true", "no-run"),
        ("RUN --mount=type=tmpfs,target=/t true", "no-run"),
        ("ADD --link x /app/", "no-add"),
        ("WORKDIR /", "no-workdir"),
        ("ONBUILD COPY --link x /app/", "no-onbuild"),
        ("COPY x /app/", "only-linked-copies"),
        ("COPY --link=false x /app/", "only-linked-copies"),
        ("COPY --link --chmod=755 x /app/", "only-linked-copies"),
        ("COPY --link --chown=app x /app/", "numeric-owner"),
        ("COPY --link --chown=1:app x /app/", "numeric-owner"),
        ("COPY --link --chown=$WHO x /app/", "numeric-owner"),
        ("COPY --link x /", "package-database"),
        ("COPY --link x /var", "package-database"),
        ("COPY --link x //var//lib/", "package-database"),
        ("COPY --link x /var/lib/dpkg/status.d/x", "package-database"),
        ("COPY --link x /app/../usr/lib/apk", "package-database"),
        ("COPY --link x $WHERE/app", "package-database"),
        ("COPY --link x \\\\var", "package-database"),
        ("ENV $NAME=1", "known-names"),
        ("LABEL a=1 $NAME=1", "known-names"),
        ("EXPOSE $PORT", "known-names"),
        ("EXPOSE 127.0.0.1:80:80", "known-names"),
        ("EXPOSE 9-8", "known-names"),
        ("EXPOSE 70000", "known-names"),
        ("VOLUME $WHERE", "known-names"),
        ("COPY --link --from=base:1 x /app/", "base-used-once"),
        ("COPY --link --from=docker.io/library/base:1 x /app/", "base-used-once"),
    ],
)
def test_an_instruction_that_is_not_provably_independent_stands_in_the_way(
    read_facts, line, condition
):
    found = read_facts(f"FROM base:1 AS first\n{line}\nFROM first\nENV A=1\n").blockers
    assert {(one.condition, one.line) for one in found} == {(condition, 2)}


@pytest.mark.parametrize(
    ("dockerfile", "condition"),
    [
        ("FROM base:1\nNONSENSE x\n", "plain-recipe"),
        ("FROM base:1 AS b\nFROM b\nCOPY --link --from=0 x /app/\n", "base-used-once"),
        ("FROM scratch\n", "stands-on-an-image"),
        ("# syntax=docker.io/other/frontend\nFROM base:1\n", "plain-recipe"),
        ("FROM --platform=$BUILDPLATFORM base:1\n", "plain-recipe"),
        ("FROM base:1 AS b\nFROM b AS go\nRUN x\nFROM b\nCOPY --link --from=go /x /app/\n",
         "base-used-once"),
        ("FROM base:1 AS go\nRUN x\nFROM base:1\nCOPY --link --from=go /x /app/\n",
         "base-used-once"),
        ("FROM go:1 AS go\nRUN --mount=from=base:1 x\nFROM base:1\nCOPY --link --from=go /x /app/",
         "base-used-once"),
    ],
)  # fmt: skip
def test_a_base_that_is_none_or_that_is_used_twice_stands_in_the_way(
    read_facts, dockerfile, condition
):
    assert {one.condition for one in read_facts(dockerfile).blockers} == {condition}


@pytest.mark.parametrize(
    "contexts",
    [
        {"base:1": "image:own"},
        {"base:1": "docker-image://other"},
        {"base:1": "folder"},
        {"last": "image:own"},
        {"tools": "image:own"},
        {"tools": "docker-image://base:1"},
    ],
)
def test_a_named_context_that_is_or_may_be_the_base_stands_in_the_way(read_facts, contexts):
    dockerfile = "FROM base:1 AS last\nCOPY --link --from=tools x /app/\n"
    assert read_facts(dockerfile, contexts=contexts).blockers
    assert not read_facts(dockerfile, contexts={"tools": "folder"}).blockers


def test_a_base_onbuild_and_platforms_that_differ_stand_in_the_way(read_facts):
    dockerfile = "ARG TARGETARCH\nFROM base:1 AS amd64\nFROM base:1 AS arm64\nENV A=1\n"
    dockerfile += "FROM $TARGETARCH\n"
    both = ("linux/amd64", "linux/arm64")
    found = read_facts(dockerfile, platforms=both)
    assert [one.condition for one in found.blockers] == ["plain-recipe"]
    assert not read_facts(dockerfile).blockers


def test_what_other_stages_do_does_not_matter(read_facts):
    found = read_facts(
        "FROM go:1 AS go\nRUN make\nADD x /x\nWORKDIR /w\nENV GO=1\nFROM base:1\n"
        "COPY --link --from=go --chown=1:2 /x /app/\n"
    )
    assert found == RebaseFacts(steps=("COPY",), layers=1)


def test_what_is_the_images_own_is_read_through_all_stages_above_the_base(read_facts):
    found = read_facts(
        "ARG P=80\nFROM base:1 AS one\nARG P\nENV B=1 A=$PATH\nENV OLD form\nLABEL x=1 'y z'=2\n"
        'FROM one AS two\nARG P\nEXPOSE $P 90-91/UDP\nVOLUME /a /b\nVOLUME ["/c d"]\nUSER 1\n'
        "COPY --link --chown=$B x /app/\nFROM two\nENV B=2 C=${A:-$HOME}\nSTOPSIGNAL 9\n"
        "MAINTAINER m\n"
    )
    assert found.blockers == ()
    assert found.env == ("B", "A", "OLD", "C")
    assert found.labels == ("x", "y z")
    assert found.ports == ("80/tcp", "90/udp", "91/udp")
    assert found.volumes == ("/a", "/b", "/c d")
    assert found.owned == ("StopSignal", "User", "author")
    assert found.base_variables == ("HOME", "PATH")
    assert found.steps[:4] == ("ARG", "ENV", "ENV", "LABEL")
    assert found.layers == 1


@pytest.mark.parametrize(
    ("lines", "cmd"),
    [
        ("ENV A=1", "base"),
        ('CMD ["a"]', "own"),
        ('ENTRYPOINT ["a"]', "none"),
        ('CMD ["a"]\nENTRYPOINT ["a"]', "own"),
        ('ENTRYPOINT ["a"]\nCMD ["a"]', "own"),
        ('CMD ["a"]\nFROM s AS t\nENTRYPOINT ["a"]', "none"),
    ],
)
def test_an_entrypoint_takes_the_command_below_its_stage_away(read_facts, lines, cmd):
    found = read_facts(f"FROM base:1 AS s\n{lines}\n")
    assert (found.cmd, found.args_escaped) == (cmd, "CMD" in lines)
    assert not found.base_shell


@pytest.mark.parametrize(
    ("lines", "depends"),
    [
        ("CMD a", True),
        ("ENTRYPOINT [a]", True),
        ('SHELL ["s"]\nCMD a', False),
        ('CMD a\nSHELL ["s"]', True),
        ('SHELL ["s"]\nFROM s AS t\nCMD a', False),
        ("HEALTHCHECK CMD a", False),
    ],
)
def test_a_command_in_shell_form_depends_on_the_bases_shell(read_facts, lines, depends):
    assert read_facts(f"FROM base:1 AS s\n{lines}\n").base_shell is depends


@pytest.mark.parametrize(
    ("lines", "used"),
    [
        ("COPY --link <<E /app/x\n$IN_BODY\nE", ("IN_BODY",)),
        ("COPY --link $FROM_HERE /app/", ("FROM_HERE",)),
        ("ARG A\nLABEL a=$A", ("A",)),
        ("ARG A=1\nLABEL a=$A", ()),
        ("ENV A=$A", ("A",)),
        ("ENV A=1 B=$A", ("A",)),
        ("CMD echo $A", ()),
        ("USER ${A:-1}", ("A",)),
        # An ENV of the base counts again where a stage begins, over the ARGs below.
        ("ARG A=1\nFROM s AS t\nLABEL a=$A", ("A",)),
        ("ARG A=1\nFROM s AS t\nARG A\nLABEL a=$A", ("A",)),
        ("ARG A=1\nFROM s AS t\nARG A=2\nLABEL a=$A", ()),
        ("ARG A=1\nENV A=2\nFROM s AS t\nLABEL a=$A", ()),
    ],
)
def test_variables_that_only_the_base_can_have_set_are_found(read_facts, lines, used):
    assert read_facts(f"FROM base:1 AS s\n{lines}\n").base_variables == used


def test_a_build_argument_is_no_variable_of_the_base(read_facts):
    assert read_facts(f"{PLAIN}ARG A\nLABEL a=$A\n", args={"A": "1"}).base_variables == ()


def test_paths_beside_a_package_database_are_free():
    assert not any(map(masks_packages, ["/app", "/var/lib/dpkg2", "/usr/local/bin", "/var/www"]))


def test_facts_survive_json_and_damaged_ones_are_none(read_facts):
    found = read_facts(f"{PLAIN}RUN x\nENV A=$PATH\nCOPY --link x app\nCMD x\n")
    document = json.loads(json.dumps(found.document()))
    assert facts_from(document) == found
    damage = [
        {"schema": 2}, {"schema": True, "more": 1}, {"layers": True}, {"layers": -1}, {"cmd": "x"},
        {"cmd": []}, {"env": "A"}, {"env": [1]}, {"base_shell": 0}, {"blockers": {}},
        {"blockers": [{}]}, {"blockers": [{**document["blockers"][0], "line": "1"}]},
        {"blockers": [{**document["blockers"][0], "why": None}]}, {"blockers": ["x"]},
    ]  # fmt: skip
    for change in damage:
        assert facts_from({**document, **change}) is None, change
    for key in document:
        assert facts_from({name: document[name] for name in document if name != key}) is None
    for other in (None, [], "x", 1):
        assert facts_from(other) is None
