"""What aksci.toml says of an image from outside, by its name and by how it is used."""

from __future__ import annotations

import pytest

from aksci.cascade.base_policy import EdgePolicy, policy_of
from aksci.config.cascade_models import CascadeConfig

PYTHON = "docker.io/library/python:3.12"


def policy(table, reference=PYTHON, kind="runtime"):
    return policy_of(CascadeConfig.model_validate(table), reference, kind)


def fits(glob, reference=PYTHON):
    return policy({"bases": ({"base": glob},)}, reference).rule == "cascade.bases[0]"


def test_without_a_rule_a_change_is_taken_now():
    assert policy({}) == EdgePolicy(update="now", rule="default")


@pytest.mark.parametrize(
    "glob",
    [
        "docker.io/library/python:3.12",
        "docker.io/library/python:*",
        "docker.io/library/*",
        "index.docker.io/library/python",
        "docker.io/python:3.*",
        "library/python:3.12",
        "python:3.12",
        "python:3.1?",
        "python:[23].*",
        "python",
        "pyth*",
        "*",
        "*:3.12",
    ],
)
def test_a_glob_stands_for_docker_hubs_images_by_any_of_their_names(glob):
    """EDGE-CASES: normalise library/, docker.io, index.docker.io."""
    assert fits(glob)


@pytest.mark.parametrize(
    "glob", ["python:3.1", "python:3.12-*", "docker.io/python3*", "Python", "thon:3.12", "python:"]
)
def test_a_glob_matches_all_of_a_name(glob):
    assert not fits(glob)


def test_the_colon_of_a_port_is_no_tag():
    assert fits("localhost:5000/team/base", "localhost:5000/team/base:1")
    assert fits("localhost:5000/team/*:1", "localhost:5000/team/base:1")
    assert not fits("localhost:5000/team/*:1", "localhost:5000/team/base:2")


def test_an_image_of_another_registry_has_one_name():
    assert not fits("python", "quay.io/library/python:3.12")
    assert not fits("library/python:*", "quay.io/library/python:3.12")
    assert fits("*/library/python:*", "quay.io/library/python:3.12")


def test_the_first_rule_that_fits_by_name_and_by_edge_counts():
    table = {
        "edges": {"runtime": "ignore"},
        "bases": (
            {"base": "debian", "update": "ignore"},
            {"base": "python", "edges": ("copy",), "update": "ignore"},
            {"base": "python:3.12", "edges": ("stage", "runtime"), "update": "batch"},
            {"base": "python"},
        ),
    }
    assert policy(table) == EdgePolicy(update="batch", rule="cascade.bases[2]")
    assert policy(table, kind="copy") == EdgePolicy(update="ignore", rule="cascade.bases[1]")
    assert policy(table, kind="mount") == EdgePolicy(update="now", rule="cascade.bases[3]")


@pytest.mark.parametrize("kind", ["runtime", "stage", "copy", "mount", "syntax", "context"])
def test_where_no_rule_fits_the_kind_of_edge_decides(kind):
    table = {"edges": {kind: "batch"}, "bases": ({"base": "debian"},)}
    assert policy(table, kind=kind) == EdgePolicy(update="batch", rule=f"cascade.edges.{kind}")
    assert policy({"edges": {kind: "batch"}}, kind="requires").rule == "default"


def test_a_rule_hands_its_digest_or_its_range_on():
    digest = "sha256:" + "1" * 64
    assert policy({"bases": ({"base": "python", "digest": digest},)}).digest == digest
    assert policy({"bases": ({"base": "python", "tags": "3.12.x"},)}).tags == "3.12.x"


def test_an_image_that_the_dockerfile_pins_by_digest_has_a_policy_too():
    pinned = "docker.io/library/python@sha256:" + "1" * 64
    assert fits("python", pinned)
    assert not fits("python:3.12", pinned)
