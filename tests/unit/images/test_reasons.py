"""Reasons say what differs from the last build."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aksci.images.keys import KEY_SCHEMA, Source
from aksci.images.lineage import Lineage
from aksci.images.reasons import explain, reasons_for

SOURCE = Source(recipe="r", args={"V": "1"}, target=None, platforms=(), tree="t")
PARENTS = {"docker.io/library/debian:12": "sha256:1", "docker.io/shop/base:latest": "sha256:2"}
INTERNAL = {"docker.io/shop/base:latest": "base"}
LAST = Lineage(
    image="web",
    key_schema=KEY_SCHEMA,
    input_key="k",
    source=SOURCE.document(),
    parents=PARENTS,
    revision="",
)


@pytest.mark.parametrize(
    ("source", "parents", "expected"),
    [
        (replace(SOURCE, tree="x"), PARENTS, {"code": "SOURCE"}),
        (replace(SOURCE, recipe="x"), PARENTS, {"code": "DOCKERFILE"}),
        (
            replace(SOURCE, args={"V": "2"}),
            PARENTS,
            {"code": "ARG", "name": "V", "old": "1", "new": "2"},
        ),
        (
            replace(SOURCE, target="x"),
            PARENTS,
            {"code": "ARG", "name": "target", "old": None, "new": "x"},
        ),
        (
            SOURCE,
            PARENTS | {"docker.io/library/debian:12": "sha256:9"},
            {
                "code": "BASE_DRIFT",
                "reference": "docker.io/library/debian:12",
                "old": "sha256:1",
                "new": "sha256:9",
            },
        ),
        (
            SOURCE,
            PARENTS | {"docker.io/shop/base:latest": "sha256:9"},
            {"code": "PARENT", "image": "base", "old": "sha256:2", "new": "sha256:9"},
        ),
        (
            SOURCE,
            PARENTS | {"docker.io/shop/base:latest": None},
            {"code": "PARENT", "image": "base"},
        ),
        (SOURCE, PARENTS, {"code": "MISSING"}),
    ],
)
def test_each_difference_has_its_reason(source, parents, expected):
    reasons = reasons_for(source, parents, INTERNAL, LAST)
    assert reasons == (expected,)
    assert explain(expected)


def test_an_unknown_last_build_means_missing():
    assert reasons_for(SOURCE, PARENTS, INTERNAL, None) == ({"code": "MISSING"},)


def test_another_way_to_compute_keys_is_a_reason():
    old = replace(LAST, key_schema=0)
    reasons = reasons_for(SOURCE, PARENTS, INTERNAL, old)
    assert reasons == ({"code": "KEY_SCHEMA", "old": 0, "new": KEY_SCHEMA},)
