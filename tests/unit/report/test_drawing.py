"""Drawings of the graph: the same nodes and arrows, in four languages."""

from __future__ import annotations

import itertools
import json
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.config.loader import load_config
from aksci.images.graph import build_graph
from aksci.report.graph_drawing import (
    Arrow,
    Drawing,
    Node,
    draw_dot,
    draw_mermaid,
    drawing_of,
)
from aksci.report.graph_page import draw_page, place_nodes
from aksci.report.graph_text import draw_tree

FILES = {
    "aksci.toml": 'schema = 1\n[project]\nname = "p"\n[discover]\ndockerfiles = ["*/Dockerfile"]\n',
    "base/Dockerfile": "FROM debian:12\n",
    "left/Dockerfile": "FROM p/base\n",
    "right/Dockerfile": "FROM p/base\nCOPY --from=p/right:latest /x /x\n",
    "top/Dockerfile": "FROM p/left AS a\nFROM p/right\nCOPY --from=a /x /x\n",
}
WORK = [
    SimpleNamespace(image="base", action="reuse", reasons=(), digest="sha256:" + "1" * 64),
    SimpleNamespace(image="left", action="build", reasons=({"code": "MISSING"},), digest=None),
]


@pytest.fixture
def graph(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return build_graph(tmp_path, load_config(tmp_path / "aksci.toml"))


@pytest.fixture
def drawing(graph):
    return drawing_of(graph, WORK)


def test_the_tree_draws_each_image_once_in_full_and_names_it_below_its_other_parents(drawing):
    assert draw_tree(drawing).splitlines() == [
        "debian:12  (external)",
        "└── base  up to date: sha256:111111111111",
        "    ├── left  to build: no build of it was published yet",
        "    │   └── top  [stage]  ↓",
        "    └── right",
        "        └── top",
        "4 images, 4 edges, 1 base from outside",
    ]


def test_dot_quotes_what_dot_would_read(drawing):
    text = draw_dot(drawing)
    assert '"external:docker.io/library/debian:12" -> "base";' in text
    assert '"left" -> "top" [label="stage"];' in text
    node = Node(name='a"b\\', state="unknown", title='a"b\\', details=("x\ny",))
    odd = draw_dot(Drawing(title='t"', nodes=(node,), arrows=()))
    assert odd.startswith('digraph "t\\"" {')
    assert '"a\\"b\\\\" [label="a\\"b\\\\" tooltip="x\\ny"' in odd


def test_mermaid_names_nodes_by_number_and_escapes_labels(drawing):
    text = draw_mermaid(drawing)
    assert 'n2["left"]:::build' in text
    assert 'n2 -->|"stage"| n4' in text
    odd = Node(name="x", state="unknown", title='a"]-->b<i>', details=())
    assert 'n0["a#34;#93;--#62;b#60;i#62;"]' in draw_mermaid(
        Drawing(title="t", nodes=(odd,), arrows=())
    )


def test_the_page_holds_names_as_data_only():
    hostile = "</script><script>alert(1)</script>"
    node = Node(name=hostile, state="build", title=hostile, details=(hostile, "a\u2028\u202eb"))
    page = draw_page(Drawing(title=hostile, nodes=(node,), arrows=()))
    assert "alert(1)</script>" not in page
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data.group(1))["nodes"][0]["details"] == [hostile, "ab"]


def test_the_page_asks_for_nothing_from_elsewhere(drawing):
    page = draw_page(drawing)
    assert "{{" not in page
    addresses = set(re.findall(r"https?://[^\s\"')]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a namespace: nobody asks for it


@given(
    st.integers(1, 30).flatmap(
        lambda count: st.tuples(
            st.just(count),
            st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=60),
        )
    )
)
def test_nodes_stand_right_of_what_they_need_and_apart_from_each_other(model):
    count, pairs = model
    nodes = tuple(Node(name=str(i), state="unknown", title=str(i)) for i in range(count))
    arrows = tuple(
        Arrow(start=str(start), end=str(end), types=("runtime",))
        for start, end in sorted(pairs)
        if start < end
    )
    drawing = Drawing(title="t", nodes=nodes, arrows=arrows)
    places = place_nodes(drawing)
    assert all(places[arrow.start][0] < places[arrow.end][0] for arrow in arrows)
    columns: dict[int, list[float]] = {}
    for layer, place in places.values():
        columns.setdefault(layer, []).append(place)
    for column in columns.values():
        column.sort()
        assert all(b - a > 0.999 for a, b in itertools.pairwise(column))
    rows = sorted(place for _, place in places.values())
    assert all(b - a < 1.501 for a, b in itertools.pairwise(rows))
    tree = draw_tree(drawing)
    assert all(re.search(rf"(?m)(?:^|── ){node.title}(?:$| )", tree) for node in nodes)
