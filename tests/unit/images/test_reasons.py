"""Reasons say what differs from the last build."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from aksci.images.build.build_record import Failure
from aksci.images.lineage import Lineage, Step
from aksci.images.reason_wording import _WORDS, explain
from aksci.images.reasons import REASON_CODES, changed_files, failed_before, reasons_between, waits

DEBIAN, BASE = "docker.io/library/debian:12", "docker.io/shop/base:latest"
SOURCE = {"recipe": "r", "args": {"V": "1"}, "target": None, "platforms": ["linux/amd64"]}
LAST = Lineage(
    image="web",
    key_schema=3,
    input_key="k",
    source={**SOURCE, "tree": "t"},
    parents={DEBIAN: "sha256:1", BASE: "sha256:2"},
    revision="",
    edges={DEBIAN: {"type": "runtime"}, BASE: {"type": "copy", "image": "base"}},
    steps=(
        Step(keyword="FROM", hash="f", lines=(1, 1)),
        Step(keyword="RUN", hash="a", lines=(2, 4)),
        Step(keyword="COPY", hash="c", lines=(5, 5)),
    ),
)
FROM, RUN, COPY = LAST.steps
WAITING = {"code": "PARENT", "image": "base", "edge": "copy", "waiting": True}


def source(**changes):
    return {"source": {**LAST.source, **changes}}


@pytest.mark.parametrize(
    ("change", "expected", "words"),
    [
        (
            source(tree="x"),
            {
                "code": "SOURCE",
                "files": [{"path": "a.py", "change": "added"}],
                "count": 1,
                "old": "t",
                "new": "x",
            },
            "files in its context changed: a.py (added)",
        ),
        (
            {
                **source(recipe="x"),
                "steps": (
                    FROM,
                    replace(RUN, hash="b", lines=(2, 3)),
                    Step(keyword="ENV", hash="e", lines=(4, 4)),
                ),
            },
            {
                "code": "DOCKERFILE",
                "lines": [[2, 3], [4, 4]],
                "instructions": [
                    {"keyword": "RUN", "change": "changed", "lines": [2, 3]},
                    {"keyword": "ENV", "change": "changed", "lines": [4, 4]},
                ],
                "old": "r",
                "new": "x",
            },
            "its Dockerfile changed: changed RUN in lines 2-3, changed ENV in line 4",
        ),
        (
            {**source(recipe="x"), "steps": (FROM, RUN)},
            {
                "code": "DOCKERFILE",
                "lines": [],
                "instructions": [{"keyword": "COPY", "change": "removed", "lines": None}],
                "old": "r",
                "new": "x",
            },
            "its Dockerfile changed: removed COPY",
        ),
        (
            source(args={"V": "2"}),
            {"code": "ARG", "name": "V", "old": "1", "new": "2"},
            "V changed from '1' to '2'",
        ),
        (
            source(args={}),
            {"code": "ARG", "name": "V", "old": "1", "new": None},
            "V changed from '1' to nothing",
        ),
        (
            source(target="x"),
            {"code": "ARG", "name": "target", "old": None, "new": "x"},
            "target changed from nothing to 'x'",
        ),
        (
            source(platforms=["linux/arm64"]),
            {"code": "ARG", "name": "platforms", "old": ["linux/amd64"], "new": ["linux/arm64"]},
            "platforms changed from ['linux/amd64'] to ['linux/arm64']",
        ),
        (
            {"parents": {**LAST.parents, DEBIAN: "sha256:9"}},
            {
                "code": "BASE_DRIFT",
                "reference": DEBIAN,
                "edge": "runtime",
                "old": "sha256:1",
                "new": "sha256:9",
            },
            "docker.io/library/debian:12 moved from 1 to 9",
        ),
        (
            {"parents": {**LAST.parents, BASE: "sha256:9"}},
            {
                "code": "PARENT",
                "image": "base",
                "reference": BASE,
                "edge": "copy",
                "old": "sha256:2",
                "new": "sha256:9",
            },
            "base, which it needs, is new (2 → 9)",
        ),
        (
            {"parents": {**LAST.parents, BASE: None}},
            WAITING,
            "base, which it needs, is built first",
        ),
        (
            {},
            {"code": "MISSING", "known": True},
            "nothing differs from its last build, but the registry has lost that",
        ),
        (
            {"key_schema": 4},
            {"code": "KEY_SCHEMA", "old": 3, "new": 4},
            "this version of aksci computes keys in another way (3 → 4)",
        ),
    ],
)
def test_each_difference_is_one_reason_with_old_and_new(change, expected, words):
    files = [{"path": "a.py", "change": "added"}]
    (reason,) = reasons_between(LAST, replace(LAST, **change), files=lambda: files)
    assert reason == expected
    assert explain(reason) == words


def test_an_unknown_last_build_means_missing():
    new = replace(LAST, parents={BASE: None})
    assert reasons_between(None, new) == ({"code": "MISSING", "known": False}, WAITING)


def test_a_reference_that_the_dockerfile_changed_is_no_drift():
    other = {**LAST.parents, "docker.io/library/alpine:3": "sha256:7"}
    new = replace(LAST, **source(recipe="x"), parents=other)
    assert [reason["code"] for reason in reasons_between(LAST, new)] == ["DOCKERFILE"]


def test_a_reference_that_came_by_nothing_else_is_a_reason():
    new = replace(LAST, parents={DEBIAN: "sha256:1"})
    (reason,) = reasons_between(LAST, new)
    assert (reason["code"], reason["image"], reason["new"]) == ("PARENT", "base", None)


def test_another_schema_says_nothing_of_files_and_lines():
    new = replace(LAST, key_schema=4, **source(tree="x", recipe="y"))
    assert [reason["code"] for reason in reasons_between(LAST, new)] == ["KEY_SCHEMA"]


def test_a_last_build_without_its_files_gives_no_count():
    (reason,) = reasons_between(LAST, replace(LAST, **source(tree="x")), files=lambda: None)
    assert (reason["files"], reason["count"]) == ([], None)
    assert explain(reason) == "files in its context changed"


def test_many_files_are_counted_and_not_all_listed():
    new = {f"f{number:03}": "f 644 x" for number in range(200)}
    (reason,) = reasons_between(
        LAST, replace(LAST, **source(tree="x")), files=lambda: changed_files({}, new)
    )
    assert (len(reason["files"]), reason["count"]) == (50, 200)
    assert explain(reason).endswith("f003 (added) and 196 more")


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (
            {".git/HEAD": "f 644 x", ".git/index": "f 644 x"},
            (
                "files in its context changed: .git/HEAD (added), .git/index (added) (nothing but "
                "git's own folder: .git in its .dockerignore leaves that out)"
            ),
        ),
        (
            {**{f".git/{number}": "f 644 x" for number in range(9)}, "a.py": "f 644 x"},
            (
                "files in its context changed: a.py (added), .git/0 (added), .git/1 (added), "
                ".git/2 (added) and 6 more (among them git's own folder: .git in its .dockerignore "
                "leaves that out)"
            ),
        ),
        (
            {"vendor/x/.git/HEAD": "f 644 x", ".github/a": "f 644 x"},
            "files in its context changed: .github/a (added), vendor/x/.git/HEAD (added)",
        ),
    ],
)
def test_git_is_named_where_it_is_the_reason(new, words):
    (reason,) = reasons_between(
        LAST, replace(LAST, **source(tree="x")), files=lambda: changed_files({}, new)
    )
    assert explain(reason) == words


def test_an_opaque_image_says_why_where_nothing_else_differs():
    assert reasons_between(LAST, LAST, opaque=("odd",)) == ({"code": "OPAQUE", "why": "odd"},)
    changed = replace(LAST, **source(target="x"))
    assert [one["code"] for one in reasons_between(LAST, changed, opaque=("odd",))] == ["ARG"]


def test_one_parent_by_several_names_waits_once():
    both = {BASE: None, BASE.replace("latest", "v1"): None}
    edges = {name: {"type": "copy", "image": "base"} for name in both}
    new = replace(LAST, parents=LAST.parents | both, edges=edges)
    reasons = reasons_between(LAST, new)
    assert reasons == (WAITING,)
    assert all(map(waits, reasons))


def test_files_are_compared_by_kind_mode_and_content():
    old = {"a": "f 644 1", "b": "f 644 1", "c": "l x y", "d": "d 755", "e": "f 644 1", "f": "d 755"}
    new = {
        "a": "f 755 1",
        "b": "f 644 2",
        "c": "l x z",
        "d": "d 700",
        "f": "f 644 1",
        "g\udcff": "d 1",
    }
    assert {one["path"]: one["change"] for one in changed_files(old, new)} == {
        "a": "mode",
        "b": "changed",
        "c": "changed",
        "d": "mode",
        "e": "removed",
        "f": "changed",
        "g\\xff": "added",
    }


def test_a_failure_is_a_reason_only_for_the_very_same_inputs():
    failure = Failure(key="k", error="boom\n", run="7")
    assert failed_before(failure, "k") == (
        {"code": "PREVIOUSLY_FAILED", "error": "boom\n", "run": "7"},
    )
    assert explain(failed_before(failure, "k")[0]) == "the same inputs failed in run 7: boom"
    assert failed_before(failure, "other") == failed_before(None, "k") == ()
    assert failed_before(replace(failure, key=None), "") == ()


def test_words_are_one_line_and_not_endless():
    words = explain({"code": "ARG", "name": "V", "old": None, "new": "x\n" * 1000})
    assert "\n" not in words
    assert len(words) < 200


def _codes_in_the_code():
    """Return what stands after "code" in the dictionaries of the rooms images and cascade."""
    for room in ("images", "cascade"):
        for path in (Path(__file__).parents[3] / "aksci" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Dict):
                    pairs = zip(node.keys, node.values, strict=True)
                    found = [value for key, value in pairs if getattr(key, "value", "") == "code"]
                    for each in found:
                        yield from (one.value for one in ast.walk(each) if _is_code(one))


def _is_code(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isupper()


def test_every_code_is_listed_and_has_words_and_a_place_in_the_schema():
    schema = json.loads(files("aksci.report").joinpath("schemas/reason.schema.json").read_text())
    assert set(_codes_in_the_code()) == set(REASON_CODES)
    assert {one["properties"]["code"]["const"] for one in schema["oneOf"]} == set(REASON_CODES)
    assert set(_WORDS) == set(REASON_CODES)
