"""One image explained, from data to words; whence the data: tests/integration/test_plan.py."""

from __future__ import annotations

from aksci.report.why_report import why_markdown, why_text

KEY = "1" * 64
DIGEST = "sha256:" + "2" * 64
CHANGED = {
    "code": "SOURCE",
    "files": [{"path": "a|b.py", "change": "removed"}],
    "count": 1,
    "old": "t",
    "new": "u",
}
SOURCE = {
    "key": "3" * 64,
    "recipe": "r",
    "args": {"V": "1"},
    "target": None,
    "platforms": ["linux/amd64", "linux/arm64"],
    "tree": "t",
}
PARENTS = [
    {
        "reference": "docker.io/library/debian:12",
        "edge": "runtime",
        "image": None,
        "digest": DIGEST,
    },
    {"reference": "docker.io/shop/base:latest", "edge": "copy", "image": "base", "digest": None},
]
BUILT = {"at": "2026-11-23T12:00:00Z", "commit": "abc", "run": "run-7"}
REUSED = {
    "image": "web",
    "action": "reuse",
    "reasons": [],
    "causes": [],
    "earlier": [],
    "repository": "r.io/shop/web",
    "digest": DIGEST,
    "key": KEY,
    "tag": f"in-{KEY}",
    "source": SOURCE,
    "parents": PARENTS[:1],
    "built": BUILT,
}
WAITING = {"code": "PARENT", "image": "base", "edge": "copy", "waiting": True}
TO_BUILD = REUSED | {
    "action": "build",
    "reasons": [WAITING],
    "causes": [{"way": ["web", "base"], "reasons": [CHANGED, {"code": "FORCED"}]}],
    "digest": None,
    "key": None,
    "tag": None,
    "parents": PARENTS,
    "built": None,
}


def test_why_not_names_the_build_that_is_reused_and_all_that_it_is_made_of():
    assert why_text(REUSED).splitlines() == [
        (
            "web is not to be built: the registry has the finished build of these very inputs, "
            f"r.io/shop/web@{DIGEST}, built 2026-11-23T12:00:00Z of commit abc by run run-7."
        ),
        "",
        "What it is made of:",
        f"  input key    {KEY}",
        f"  tag          r.io/shop/web:in-{KEY}",
        f"  source key   {'3' * 64}",
        "  instructions r",
        "  arg V        1",
        "  platforms    linux/amd64, linux/arm64",
        "  files        t",
        f"  runtime      docker.io/library/debian:12 (external): {DIGEST}",
    ]


def test_an_unknown_builder_is_not_made_up():
    nobody = {"at": "", "commit": "", "run": ""}
    assert "built at an unknown time." in why_text(REUSED | {"built": nobody})
    first = why_text(REUSED | {"built": None}).splitlines()[0]
    assert first.endswith(f"@{DIGEST}.")


def test_why_tells_the_way_to_each_cause():
    lines = why_text(TO_BUILD).splitlines()
    assert lines[:3] == [
        "web is to be built, because:",
        "  base, which it needs, is built first",
        "  web ← base: files in its context changed: a|b.py (removed); it was asked for (--force)",
    ]
    assert "  input key    not known before its parents are built" in lines
    assert lines[-1].endswith("docker.io/shop/base:latest (of this project): still to be built")


def test_why_tells_what_changed_in_a_parent_that_is_finished():
    new = {"code": "PARENT", "image": "base", "reference": "r", "edge": "copy"}
    new |= {"old": "sha256:1", "new": "sha256:2"}
    earlier = [
        {"way": ["base"], "reasons": [CHANGED], "built": BUILT},
        {"way": ["base", "os"], "reasons": [], "built": {"at": "", "commit": "", "run": ""}},
    ]
    document = TO_BUILD | {"reasons": [new], "causes": [], "earlier": earlier}
    assert why_text(document).splitlines()[1:4] == [
        "  base, which it needs, is new (1 → 2)",
        (
            "  web ← base, built 2026-11-23T12:00:00Z of commit abc by run run-7: "
            "files in its context changed: a|b.py (removed)"
        ),
        "  web ← base ← os, built at an unknown time: built again from the same inputs",
    ]


def test_markdown_says_the_same_without_markup_of_others():
    text = why_markdown(TO_BUILD)
    assert "- web ← base: files in its context changed: a\\|b.py \\(removed\\)" in text
    assert "| arg V | 1 |" in text
