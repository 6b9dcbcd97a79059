"""The JSON document is what its committed schema says, and of bounded size."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator, ValidationError

from aksci.core.git import Tracked
from aksci.core.work_folder import WorkFolder
from aksci.report.cascade_formats import cascade_document, cascade_json, save_cascade_report

SCHEMA = json.loads(files("aksci.report").joinpath("schemas/cascade.schema.json").read_text())


def check(document):
    Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(document)))


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_each_report_is_what_the_schema_says(each):
    check(cascade_document(each[1]))


def test_a_document_with_a_key_too_many_or_too_few_is_not_what_the_schema_says(reports):
    document = cascade_document(reports["mixed"]())
    for wrong in (
        {**document, "more": 1},
        {name: value for name, value in document.items() if name != "images"},
        {**document, "images": [{**document["images"][0], "action": "built"}]},
        {**document, "schema": 2},
    ):
        with pytest.raises(ValidationError):
            check(wrong)


def test_edges_that_are_as_recorded_are_only_counted(reports):
    drift = cascade_document(reports["mixed"]())["drift"]
    assert drift["counts"] == {"drifted": 3, "batched": 1, "same": 1}
    assert [one["state"] for one in drift["listed"]] == ["drifted"] * 3 + ["batched"]
    assert drift["more"] == 0


def test_findings_are_counted_by_severity(reports):
    findings = cascade_document(reports["mixed"]())["findings"]
    assert findings["counts"] == {"fixed": {"HIGH": 2, "CRITICAL": 1}, "introduced": {"LOW": 1}}
    assert findings["listed"][0]["title"] == "Overflow"


def test_what_was_done_with_each_image_is_told_with_its_reasons(reports):
    base = cascade_document(reports["mixed"]())["images"][0]
    assert base["action"] == "rebuilt"
    assert base["reasons"][0]["code"] == "BASE_DRIFT"
    assert base["seconds"] == {"make": 6.0, "gate": 2.0}


def test_lists_and_texts_that_others_make_long_are_cut_and_counted(reports):
    large = reports["large"](2500)
    finding = replace(large.findings[0], title="x" * 10_000)
    document = cascade_document(replace(large, findings=(finding, *large.findings[1:])))
    assert len(document["findings"]["listed"]) == 2000
    assert document["findings"]["more"] == 500
    assert document["findings"]["counts"]["fixed"] == {"HIGH": 2500}
    assert len(document["findings"]["listed"][0]["title"]) == 1000
    assert document["tags"]["more"] == 500
    assert len(document["images"]) == 2501, "none of the project's own images is left out"


def test_half_of_a_surrogate_pair_is_no_trouble(reports):
    text = cascade_json(reports["hostile"]("\ud800"))
    check(json.loads(text))
    text.encode()


def test_the_file_is_the_document_and_replaces_the_last_one(reports, tmp_path):
    work = tmp_path / ".aksci"
    first = save_cascade_report(WorkFolder(work, tracked=Tracked), reports["plan"]())
    assert first == work / "cascade.json"
    save_cascade_report(WorkFolder(work, tracked=Tracked), reports["mixed"]())
    document = json.loads(first.read_text())
    assert document == cascade_document(reports["mixed"]())
    assert [path.name for path in work.iterdir()] == ["cascade.json"], "no draft is left"
