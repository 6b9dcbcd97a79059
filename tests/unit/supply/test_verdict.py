"""A verdict's document is what its committed JSON Schema says, and nothing else is read."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from aksci.core.text import short_line
from aksci.oci.references import ImageRef
from aksci.supply.scan.verdict import SEVERITIES, Finding, IgnoredFinding, Verdict, rank

SCHEMA = json.loads(files("aksci.report").joinpath("schemas/verdict.schema.json").read_text())
REF = ImageRef("localhost:5000", "shop/catalog", "sha256:" + "a" * 64)
TEXT = st.text(max_size=5).map(short_line)
FINDINGS = st.builds(
    Finding,
    kind=st.sampled_from(["vulnerability", "secret", "misconfiguration"]),
    severity=st.sampled_from(SEVERITIES),
    origin=st.sampled_from(["", "base", "own"]),
    epss=st.none() | st.floats(0, 1),
    kev=st.booleans(),
    **dict.fromkeys(("id", "package", "installed", "fixed", "title", "layer", "platform"), TEXT),
    **dict.fromkeys(("purl", "url"), TEXT),
)
IGNORED = st.builds(
    IgnoredFinding,
    finding=FINDINGS,
    owner=TEXT,
    reason=TEXT,
    expires=st.just("") | st.dates().map(str),
)


@st.composite
def verdicts(draw):
    failing, tolerated = (tuple(draw(st.lists(FINDINGS, max_size=2))) for _ in range(2))
    ignored = tuple(draw(st.lists(IGNORED, max_size=2)))
    problems = tuple(draw(st.lists(TEXT, max_size=1)))
    everything = [*failing, *tolerated, *(entry.finding for entry in ignored)]
    return Verdict(
        image=REF,
        passed=not failing and not problems,
        problems=problems,
        notes=(),
        counts={name: sum(one.severity == name for one in everything) for name in SEVERITIES},
        failing=failing,
        ignored=ignored,
        tolerated=tolerated,
        licences=draw(st.dictionaries(TEXT, st.integers(1, 9), max_size=2)),
        reports=("sha256:" + "b" * 64,),
        scanner="trivy 0.72.0",
        database="public@x",
        test_database=draw(st.booleans()),
        policy="sha256:" + "c" * 64,
        base=draw(st.sampled_from(["", "sha256:" + "d" * 64])),
    )


def test_the_committed_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


@given(verdicts())
def test_every_verdict_is_by_its_schema_and_survives_json(verdict):
    document = json.loads(json.dumps(verdict.document()))
    Draft202012Validator(SCHEMA).validate(document)
    assert Verdict.load(document, REF) == verdict


@given(verdicts(), st.data())
def test_what_lacks_or_adds_or_mistypes_a_field_is_neither_read_nor_by_the_schema(verdict, data):
    document = json.loads(json.dumps(verdict.document()))
    name = data.draw(st.sampled_from(sorted(document)))
    change = data.draw(st.sampled_from(["lack", "mistype", "add"]))
    if change == "lack":
        del document[name]
    elif change == "mistype":
        document[name] = None
    else:
        document["more"] = 1
    with pytest.raises(ValueError, match=r"."):
        Verdict.load(document, REF)
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate(document)


@given(verdicts())
def test_a_verdict_that_hides_a_finding_or_a_failure_is_not_read(verdict):
    if verdict.failing:
        lie = replace(verdict, failing=(), passed=not verdict.problems)
        with pytest.raises(ValueError, match="contradicts itself"):
            Verdict.load(lie.document(), REF)
    with pytest.raises(ValueError, match="contradicts itself"):
        Verdict.load(replace(verdict, passed=not verdict.passed).document(), REF)


@given(st.lists(FINDINGS, max_size=5), st.randoms())
def test_findings_have_one_order(findings, random):
    shuffled = list(findings)
    random.shuffle(shuffled)
    first = sorted(map(rank, findings))
    assert sorted(map(rank, shuffled)) == first


HOSTILE = st.text(st.sampled_from("#[:vso \n\r\x1b\x00%0A\u2028\ud800m31x]"), max_size=12)


@given(st.text() | HOSTILE)
def test_cleaning_leaves_one_harmless_line_and_what_is_clean_alone(text):
    line = short_line(text)
    assert short_line(line) == line
    assert line.isprintable() or not set(line) & set("\n\r\x1b\x00\u2028\u2029")
    assert not {"##[", "##vso["} & {
        line.lower()[i : i + n] for i in range(len(line)) for n in (3, 6)
    }
    assert not line.startswith("::")
    line.encode()


@pytest.mark.parametrize("text", ["a\nb", "##vso[task.x]", "::error::x", "\x1b[31m", "x" * 10_001])
def test_a_stored_verdict_with_text_that_a_ci_system_would_obey_is_not_read(text):
    finding = dict.fromkeys(("id", "package", "installed", "fixed", "layer", "platform"), "")
    verdict = Verdict(
        image=REF,
        passed=False,
        problems=(),
        notes=(),
        counts=dict.fromkeys(SEVERITIES, 0) | {"HIGH": 1},
        failing=(Finding(kind="secret", severity="HIGH", title=text, **finding),),
        ignored=(),
        scanner="trivy 0.72.0",
        database="public@x",
        test_database=False,
        policy="sha256:" + "c" * 64,
    )
    with pytest.raises(ValueError, match="holds what no verdict of ours does") as caught:
        Verdict.load(json.loads(json.dumps(verdict.document())), REF)
    assert str(caught.value).isprintable()
    assert "##vso[" not in str(caught.value)
