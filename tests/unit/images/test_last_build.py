"""Why an image that is up to date was built: by the records of this machine, or the registry's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from aksci.cli.edge import write_run_record
from aksci.core.git import Tracked
from aksci.core.work_folder import WorkFolder
from aksci.images.build.build_record import (
    Build,
    BuiltImage,
    recorded_reasons,
    write_build_record,
)
from aksci.images.build_plan import plan_build
from aksci.images.explain import explain_image
from aksci.images.keys import in_tag
from aksci.images.lineage import write_lineage
from aksci.images.lookup import Lookup
from aksci.images.reasons import files_of, lineage_of
from aksci.oci.references import ImageRef
from aksci.report.why_report import why_markdown, why_text
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import MANIFEST

FILES = {
    "base/Dockerfile": "FROM scratch\nCOPY one /\n",
    "base/one": "1",
    "web/Dockerfile": "FROM shop/base:latest\nCOPY page /\n",
    "web/page": "1",
}
BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)
DIGEST = "sha256:" + "2" * 64
ASKED = ({"code": "FORCED"},)


@pytest.fixture
def shop(project):
    """Images that are built, as a build leaves them in the registry, and explained."""
    registry, runs = MemoryRegistry("r:1"), []

    def build(forced="", **changed):
        graph = project(
            {**FILES, **{name.replace("_", "/"): text for name, text in changed.items()}}
        )
        lookup = Lookup(graph=graph, registry=registry, bases=project.outside(str))
        runs.append(f"run-{len(runs) + 1}")
        done = {}
        for name in graph.order:
            inputs = lookup.inputs(name, built=done, identities=done)
            repository = graph.images[name].spec.repository
            salt = runs[-1] if name == forced else ""  # a build need not give the same bytes again
            content = json.dumps({"made of": inputs.key + salt}).encode()
            for tag in ("latest", in_tag(inputs.key)):
                done[name] = registry.put_manifest(repository, content, MANIFEST, tag=tag)
            write_lineage(
                registry,
                ImageRef(registry.host, repository, done[name]),
                lineage_of(graph, name, inputs, revision="abc", run=runs[-1]),
                provenance=None,
                now=BEGAN + timedelta(hours=len(runs)),
                files=files_of(inputs.image, lookup.hasher),
            )
        return graph, done

    def why(graph, name="web", **options):
        plan = plan_build(graph, registry=registry, bases=project.outside(str))
        document = explain_image(plan, name, registry, **options)
        _check(document)
        assert document["action"] == "reuse"
        return document

    return SimpleNamespace(build=build, why=why, registry=registry)


def _check(document):
    folder = files("aksci.report") / "schemas"
    known = {one.name: json.loads(one.read_text()) for one in folder.iterdir()}
    registry = Registry().with_resources(
        (name, Resource.from_contents(schema)) for name, schema in known.items()
    )
    Draft202012Validator(known["why.schema.json"], registry=registry).validate(
        json.loads(json.dumps(document))
    )


def test_a_machine_that_built_nothing_tells_it_down_to_the_first_cause(shop):
    _, before = shop.build()
    graph, after = shop.build(base_one="2")
    last = shop.why(graph)["lastBuild"]
    (reason,) = last["reasons"]
    assert (reason["code"], reason["image"]) == ("PARENT", "base")
    assert (reason["old"], reason["new"]) == (before["base"], after["base"])
    (cause,) = last["causes"]
    assert (cause["way"], cause["built"]["run"]) == (["base"], "run-2")
    assert cause["reasons"][0]["files"] == [{"path": "one", "change": "changed"}]
    text = why_text(shop.why(graph)).splitlines()
    assert text[0].endswith("built 2026-11-23T14:00:00Z of commit abc by run run-2.")
    assert text[1] == "It was built then, because:"
    assert text[2].startswith("  base, which it needs, is new (")
    assert text[3] == (
        "  web ← base, built 2026-11-23T14:00:00Z of commit abc by run run-2: "
        "files in its context changed: one"
    )
    assert "\n\nIt was built then, because:\n\n- base, which" in why_markdown(shop.why(graph))


def test_it_is_compared_with_the_build_right_before_it(shop):
    shop.build()
    shop.build(web_page="2")
    graph, _ = shop.build(web_page="2", base_one="2")
    assert [one["code"] for one in shop.why(graph)["lastBuild"]["reasons"]] == ["PARENT"]


def test_the_first_build_had_none_before_it(shop):
    graph, _ = shop.build()
    assert shop.why(graph)["lastBuild"] == {
        "reasons": [{"code": "MISSING", "known": False}],
        "causes": [],
    }


def test_a_run_that_saw_no_earlier_build_leaves_it_to_the_registry(shop):
    """What never came to ``push`` has no stable tag: its run had nothing to compare it with."""
    shop.build()
    graph, _ = shop.build(base_one="2")
    missing = ({"code": "MISSING", "known": False},)
    told = shop.why(graph, recorded=lambda *_: missing)["lastBuild"]["reasons"]
    assert [one["code"] for one in told] == ["PARENT"]


def test_what_its_run_recorded_comes_first(shop):
    shop.build()
    graph, done = shop.build(base_one="2")
    asked = []

    def recorded(*question):
        asked.append(question)
        return ASKED

    assert shop.why(graph, recorded=recorded)["lastBuild"]["reasons"] == [{"code": "FORCED"}]
    assert asked == [("run-2", "web", done["web"])]


def test_a_parent_that_was_built_again_by_force_says_so(shop):
    shop.build()
    graph, done = shop.build(forced="base")
    assert why_text(shop.why(graph)).splitlines()[3].endswith(": built again from the same inputs")
    of_base = {("run-2", "base", done["base"]): ASKED}
    last = shop.why(graph, recorded=lambda *question: of_base.get(question, ()))["lastBuild"]
    assert [one["reasons"] for one in last["causes"]] == [[{"code": "FORCED"}]]


def test_where_there_are_too_many_builds_to_look_through_it_is_not_made_up(shop):
    graph, _ = shop.build()
    for number in range(201):
        shop.registry.move_tag("shop/web", in_tag(str(number)), DIGEST)
    document = shop.why(graph)
    assert document["lastBuild"] is None
    assert why_text(document).splitlines()[1] == "Why it was built then is not known here."


def test_an_image_that_is_to_be_built_has_its_reasons_and_no_others(shop, project):
    shop.build()
    graph = project({**FILES, "web/page": "2"})
    plan = plan_build(graph, registry=shop.registry, bases=project.outside(str))
    document = explain_image(plan, "web", shop.registry)
    _check(document)
    assert (document["action"], document["lastBuild"]) == ("build", None)
    assert "It was built then" not in why_text(document)


# -- what runs of this machine have recorded --


@pytest.fixture
def known(tmp_path):
    return partial(recorded_reasons, WorkFolder(tmp_path, tracked=Tracked))


def record(work, run, reasons, *, session="build", **details):
    images = {"web": {"digest": DIGEST, "action": "built", "reasons": list(reasons)}}
    details = details or {"build": {"images": images}}
    return write_run_record(
        WorkFolder(work, tracked=Tracked),
        run_id=run,
        session=session,
        seconds=1,
        outcome="ok",
        details=details,
    )


def test_the_last_build_tells_it_though_the_run_failed_later(tmp_path, known):
    image = BuiltImage(
        name="web",
        ref=ImageRef("r:1", "shop/web", DIGEST),
        input_key="k",
        tags=(),
        action="built",
        reasons=ASKED,
        seconds=1,
    )
    write_build_record(
        WorkFolder(tmp_path, tracked=Tracked),
        Build(run_id="run-1", commit="", environment="local", images={"web": image}),
    )
    assert known("run-1", "web", DIGEST) == ASKED
    for other in (("run-2", "web", DIGEST), ("run-1", "api", DIGEST), ("run-1", "web", "sha256:0")):
        assert known(*other) == ()


def test_an_earlier_run_tells_it_and_of_a_run_that_built_twice_the_build_that_did(tmp_path, known):
    record(tmp_path, "run-1", ASKED)
    record(tmp_path, "run-1", ())  # nothing to do: the run went on in another job
    record(tmp_path, "run-10", ({"code": "OPAQUE", "why": "another run"},))
    assert known("run-1", "web", DIGEST) == ASKED


def test_a_cascade_tells_it_too(tmp_path, known):
    images = [{"image": "web", "action": "rebuild", "after": DIGEST, "reasons": list(ASKED)}]
    record(tmp_path, "run-1", (), session="cascade", cascade={"images": images})
    assert known("run-1", "web", DIGEST) == ASKED


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": "run-1", "images": 3}', "\udcff"])
def test_a_damaged_record_tells_nothing(tmp_path, known, content):
    record(tmp_path, "run-1", ASKED)
    for name in ("build.json", "cascade.json", "runs/run-1.2-build.json"):
        (tmp_path / name).write_text(content, errors="surrogateescape")
    assert known("run-1", "web", DIGEST) == ASKED


@pytest.mark.parametrize("run", ["", "../runs/run-1", "*", "run-", "\0"])
def test_what_somebody_calls_a_run_leads_to_no_other_file(tmp_path, known, run):
    record(tmp_path, "run-1", ASKED)
    assert known(run, "web", DIGEST) == ()
