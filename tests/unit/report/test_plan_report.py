"""Plans for people: each image's own reason, or the way to the image that has one."""

from __future__ import annotations

import pytest

from aksci.core.text import escape_markdown
from aksci.images.build_plan import BuildPlan, Work, plan_document
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
        "  build  base   files in its context changed: a.py",
        f"  reuse  lone   {DIGEST}",
        "  build  left   ← base: files in its context changed: a.py",
        "  build  right  V changed from '1' to '|`<b>@me ##vso[x]'",
        "  build  top    ← right: V changed from '1' to '|`<b>@me ##vso[x]'",
        "4 to build, 1 to reuse.",
    ]


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
    work = tuple(build(f"i{number}", CHANGED) for number in range(1200))
    assert plan_markdown(BuildPlan(graph=graph, work=work)).endswith("… and 200 more.")


def test_a_cell_is_one_line():
    assert escape_markdown("a\r\nb | c") == r"a b \| c"
