"""A plan that was kept: what differs from it, and which files are refused."""

from __future__ import annotations

import json
import os

import pytest

from aksci.core.errors import UsageError
from aksci.images.plan_compare import compare_plans, load_plan, save_plan
from aksci.report.plan_report import plan_comparison_markdown, plan_comparison_text

MADE = {
    "project": "shop",
    "environment": "local",
    "commit": "abc",
    "created": "2026-11-23T12:00:00Z",
    "only": [],
    "withDependents": False,
}
ARG = {"code": "ARG", "name": "V", "old": "1", "new": "2"}
MISSING = {"code": "MISSING", "known": False}


def build(name, *reasons):
    return {"image": name, "action": "build", "reasons": list(reasons), "key": None, "digest": None}


def reuse(name, digit):
    digest = f"sha256:{digit * 64}"
    return {"image": name, "action": "reuse", "reasons": [], "key": None, "digest": digest}


def plan(*work):
    return {"schema": 1, "images": [], "edges": [], "external": [], "work": list(work)}


@pytest.fixture
def kept(tmp_path):
    def keep(document, made=MADE):
        save_plan(tmp_path / "plan.json", document, made)
        return load_plan(tmp_path / "plan.json", MADE)

    return keep


def test_a_comparison_tells_new_gone_changed_and_moved(kept):
    old = kept(
        plan(
            reuse("a", "1"),
            build("b", ARG),
            build("c", ARG),
            build("d", ARG),
            reuse("e", "1"),
            reuse("f", "1"),
            build("z", ARG),
        )
    )
    new = plan(
        build("a", ARG),
        reuse("b", "2"),
        build("c", MISSING),
        build("d", ARG),
        reuse("e", "2"),
        reuse("f", "1"),
        build("n", MISSING),
    )
    found = compare_plans(old, new)
    names = {
        kind: [one["image"] for one in found[kind]] for kind in ("new", "gone", "changed", "moved")
    }
    assert names == {"new": ["a", "n"], "gone": ["b", "z"], "changed": ["c"], "moved": ["e"]}
    assert not found["same"]
    assert plan_comparison_text(found).splitlines() == [
        "Compared with the plan of 2026-11-23T12:00:00Z of commit abc:",
        "to build now, and not then:",
        "  a: V changed from '1' to '2'",
        "  n: no build of it was published yet",
        "to build then, and not now:",
        "  b: reuses 222222222222",
        "  z: is not in the plan any more",
        "to build then and now, for other reasons:",
        "  c: + no build of it was published yet",
        "    - V changed from '1' to '2'",
        "reused then and now, with another digest:",
        "  e: 111111111111 → 222222222222",
    ]
    assert "| z | is not in the plan any more |" in plan_comparison_markdown(found)


def test_a_difference_that_images_share_is_told_once(kept):
    names = [f"i{at}" for at in range(14)]
    old = kept(plan(*(reuse(name, "1") for name in [*names, "own"])))
    new = plan(*(build(name, ARG) for name in names), build("own", MISSING))
    found = compare_plans(old, new)
    text = plan_comparison_text(found)
    assert text.splitlines()[1:] == [
        "to build now, and not then:",
        "  14 images: V changed from '1' to '2'",
        f"    {', '.join(names)}",
        "  own: no build of it was published yet",
    ]
    assert len(found["new"]) == 15
    assert plan_comparison_markdown(found).count("V changed") == 1


def test_the_same_plan_differs_in_nothing(kept):
    found = compare_plans(
        kept(plan(build("a", ARG), reuse("b", "1"))), plan(build("a", ARG), reuse("b", "1"))
    )
    assert found["same"]
    assert plan_comparison_text(found).endswith("nothing differs")
    assert "Nothing differs." in plan_comparison_markdown(found)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"{", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "not a plan that was kept"),
        (b"3", "not a plan that was kept"),
        (json.dumps(plan()).encode(), "not a plan that was kept"),
        (json.dumps({**plan(), "schema": 2, "made": MADE}).encode(), "another version"),
        (json.dumps({**plan({"image": "a"}), "made": MADE}).encode(), "not a plan"),
        (json.dumps({**plan({**build("a"), "reasons": [1]}), "made": MADE}).encode(), "not a plan"),
        (json.dumps({**plan(), "made": {**MADE, "project": "x"}}).encode(), "its project is 'x'"),
        (
            json.dumps({**plan(), "made": {**MADE, "environment": "x"}}).encode(),
            "its environment is 'x'",
        ),
        (json.dumps({**plan(), "made": {**MADE, "only": ["a"]}}).encode(), r"its only is \['a'\]"),
    ],
)
def test_a_file_that_can_not_be_compared_is_refused_with_the_reason(tmp_path, content, why):
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=why):
        load_plan(path, MADE)


def test_a_plan_without_details_can_be_compared(kept):
    old = kept(plan({"image": "a", "action": "reuse", "reasons": []}))
    assert [one["image"] for one in compare_plans(old, plan(reuse("a", "1")))["moved"]] == ["a"]


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder", "nothing", "too large"])
def test_what_is_no_file_that_was_kept_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "plan.json"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a folder":
        path.mkdir()
    elif kind == "too large":
        with path.open("wb") as file:
            file.truncate(1 << 30)
    with pytest.raises(UsageError, match=r"plan\.json"):
        load_plan(path, MADE)
