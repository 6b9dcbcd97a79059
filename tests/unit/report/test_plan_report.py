"""Plans for people: each image's own reason, or the way to the image that has one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.text import escape_markdown
from aksci.images.build_plan import BuildPlan, Work, plan_document
from aksci.images.graph import Graph
from aksci.report.plan_report import plan_markdown, plan_text

FILES = {
    "base/Dockerfile": "FROM scratch\n",
    "left/Dockerfile": "FROM shop/base\n",
    "right/Dockerfile": "FROM shop/base\n",
    "top/Dockerfile": "FROM shop/left\nCOPY --from=shop/right / /\n",
    "lone/Dockerfile": "FROM scratch\n",
}
DIGEST = "sha256:" + "1" * 64
CHANGED = {
    "code": "SOURCE",
    "files": [{"path": "a.py", "change": "changed"}],
    "count": 1,
    "old": "t",
    "new": "u",
}
ARG = {"code": "ARG", "name": "V", "old": "1", "new": "|`<b>@me ##vso[x]"}


def waiting(name):
    return {"code": "PARENT", "image": name, "edge": "runtime", "waiting": True}


def build(name, *reasons):
    return Work(image=name, action="build", reasons=reasons, digest=None)


@pytest.fixture
def plan(project):
    return BuildPlan(
        graph=project(FILES),
        work=(
            build("base", CHANGED),
            Work(image="lone", action="reuse", reasons=(), digest=DIGEST),
            build("left", waiting("base")),
            build("right", ARG, waiting("base")),
            build("top", waiting("left"), waiting("right")),
        ),
    )


def test_causes_are_the_shortest_way_to_a_reason_of_its_own(plan):
    assert plan.causes == {
        "base": ("base",),
        "left": ("left", "base"),
        "right": ("right",),
        "top": ("top", "right"),
    }
    causes = {one["image"]: one["cause"] for one in plan_document(plan)["work"]}
    assert causes == {name: list(plan.causes.get(name, ())) for name in causes}


def test_the_text_has_a_line_an_image_and_a_total(plan):
    assert plan_text(plan).splitlines() == [
        f"  reuse  lone   {DIGEST[:19]}",
        "  build  base   files in its context changed: a.py",
        "  build  left   ← base: files in its context changed: a.py",
        "  build  right  V changed from '1' to '|`<b>@me ##vso[x]'",
        "  build  top    ← right: V changed from '1' to '|`<b>@me ##vso[x]'",
        "4 to build, 1 to reuse.",
    ]


MOVED = {
    "code": "BASE_DRIFT",
    "reference": "docker.io/library/alpine:3.20",
    "edge": "runtime",
    "old": "sha256:" + "a1" * 32,
    "new": "sha256:" + "b2" * 32,
}
LEAVES = [f"leaf-{at:02}" for at in range(14)]


@pytest.fixture
def wide(project):
    """Return a plan of a base that moved below 14 images, and of what is based on one of those."""
    graph = project({"lone/Dockerfile": "FROM scratch\n"})
    first = LEAVES[0]
    return BuildPlan(
        graph=graph,
        work=(
            *(build(name, MOVED, *([CHANGED] if name == "leaf-05" else [])) for name in LEAVES),
            *(build(f"top-{at}", waiting(first)) for at in range(4)),
            *(build(f"high-{at}", waiting("leaf-05")) for at in range(3)),
            build("few", waiting("top-1")),
            *(
                Work(image=f"old-{at:03}", action="reuse", reasons=(), digest=DIGEST)
                for at in range(480)
            ),
        ),
    )


def test_a_cause_that_14_images_share_is_told_once_with_all_of_them(wide):
    assert plan_text(wide).splitlines() == [
        "  reuse  480 images: old-000, old-001, old-002, old-003, old-004 and 475 more",
        "  build  14 images: docker.io/library/alpine:3.20 moved from a1a1a1a1a1a1 to",
        "                    b2b2b2b2b2b2",
        "           leaf-00, leaf-01, leaf-02, leaf-03, leaf-04, leaf-05, leaf-06,",
        "           leaf-07, leaf-08, leaf-09, leaf-10, leaf-11, leaf-12, leaf-13",
        "           and 5 dependents: top-0, top-1, top-2, top-3, few",
        "  build  leaf-05  files in its context changed: a.py",
        "           and 3 dependents: high-0, high-1, high-2",
        "22 to build, 480 to reuse.",
    ]


def test_the_json_has_each_image_with_all_its_reasons(wide):
    work = {one["image"]: one for one in plan_document(wide)["work"]}
    assert len(work) == 502
    assert [one["code"] for one in work["leaf-05"]["reasons"]] == ["BASE_DRIFT", "SOURCE"]
    assert work["few"]["cause"] == ["few", "top-1", "leaf-00"]


def test_markdown_tells_a_shared_cause_once_too(wide):
    text = plan_markdown(wide)
    assert text.count("alpine:3.20 moved") == 1
    assert "| 14 images: leaf-00, leaf-01," in text
    assert "<br>and 5 dependents: top-0, top-1, top-2, top-3, few |" in text
    assert "| leaf-05<br>and 3 dependents: high-0, high-1, high-2 | files in its context" in text


def test_causes_of_the_very_same_images_are_told_together(project):
    graph = project({"lone/Dockerfile": "FROM scratch\n"})
    work = tuple(build(name, MOVED, ARG) for name in LEAVES)
    text = plan_text(BuildPlan(graph=graph, work=work))
    assert text.count("14 images") == text.count("leaf-00") == 1
    assert "V changed" in text


def test_dependents_are_told_with_the_cause_that_most_share(project):
    graph = project({"lone/Dockerfile": "FROM scratch\n"})
    few = [build(name, MOVED, ARG) for name in LEAVES[:3]]
    work = (*few, *(build(name, MOVED) for name in LEAVES[3:]))
    tops = (build(f"top-{at}", waiting(LEAVES[0])) for at in range(3))
    lines = plan_text(BuildPlan(graph=graph, work=(*work, *tops))).splitlines()
    assert lines.index("           and 3 dependents: top-0, top-1, top-2") == 4
    assert lines[5].startswith("  build  3 images: V changed")


def test_the_names_of_a_shared_cause_are_no_markup(project):
    """A file of a pull request may name its images."""
    graph = project({"lone/Dockerfile": "FROM scratch\n"})
    hostile = ["a|b", "<b>", "@me"]
    text = plan_markdown(BuildPlan(graph=graph, work=tuple(build(x, MOVED) for x in hostile)))
    assert r"| 3 images: a\|b, \<b\>, \@<!-- -->me |" in text


def test_a_long_name_leaves_room_for_the_reason(project):
    graph = project({"lone/Dockerfile": "FROM scratch\n"})
    name = "a/" * 40 + "b"
    text = plan_text(BuildPlan(graph=graph, work=(build("x", CHANGED), build(name, CHANGED))))
    assert text.splitlines()[1:3] == [
        f"  build  {name}",
        f"         {'':28}  files in its context changed: a.py",
    ]


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 4), max_size=3), st.integers(0, 9)),
        min_size=1,
        max_size=20,
    )
)
def test_every_image_and_every_reason_is_in_the_text(images):
    """Whatever images share, and whatever they are built for."""
    work = []
    for at, (own, parent) in enumerate(images):
        reasons = [
            {**ARG, "name": f"ARG{number}", "old": "1", "new": "2"} for number in sorted(own)
        ]
        reasons += [waiting(f"i{parent:02}")] if parent < at else []
        work.append(build(f"i{at:02}", *(reasons or [CHANGED])))
    plan = BuildPlan(graph=Graph(root=Path(), images={}, edges=(), external=()), work=tuple(work))
    for text in (plan_text(plan), plan_markdown(plan)):
        assert set(re.findall(r"i\d\d", text)) == {one.image for one in work}
        told = {reason["name"] for one in work for reason in one.reasons if "name" in reason}
        assert set(re.findall(r"ARG\d", text)) == told
        assert all(text.count(f"{name} changed") <= 2 * 3 for name in told)


def test_the_markdown_has_a_table_in_which_nothing_is_markup(plan):
    text = plan_markdown(plan)
    assert "4 to build, 1 to reuse." in text
    assert "| left | ← base: files in its context changed: a.py |" in text
    assert r"V changed from '1' to '\|\`\<b\>\@<!-- -->me \# \#vso\[x\]'" in text
    assert "lone" not in text


@pytest.mark.parametrize(
    ("text", "obeyed"),
    [
        ("https://evil.example/x", "https://"),
        ("www.evil.example", "www."),
        ("![a](x)", "]("),
        ("$x$", "$x$"),
        ("a\u202eb", "\u202e"),
        ("@user", "&#64;user"),  # the entity is gone before GitHub looks for names
        ("#1", "\\#1"),
    ],
)
def test_what_a_pull_request_names_its_files_is_neither_link_nor_mention(project, text, obeyed):
    named = {**CHANGED, "files": [{"path": text, "change": "changed"}]}
    graph = project({"lone/Dockerfile": "FROM scratch\n"})
    assert obeyed not in plan_markdown(BuildPlan(graph=graph, work=(build("lone", named),)))


def test_a_plan_with_nothing_to_build_has_no_table(project):
    lone = Work(image="lone", action="reuse", reasons=(), digest=DIGEST)
    empty = BuildPlan(graph=project({"lone/Dockerfile": "FROM scratch\n"}), work=(lone,))
    assert plan_markdown(empty) == "## Plan\n\n0 to build, 1 to reuse."


def test_a_very_large_table_is_cut(project):
    graph = project({"lone/Dockerfile": "FROM scratch\n"})
    work = tuple(
        build(f"i{number}", {**ARG, "old": str(number), "new": ""}) for number in range(1200)
    )
    assert plan_markdown(BuildPlan(graph=graph, work=work)).endswith("… and 200 more.")


def test_names_of_a_very_large_cause_are_cut_in_markdown(project):
    graph = project({"lone/Dockerfile": "FROM scratch\n"})
    work = tuple(build(f"i{number}", CHANGED) for number in range(1200))
    assert "i999 and 200 more |" in plan_markdown(BuildPlan(graph=graph, work=work))


def test_a_cell_is_one_line():
    assert escape_markdown("a\r\nb | c") == r"a b \| c"
