"""The graph as a person reads it: what is built here as a tree, what everybody shares said once."""

from __future__ import annotations

import pytest

from aksci.report.graph_drawing import Arrow, Drawing, Node, drawing_of
from aksci.report.graph_text import draw_tree

DIGEST = "sha256:" + "1" * 64
SYNTAX = "# syntax=docker/dockerfile:1\n"


def tree(graph):
    return draw_tree(drawing_of(graph)).splitlines()


def test_a_frontend_is_told_last_and_is_no_root_of_all_images(project):
    files = {f"s{at}/Dockerfile": f"{SYNTAX}FROM debian:12\n" for at in range(7)}
    lines = tree(project(files))
    assert lines[0] == "debian:12  (external)"
    assert [line for line in lines if "docker/dockerfile" in line] == [
        "  docker/dockerfile:1: all 7 images"
    ]
    assert lines[-3:] == [
        "frontends:",
        "  docker/dockerfile:1: all 7 images",
        "7 images, 0 edges, 1 base from outside, 1 frontend",
    ]


def test_a_frontend_of_some_images_names_the_first_and_how_many_more_there_are(project):
    files = {f"s{at}/Dockerfile": f"{SYNTAX}FROM scratch\n" for at in range(7)}
    files["plain/Dockerfile"] = "FROM scratch\n"
    assert "  docker/dockerfile:1: s0, s1, s2, s3, s4 and 2 more" in tree(project(files))


def test_an_image_without_any_base_is_a_root(project):
    lines = tree(project({"a/Dockerfile": f"{SYNTAX}FROM scratch\n"}))
    assert lines[0] == "a"


def test_what_is_needed_from_outside_beside_the_base_follows_the_tree_in_a_list(project):
    """Else each of ten bases is a root of one image that is drawn elsewhere."""
    files = {
        "base/Dockerfile": "FROM debian:12\n",
        "web/Dockerfile": "FROM node:22 AS a\nFROM shop/base\nCOPY --from=a /x /x\n",
        "api/Dockerfile": "FROM shop/base\nCOPY --from=node:22 /x /x\n",
        "old/Dockerfile": f"FROM node@{DIGEST} AS a\nFROM shop/base\nCOPY --from=a /x /x\n",
    }
    assert tree(project(files)) == [
        "debian:12  (external)",
        "└── base",
        "    ├── api",
        "    ├── old",
        "    └── web",
        "also from outside:",
        "  node:22  [copy]: api",
        "  node:22  [stage]: web",
        "  node@sha256:111111111111…  [stage]: old",
        "4 images, 3 edges, 3 bases from outside",
    ]


def test_an_image_is_drawn_below_the_base_of_this_project_that_it_is_most_made_of(project):
    files = {
        "tool/Dockerfile": "FROM alpine:3\n",
        "base/Dockerfile": "FROM debian:12\n",
        "web/Dockerfile": "FROM shop/base\nCOPY --from=shop/tool /x /x\n",
        "own/Dockerfile": "FROM ubuntu:24.04\nCOPY --from=shop/tool /x /x\n",
    }
    assert tree(project(files))[:-1] == [
        "alpine:3  (external)",
        "└── tool",
        "    ├── own  [copy]",
        "    └── web  [copy]  ↓",
        "debian:12  (external)",
        "└── base",
        "    └── web",
        "also from outside:",
        "  ubuntu:24.04: own",
    ]


def test_of_parents_alike_it_is_drawn_below_the_one_that_is_itself_based_on_more(project):
    files = {
        "commons/Dockerfile": "FROM debian:12\n",
        "solr/Dockerfile": "FROM debian:12\nCOPY --from=shop/commons /x /x\n",
        "web/Dockerfile": "FROM debian:12\nCOPY --from=shop/commons /x /x\n"
        "COPY --from=shop/solr /x /x\n",
    }
    assert tree(project(files))[1:5] == [
        "├── commons",
        "│   ├── solr  [copy]",
        "│   │   └── web  [copy]",
        "│   └── web  [copy]  ↑",
    ]


def test_opaque_images_are_marked_and_a_cause_that_they_share_is_told_once(project):
    add = "ADD https://e.org/agent.jar /\n"
    files = {
        "a/Dockerfile": f"FROM debian:12\n{add}",
        "b/Dockerfile": f"FROM debian:12\nRUN x\n{add}",
        "c/Dockerfile": "FROM debian:12\n",
    }
    lines = tree(project(files))
    assert lines[1:4] == ["├── a  (opaque)", "├── b  (opaque)", "└── c"]
    start = lines.index("opaque, so every build makes them again:")
    assert " ".join(" ".join(lines[start + 1 : -1]).split()) == (
        "what ADD https://e.org/agent.jar brings may change at any time (--checksum pins it): a, b"
    )
    assert lines[-1] == "3 images, 0 edges, 1 base from outside, 2 opaque"


@pytest.mark.parametrize("count", [1, 500])
def test_no_line_of_many_short_names_is_wider_than_a_terminal(count):
    names = [f"image-{at:03}" for at in range(count)]
    nodes = (
        Node(name="external:x", state="external", title="x"),
        Node(name="external:y", state="external", title="y"),
        *(Node(name=name, state="unknown", title=name) for name in names),
    )
    arrows = (
        *(Arrow(start="external:x", end=name, types=("runtime",)) for name in names),
        *(Arrow(start="external:y", end=name, types=("copy",)) for name in names),
    )
    text = draw_tree(Drawing(title="t", nodes=nodes, arrows=arrows))
    assert max(map(len, text.splitlines())) <= 80
    assert all(text.count(name) == 2 for name in names)
