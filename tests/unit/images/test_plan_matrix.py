"""A CI matrix: no job needs what another job of the same matrix builds."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.cli.arguments import read_arguments
from aksci.cli.options import OPTIONS
from aksci.images.build_plan import BuildPlan, Work
from aksci.images.plan_matrix import MOST_JOBS, make_matrices, matrix_document, matrix_value

FILES = {
    "base/Dockerfile": "FROM scratch\n",
    "left/Dockerfile": "FROM shop/base\n",
    "right/Dockerfile": "FROM shop/base\n",
    "top/Dockerfile": "FROM shop/left\nCOPY --from=shop/right / /\n",
    "tool/Dockerfile": "FROM scratch\n",
    "extra/Dockerfile": "FROM shop/tool\n",
    "lone/Dockerfile": "FROM scratch\n",
}


def planned(graph, names):
    return BuildPlan(
        graph=graph,
        work=tuple(
            Work(
                image=name,
                action="build" if name in names else "reuse",
                reasons=({"code": "MISSING", "known": False},) if name in names else (),
                digest=None if name in names else "sha256:" + "0" * 64,
            )
            for name in graph.order
        ),
    )


def jobs(matrices):
    return [[(job.name, job.arguments) for job in matrix.jobs] for matrix in matrices]


def test_images_are_jobs_in_waves(project):
    graph = project(FILES)
    matrices = make_matrices(planned(graph, set(graph.images)), group="image")
    assert [[job.name for job in matrix.jobs] for matrix in matrices] == [
        ["base", "lone", "tool"],
        ["left", "right", "extra"],
        ["top"],
    ]
    assert [(matrix.name, matrix.flag, matrix.wave) for matrix in matrices] == [
        ("matrix", "any", 0),
        ("matrix_1", "any_1", 1),
        ("matrix_2", "any_2", 2),
    ]
    assert matrices[1].jobs[0].arguments == "--only left"


def test_what_is_reused_separates_nothing_and_orders_nothing(project):
    graph = project(FILES)
    assert jobs(make_matrices(planned(graph, {"left", "right", "extra"}), group="image")) == [
        [("left", "--only left"), ("right", "--only right"), ("extra", "--only extra")]
    ]


def test_images_that_need_each_other_are_one_job(project):
    graph = project(FILES)
    assert jobs(make_matrices(planned(graph, set(graph.images)), group="component")) == [
        [
            ("base and 3 more", "--only top"),
            ("lone", "--only lone"),
            ("tool and 1 more", "--only extra"),
        ]
    ]


def test_what_stands_on_an_opaque_image_is_built_in_its_job(project):
    opaque = FILES | {"base/Dockerfile": "# syntax=odd/frontend\nFROM scratch\n"}
    graph = project(opaque)
    assert jobs(make_matrices(planned(graph, set(graph.images)), group="image")) == [
        [("base and 3 more", "--only top"), ("lone", "--only lone"), ("tool", "--only tool")],
        [("extra", "--only extra")],
    ]


def test_forced_images_are_forced_in_their_own_job_only(project):
    graph = project(FILES)
    matrices = make_matrices(planned(graph, {"tool", "extra"}), group="image", force=["tool"])
    assert jobs(matrices) == [
        [("tool", "--only tool --force tool")],
        [("extra", "--only extra")],
    ]
    (matrix,) = make_matrices(planned(graph, {"tool", "extra"}), group="component", force=["tool"])
    assert matrix.jobs[0].arguments == "--only extra --force tool"


@pytest.mark.parametrize("system", ["github", "azure"])
def test_nothing_to_build_gives_no_matrix_rather_than_an_empty_one(project, system):
    matrices = make_matrices(planned(project(FILES), set()), group="image")
    assert matrices == ()
    document = matrix_document(matrices, system=system, group="image")
    assert (document["any"], document["matrices"]) == (False, [])


def test_more_jobs_than_a_matrix_may_have_are_split(project):
    graph = project({f"i{number:03}/Dockerfile": "FROM scratch\n" for number in range(300)})
    matrices = make_matrices(planned(graph, set(graph.images)), group="component")
    assert [len(matrix.jobs) for matrix in matrices] == [MOST_JOBS, 44]
    assert [matrix.name for matrix in matrices] == ["matrix", "matrix_1"]
    assert {matrix.wave for matrix in matrices} == {0}


def test_github_reads_a_list_and_azure_named_jobs(project):
    graph = project({"a/Dockerfile": "FROM scratch\n", "b/c/Dockerfile": "FROM scratch\n"})
    (matrix,) = make_matrices(planned(graph, set(graph.images)), group="image")
    assert matrix_value(matrix, "github") == {
        "include": [
            {"name": "a", "arguments": "--only a", "wave": 0},
            {"name": "b/c", "arguments": "--only b/c", "wave": 0},
        ]
    }
    assert matrix_value(matrix, "azure") == {
        "a": {"aksci_name": "a", "aksci_arguments": "--only a"},
        "b_c": {"aksci_name": "b/c", "aksci_arguments": "--only b/c"},
    }


def test_azure_names_are_plain_short_and_unique(project):
    names = ["a-b", "a.b", "a_b", "9", "x" * 120, "x" * 119 + "y"]
    files = {"Dockerfile": "FROM scratch\n"}
    toml = "\n".join(f'[images."{name}"]\ndockerfile = "Dockerfile"' for name in names)
    graph = project(files, toml)
    (matrix,) = make_matrices(planned(graph, set(graph.images)), group="image")
    value = matrix_value(matrix, "azure")
    assert len(value) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", name) for name in value)
    assert {"a_b", "image_9"} < set(value)


@given(
    st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11))),
    st.sets(st.integers(0, 11)),
    st.sets(st.integers(0, 11)),
    st.sampled_from(["image", "component"]),
)
def test_every_image_is_in_one_job_and_what_it_needs_is_in_it_or_in_an_earlier_matrix(
    pairs, build, opaque, group
):
    plan = _random_plan(pairs, build, opaque)
    matrices = make_matrices(plan, group=group)
    place = {
        name: (number, job.name)
        for number, matrix in enumerate(matrices)
        for job in matrix.jobs
        for name in job.images
    }
    assert sorted(place) == sorted(plan.to_build)
    for name in plan.to_build:
        for parent in plan.graph.parents[name] & set(plan.to_build):
            assert place[parent] == place[name] or place[parent][0] < place[name][0]
            if parent in plan.opaque:
                assert place[parent] == place[name]
    for matrix in matrices:
        assert 0 < len(matrix.jobs) <= MOST_JOBS
        for job in matrix.jobs:
            only = read_arguments(job.arguments.split(), OPTIONS).values.get("only", ())
            assert set(job.images) <= _needed(plan, only)
    json.dumps(matrix_document(matrices, system="azure", group=group))


def _needed(plan, names):
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting += plan.graph.parents[name]
    return found


def _random_plan(pairs, build, opaque):
    """A plan as the planner makes them: what is based on what is built, or opaque, is built."""
    from types import SimpleNamespace as Some

    names = [f"i{number:02}" for number in range(12)]
    parents = {
        name: frozenset(names[low] for low, high in pairs if low < high == number)
        for number, name in enumerate(names)
    }
    opaque = {names[number] for number in opaque}
    chosen = {names[number] for number in build} | opaque
    for name in names:
        if parents[name] & chosen:
            chosen.add(name)
    return Some(
        graph=Some(parents=parents),
        by_name={
            name: Some(inputs=Some(reusable=name not in opaque), reasons=()) for name in names
        },
        to_build=tuple(name for name in names if name in chosen),
        opaque=opaque,
    )
