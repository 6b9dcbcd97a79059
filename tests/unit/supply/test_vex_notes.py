"""VEX statements that hold for nothing that was found."""

from __future__ import annotations

import json

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.supply.scan.gate import evaluate
from aksci.supply.scan.knowledge import load_knowledge
from aksci.supply.scan.vex_notes import vex_notes

PACKAGE = "pkg:deb/debian/libssl3"
DIGEST = "sha256%3A" + "f" * 64


def statement(name="CVE-2024-5535", product=PACKAGE, status="not_affected"):
    return {
        "vulnerability": {"name": name},
        "products": [{"@id": product}],
        "status": status,
        **({"justification": "component_not_present"} if status == "not_affected" else {}),
    }


@pytest.fixture
def notes(report, ref, now, database, tmp_path):
    def run(*statements, platform="", **fields):
        report["Results"][0]["Vulnerabilities"][0] |= fields
        document = {
            "@context": "https://openvex.dev/ns/v0.2.0",
            "author": "kim",
            "timestamp": "2026-11-01T00:00:00Z",
            "statements": list(statements),
        }
        (tmp_path / "a.vex").write_text(json.dumps(document))
        policy = ScanConfig(vex=("a.vex",))
        verdict = evaluate(
            report,
            policy=policy,
            ref=ref,
            now=now,
            database=database,
            platform=platform,
            knowledge=load_knowledge(policy, tmp_path),
        )
        return vex_notes(policy, tmp_path, [verdict])

    return run


@pytest.mark.parametrize("severity", ["CRITICAL", "LOW"])
def test_one_that_holds_is_not_told_be_it_needed_or_not(notes, severity):
    assert notes(statement(), Severity=severity) == []


def test_one_that_misses_by_its_product_says_where_the_finding_is(notes):
    assert notes(statement(product="pkg:deb/debian/openssl")) == [
        (
            "a.vex, statement 1: its product pkg:deb/debian/openssl is not where that was found: "
            "pkg:deb/debian/libssl3@3.0.11-1~deb12u1?arch=amd64"
        )
    ]


@pytest.mark.parametrize("name", ["cve-2024-5535", "GHSA-462w-v97r-4m45"])
def test_one_that_misses_by_its_name_says_what_the_scanner_calls_it(notes, name):
    found = notes(statement(name), VendorIDs=["GHSA-462w-v97r-4m45"])
    assert found == [f"a.vex, statement 1: the scanner calls {name} CVE-2024-5535"]


def test_those_about_nothing_are_one_line_a_document(notes):
    names = [f"CVE-2020-000{number}" for number in range(5)]
    assert notes(*map(statement, names), statement()) == [
        (
            "a.vex: no image has what it is about: CVE-2020-0000, CVE-2020-0001, CVE-2020-0002 and "
            "2 more"
        )
    ]


def test_a_catalogue_is_told_only_if_nothing_of_it_holds(notes):
    others = [statement(f"CVE-2020-{number}") for number in range(1000, 1030)]
    assert notes(*others, statement()) == []
    assert len(notes(*others)) == 1


@pytest.mark.parametrize("status", ["affected", "under_investigation"])
def test_what_accepts_nothing_misses_nothing(notes, status):
    assert notes(statement("CVE-2020-0001", status=status)) == []


def test_what_is_fixed_is_found_no_longer(notes):
    assert notes(statement("CVE-2020-0001", f"{PACKAGE}@4", status="fixed")) == []


def test_a_manifest_of_an_index_may_be_the_one_that_is_meant(notes):
    product = f"pkg:oci/catalog@{DIGEST}"
    assert len(notes(statement(product=product))) == 1
    assert notes(statement(product=product), platform="linux/amd64") == []
