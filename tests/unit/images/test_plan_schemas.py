"""Machine output is what its committed JSON Schemas say."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from aksci.images.build_plan import BuildPlan, Work, plan_document
from aksci.images.graph import graph_document
from aksci.images.plan_compare import compare_plans, load_plan, save_plan
from aksci.images.plan_matrix import make_matrices, matrix_document

DIGEST = "sha256:" + "1" * 64
MADE = {
    "project": "shop",
    "environment": "local",
    "commit": "",
    "created": "2026-11-23T12:00:00Z",
    "only": [],
    "withDependents": False,
}
REASONS = [
    {
        "code": "SOURCE",
        "files": [{"path": "a", "change": "mode"}],
        "count": 1,
        "old": "1",
        "new": "2",
    },
    {"code": "SOURCE", "files": [], "count": None, "old": "1", "new": "2"},
    {
        "code": "DOCKERFILE",
        "lines": [[1, 2]],
        "instructions": [
            {"keyword": "RUN", "change": "changed", "lines": [1, 2]},
            {"keyword": "RUN", "change": "removed", "lines": None},
        ],
        "old": "1",
        "new": "2",
    },
    {"code": "ARG", "name": "platforms", "old": None, "new": ["linux/amd64"]},
    {"code": "BASE_DRIFT", "reference": "r", "edge": "stage", "old": "1", "new": "2"},
    {"code": "PARENT", "image": "a", "edge": "copy", "waiting": True},
    {
        "code": "PARENT",
        "image": "a",
        "reference": "r",
        "edge": "copy",
        "old": DIGEST,
        "new": DIGEST,
    },
    {"code": "MISSING", "known": False},
    {"code": "PREVIOUSLY_FAILED", "error": "", "run": "1"},
    {"code": "FORCED"},
    {"code": "KEY_SCHEMA", "old": 2, "new": 3},
    {"code": "OPAQUE", "why": "odd"},
    {"code": "UNSIGNED", "digest": "sha256:" + "0" * 64},
]


def schemas():
    folder = files("aksci.report") / "schemas"
    return {one.name: json.loads(one.read_text()) for one in folder.iterdir()}


@pytest.fixture
def check():
    known = schemas()
    registry = Registry().with_resources(
        (name, Resource.from_contents(schema)) for name, schema in known.items()
    )

    def validate(name, document):
        schema = known[f"{name}.schema.json"]
        Draft202012Validator(schema, registry=registry).validate(json.loads(json.dumps(document)))

    return validate


@pytest.fixture
def plan(project):
    graph = project(
        {
            "base/Dockerfile": "FROM debian:12\n",
            "odd/Dockerfile": "# syntax=odd/frontend\nFROM x\n",
            "web/Dockerfile": "ARG V\nFROM shop/base AS b\nFROM scratch\nCOPY --from=b / /\n",
        }
    )
    waiting = {"code": "PARENT", "image": "base", "edge": "stage", "waiting": True}
    own = tuple(one for one in REASONS if not one.get("waiting"))
    return BuildPlan(
        graph=graph,
        work=(
            Work(image="base", action="build", reasons=own, digest=None),
            Work(image="odd", action="reuse", reasons=(), digest=DIGEST),
            Work(image="web", action="build", reasons=(waiting,), digest=None),
        ),
    )


@pytest.mark.parametrize("name", sorted(schemas()))
def test_each_schema_is_one(name):
    Draft202012Validator.check_schema(schemas()[name])


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason["code"])
def test_each_reason_is_one_and_no_other(check, reason):
    check("reason", reason)
    with pytest.raises(ValidationError):
        check("reason", {**reason, "more": 1})
    with pytest.raises(ValidationError):
        check("reason", {**reason, "code": "OTHER"})


def test_plan_graph_and_comparison_are_what_their_schemas_say(check, plan, tmp_path):
    document = plan_document(plan)
    check("plan", document)
    check("graph", graph_document(plan.graph))
    save_plan(tmp_path / "plan.json", document, MADE)
    kept = load_plan(tmp_path / "plan.json", MADE)
    check("plan", kept)
    other = {**document, "work": document["work"][1:]}
    check("plan-comparison", compare_plans(kept, other))


def test_the_graph_lists_every_note_of_an_importer(check, project):
    services = "".join(
        f"  s{at}:\n    build: {{context: ., target: t{at}, network: host}}\n" for at in range(5)
    )
    files = {
        "compose.yaml": f"services:\n{services}",
        "Dockerfile": "".join(f"FROM scratch AS t{at}\n" for at in range(5)),
    }
    graph = project(files, '[discover]\ncompose = ["compose.yaml"]\n')
    document = graph_document(graph)
    check("graph", document)
    assert document["notes"] == [
        {
            "file": "compose.yaml",
            "place": f"services.s{at}.build",
            "text": "not taken over: network",
        }
        for at in range(5)
    ]
    check("plan", plan_document(BuildPlan(graph=graph, work=())))


def test_the_plan_is_the_graph_and_its_work_as_the_design_promises(plan):
    """Each work has more keys than docs/plan.md promises; none of those is gone or moved."""
    document = plan_document(plan)
    work = document.pop("work")
    assert document == graph_document(plan.graph)
    assert list(document) == ["schema", "images", "edges", "external"]
    assert [list(one)[:3] for one in work] == [["image", "action", "reasons"]] * 3
    assert all(next(iter(reason)) == "code" for one in work for reason in one["reasons"])


@pytest.mark.parametrize("system", ["github", "azure"])
@pytest.mark.parametrize("group", ["image", "component"])
def test_matrices_are_what_their_schema_says(check, plan, system, group):
    matrices = make_matrices(plan, group=group)
    check("matrix", matrix_document(matrices, system=system, group=group))
    check("matrix", matrix_document((), system=system, group=group))


def test_a_plan_that_contradicts_itself_is_refused(check, plan):
    document = plan_document(plan)
    document["work"][0]["reasons"] = []
    with pytest.raises(ValidationError):
        check("plan", document)
