from __future__ import annotations

import time
from dataclasses import replace

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.core.errors import GateError
from aksci.report.verdict_report import verdicts_markdown, verdicts_table
from aksci.supply.scan.base_layers import BaseLayers
from aksci.supply.scan.gate import evaluate, require_pass
from aksci.supply.scan.trivy import _read
from aksci.supply.scan.trivy_report import read_report
from aksci.supply.scan.verdict import Verdict

BASE = "sha256:" + "b" * 64
OWN = "sha256:" + "d" * 64


def at(report, layer):
    entry = report["Results"][0]["Vulnerabilities"][0]
    entry["Layer"] = {"DiffID": layer} if layer else {}


@pytest.mark.parametrize(
    ("layers", "brought_by", "origin"),
    [
        ((BASE,), BASE, "base"),
        ((BASE,), OWN, "own"),
        ((BASE, OWN), OWN, "base"),
        ((BASE, "sha256:" + "e" * 64), BASE, "base"),
        ((OWN, BASE), BASE, "own"),  # it holds the layer, but this image is not built on it
        ((), BASE, "own"),
        ((BASE,), "", ""),
        (None, BASE, ""),
    ],
)
def test_a_finding_is_the_bases_where_the_shared_lowest_layers_brought_it(
    report, ref, layers, brought_by, origin
):
    at(report, brought_by)
    base = BaseLayers(digest="sha256:" + "f" * 64, layers=layers)
    (finding,) = read_report(report, ref, base=base).findings
    assert finding.origin == origin


def test_without_a_base_nobody_knows_whose_a_finding_is(report, ref):
    assert read_report(report, ref).findings[0].origin == ""


def test_the_gate_says_how_many_findings_come_from_the_base(report, ref, now, database):
    extra = report["Results"][0]["Vulnerabilities"][0] | {"Layer": {"DiffID": OWN}}
    report["Results"][0]["Vulnerabilities"].append(extra)
    base = BaseLayers(digest="sha256:" + "f" * 64, layers=(BASE,))
    policy = ScanConfig()
    verdict = evaluate(report, policy=policy, ref=ref, now=now, database=database, base=base)
    with pytest.raises(GateError) as caught:
        require_pass([verdict], policy=policy, now=now)
    assert caught.value.hint.startswith(
        "1 of them comes from the base image: nox -s cascade takes a newer one; reb"
    )
    based = replace(verdict, failing=verdict.failing[:1])
    with pytest.raises(GateError) as caught:
        require_pass([based], policy=policy, now=now)
    assert caught.value.hint.startswith(
        "1 of them comes from the base image: nox -s cascade takes a newer one; or"
    )


def test_a_misconfiguration_fails_by_its_own_severities_and_passed_checks_are_none(
    report, ref, now, database
):
    report["Results"][0]["Vulnerabilities"] = None
    fails = {"ID": "DS-0002", "Severity": "HIGH", "Status": "FAIL", "Title": "root"}
    fails["CauseMetadata"] = {"StartLine": 2}
    report["Results"].append(
        {
            "Target": str(ref),
            "Class": "config",
            "Misconfigurations": [fails, fails | {"Status": "PASS"}],
        }
    )

    def judge(**settings):
        policy = ScanConfig(**settings)
        return evaluate(report, policy=policy, ref=ref, now=now, database=database)

    assert judge().passed
    assert len(judge().tolerated) == 1
    (finding,) = judge(misconfigurations=("HIGH",)).failing
    assert (finding.kind, finding.package, finding.installed) == (
        "misconfiguration",
        "image configuration",
        "line 2",
    )
    assert judge(misconfigurations=("CRITICAL",)).passed


def test_everything_found_is_failing_ignored_or_tolerated(report, ref, now, database):
    entry = report["Results"][0]["Vulnerabilities"][0]
    report["Results"][0]["Vulnerabilities"] = [
        entry | {"VulnerabilityID": f"CVE-2024-{n}", "Severity": severity}
        for n, severity in enumerate(("CRITICAL", "LOW", "UNKNOWN", "HIGH"), 1000)
    ]
    verdict = evaluate(report, policy=ScanConfig(), ref=ref, now=now, database=database)
    assert len(verdict.failing) == 2
    assert len(verdict.tolerated) == 2
    assert sum(verdict.counts.values()) == len(verdict.findings) == 4


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://x", None, 7])
def test_only_an_https_address_is_a_findings_page(report, ref, url):
    report["Results"][0]["Vulnerabilities"][0]["PrimaryURL"] = url
    assert read_report(report, ref).findings[0].url == ""


@pytest.mark.parametrize("content", [None, b"", b'{"SchemaVersion": 2, "Resu', b"[]", b"\xff"])
def test_no_report_a_truncated_one_and_another_thing_never_pass(tmp_path, ref, content):
    path = tmp_path / "report.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GateError, match="does not pass"):
        _read(path, ref)


def test_a_report_of_50_mb_is_judged_whole(report, ref, now, database, tmp_path):
    import json

    path = tmp_path / "report.json"
    entry = report["Results"][0]["Vulnerabilities"][0] | {"Description": "x" * 10_000}
    report["Results"][0]["Vulnerabilities"] = [
        entry | {"VulnerabilityID": f"CVE-2024-{n}"} for n in range(1000, 6000)
    ]
    path.write_text(json.dumps(report))
    assert path.stat().st_size > 50_000_000
    start = time.monotonic()
    verdict = evaluate(_read(path, ref), policy=ScanConfig(), ref=ref, now=now, database=database)
    assert len(verdict.failing) == 5000
    assert time.monotonic() - start < 20


def test_licences_are_counted_by_package_and_shown_as_text(report, ref, now, database):
    packages = [
        {"Name": "a", "Licenses": ["MIT", "MIT", "GPL-2.0-only"]},
        {"Name": "b", "Licenses": ["MIT", "##vso[task.complete]|<b>"]},
        {"Name": "c", "Licenses": None},
    ]
    report["Results"][0]["Packages"] = packages
    verdict = evaluate(report, policy=ScanConfig(), ref=ref, now=now, database=database)
    assert verdict.licences == {"# #vso[task.complete]|<b>": 1, "GPL-2.0-only": 1, "MIT": 2}
    assert "licences: # #vso[task.complete]|<b>, GPL-2.0-only, MIT" in verdicts_table(
        {"web": verdict}
    )
    markdown = verdicts_markdown({"web": verdict})
    assert "| MIT | web 2 |" in markdown
    assert "<b>" not in markdown
    with pytest.raises(ValueError, match="licences"):
        Verdict.load(verdict.document() | {"licences": {"MIT": 0}}, ref)
