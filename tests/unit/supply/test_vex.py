from __future__ import annotations

import json

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.oci.references import ImageRef
from aksci.supply.scan.gate import evaluate
from aksci.supply.scan.knowledge import Knowledge, KnowledgeFile
from aksci.supply.scan.vex import read_vex

PACKAGE = "pkg:deb/debian/libssl3"
EXACT = PACKAGE + "@3.0.11-1~deb12u1"
DIGEST = "sha256%3A" + "a" * 64
IMAGE = f"pkg:oci/catalog@{DIGEST}"


def statement(*products, status="not_affected", **more):
    reason = {"justification": "vulnerable_code_not_in_execute_path"}
    return {
        "vulnerability": {"name": "CVE-2024-5535"},
        "products": list(products) or [{"@id": PACKAGE}],
        "status": status,
        **(reason if status == "not_affected" else {}),
        **more,
    }


def document(*statements, **more):
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex/1",
        "author": "kim",
        "timestamp": "2026-11-01T00:00:00Z",
        "version": 1,
        "statements": list(statements),
        **more,
    }


@pytest.fixture
def judge(report, ref, now, database, tmp_path):
    def run(*documents, index=None, platform=""):
        sources = [
            KnowledgeFile(key="scan.vex", path=tmp_path, content=json.dumps(one).encode())
            for one in documents
        ]
        return evaluate(
            report,
            policy=ScanConfig(),
            ref=ref,
            now=now,
            database=database,
            knowledge=Knowledge(vex=tuple(sources)),
            index=index,
            platform=platform,
        )

    return run


def test_what_is_not_affected_is_ignored_by_its_author_with_the_justification(judge):
    verdict = judge(document(statement(impact_statement="we do not use it")))
    assert verdict.passed
    (entry,) = verdict.ignored
    assert (entry.owner, entry.reason, entry.expires) == (
        "kim",
        "vulnerable_code_not_in_execute_path: we do not use it",
        "",
    )


@pytest.mark.parametrize(
    ("product", "holds"),
    [
        ({"@id": PACKAGE}, True),
        ({"@id": EXACT}, True),
        ({"@id": EXACT + "?arch=amd64"}, True),
        ({"@id": EXACT + "?arch=arm64"}, False),
        ({"@id": PACKAGE + "@3.0.12"}, False),
        ({"@id": "pkg:deb/debian/openssl"}, False),
        ({"@id": "pkg:deb/ubuntu/libssl3"}, False),
        ({"@id": "pkg:rpm/debian/libssl3"}, False),
        ({"@id": "https://example.com/x", "identifiers": {"purl": PACKAGE}}, True),
        ({"@id": IMAGE}, True),
        ({"@id": f"{IMAGE}?repository_url=localhost:5000/shop/catalog"}, True),
        ({"@id": f"{IMAGE}?repository_url=localhost:5000/other/catalog"}, False),
        ({"@id": "pkg:oci/catalog"}, True),
        ({"@id": "pkg:oci/orders"}, False),
        ({"@id": "pkg:oci/catalog?arch=arm64"}, False),
        ({"@id": "pkg:oci/catalog?arch=amd64"}, False),  # nobody says which this one is
        ({"@id": "pkg:oci/catalog?tag=1.0"}, False),
        ({"@id": f"{IMAGE}?arch=amd64&tag=1.0"}, True),
        ({"@id": "pkg:oci/catalog@sha256%3A" + "b" * 64}, False),
        ({"@id": IMAGE, "subcomponents": [{"@id": PACKAGE}]}, True),
        ({"@id": IMAGE, "subcomponents": [{"@id": "pkg:pypi/requests"}]}, False),
        ({"@id": "pkg:generic/app", "subcomponents": [{"@id": PACKAGE}]}, False),
    ],
)
def test_a_statement_holds_for_its_product_and_for_nothing_else(judge, product, holds):
    assert judge(document(statement(product))).passed is holds


def test_a_statement_on_an_index_holds_for_its_platforms(judge, ref):
    index = ImageRef(ref.registry, ref.repository, "sha256:" + "e" * 64)
    product = {"@id": "pkg:oci/catalog@sha256%3A" + "e" * 64}
    assert not judge(document(statement(product))).passed
    assert judge(document(statement(product)), index=index).passed


def test_a_statement_on_one_architecture_of_an_index_holds_for_no_other(judge, ref):
    index = ImageRef(ref.registry, ref.repository, "sha256:" + "e" * 64)
    for name in ("pkg:oci/catalog", "pkg:oci/catalog@sha256%3A" + "e" * 64):
        only = document(statement({"@id": f"{name}?arch=arm64"}))
        assert judge(only, index=index, platform="linux/arm64/v8").passed
        assert not judge(only, index=index, platform="linux/amd64").passed


def test_an_alias_names_the_vulnerability_and_another_name_does_not(judge):
    names = {"vulnerability": {"name": "GHSA-x", "aliases": ["CVE-2024-5535"]}}
    assert judge(document(statement(**names))).passed
    assert not judge(document(statement(vulnerability={"name": "CVE-2024-553"}))).passed


@pytest.mark.parametrize("status", ["affected", "under_investigation"])
def test_what_is_affected_or_not_yet_known_still_fails(judge, status):
    assert not judge(document(statement(status=status))).passed


def test_the_latest_statement_counts_wherever_it_stands(judge):
    late = document(statement(status="affected", timestamp="2026-11-05T00:00:00Z"))
    early = document(statement(timestamp="2026-11-04T00:00:00+00:00"))
    assert not judge(late, early).passed
    assert not judge(early, late).passed
    again = document(statement(timestamp="2026-11-06T00:00:00Z"))
    assert judge(again, late, early).passed


def test_fixed_needs_a_version_because_an_older_one_is_not(judge):
    assert judge(document(statement({"@id": EXACT}, status="fixed"))).passed
    with pytest.raises(ValueError, match="needs a version"):
        read_vex(json.dumps(document(statement(status="fixed"))).encode())


def test_a_secret_is_no_matter_of_vex(judge, report):
    report["Results"][0]["Vulnerabilities"] = []
    secret = {"RuleID": "CVE-2024-5535", "Severity": "HIGH"}
    report["Results"].append({"Target": "x", "Class": "secret", "Secrets": [secret]})
    assert not judge(document(statement({"@id": IMAGE}))).passed


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        ([], "@context"),
        ({"@context": "https://openvex.dev/ns/v0.3.0"}, "@context"),
        ({"statements": []}, "no statements"),
        ({"author": None}, "should be a text"),
        ({"timestamp": "yesterday"}, "statement 1"),
        ({"timestamp": "2026-11-01T00:00:00"}, "no time zone"),
        ({"statements": [statement() | {"products": []}]}, "names no product"),
        ({"statements": [{"vulnerability": {"name": "x"}, "status": "fixed"}]}, "products"),
        ({"statements": [statement({"@id": "pkg:deb/debian/*"})]}, "wildcard"),
        ({"statements": [statement({"@id": "pkg:deb"})]}, "type"),
        ({"statements": [statement({"@id": "everything"})]}, "statement 1"),
        ({"statements": [statement(status="fine")]}, "unknown status"),
        ({"statements": [statement(justification=None)]}, "needs a justification"),
        ({"statements": [statement(justification="because")]}, "unknown justification"),
        ({"statements": [statement() | {"vulnerability": "CVE-2024-5535"}]}, "statement 1"),
    ],
)
def test_a_damaged_document_is_refused_with_what_is_wrong(damaged, words):
    whole = damaged if isinstance(damaged, list) else document(statement()) | damaged
    with pytest.raises(ValueError, match=words):
        read_vex(json.dumps(whole).encode())


def test_hostile_text_of_an_author_is_made_harmless(judge):
    verdict = judge(document(statement(), author="kim\n##vso[task.x]\x1b[31m"))
    assert "\n" not in verdict.ignored[0].owner
    assert "##vso[" not in verdict.ignored[0].owner
