from __future__ import annotations

import gzip
import json

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.core.errors import ConfigError
from aksci.supply.scan.gate import evaluate, hash_policy
from aksci.supply.scan.knowledge import load_knowledge

KEV = {"title": "catalogue", "vulnerabilities": [{"cveID": "CVE-2024-5535", "vendorProject": "x"}]}
EPSS = (
    "#model_version:v2025.03.14,score_date:2026-11-23T00:00:00+0000\n"
    "cve,epss,percentile\nCVE-2024-5535,0.91,0.99\nCVE-1999-0001,0.01,0.5\n"
)
LAX = {"severities": ()}


@pytest.fixture
def judge(report, ref, now, database, tmp_path):
    def run(**settings):
        policy = ScanConfig(**{**LAX, **settings})
        knowledge = load_knowledge(policy, tmp_path)
        return evaluate(
            report, policy=policy, ref=ref, now=now, database=database, knowledge=knowledge
        )

    return run


def vulnerability(report):
    return report["Results"][0]["Vulnerabilities"][0]


def test_an_exploited_vulnerability_fails_whatever_its_severity_and_without_a_fix(
    judge, report, tmp_path
):
    (tmp_path / "kev.json").write_text(json.dumps(KEV))
    vulnerability(report).update(Severity="LOW", FixedVersion="")
    assert judge().passed
    (finding,) = judge(kev="kev.json").failing
    assert finding.kev


@pytest.mark.parametrize("packed", [False, True])
def test_a_likely_vulnerability_fails_whatever_its_severity(judge, report, tmp_path, packed):
    content = gzip.compress(EPSS.encode()) if packed else EPSS.encode()
    (tmp_path / "epss.csv").write_bytes(content)
    vulnerability(report)["Severity"] = "LOW"
    assert judge(epss="epss.csv").passed
    assert judge(epss="epss.csv").tolerated[0].epss == 0.91
    assert not judge(epss="epss.csv", epss_at_least=0.91).passed
    assert judge(epss="epss.csv", epss_at_least=0.92).passed
    vulnerability(report)["FixedVersion"] = ""
    assert judge(epss="epss.csv", epss_at_least=0.91).passed


def test_exploited_findings_come_first_then_likely_ones_then_by_severity(judge, report, tmp_path):
    known = vulnerability(report) | {"Severity": "LOW"}
    names = {"CVE-2024-0001": "LOW", "CVE-2024-0002": "CRITICAL", "CVE-2024-0003": "HIGH"}
    others = [known | {"VulnerabilityID": k, "Severity": v} for k, v in names.items()]
    report["Results"][0]["Vulnerabilities"] = [*others, known]
    (tmp_path / "kev.json").write_text(json.dumps(KEV))
    (tmp_path / "epss.csv").write_text("cve,epss,percentile\nCVE-2024-0001,0.5,0.5\n")
    verdict = judge(
        kev="kev.json", epss="epss.csv", severities=("CRITICAL", "HIGH", "MEDIUM", "LOW")
    )
    order = ["CVE-2024-5535", "CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003"]
    assert [finding.id for finding in verdict.failing] == order


@pytest.mark.parametrize(
    ("setting", "content", "words"),
    [
        ("kev", b"{", "can't be read"),
        ("kev", b"[]", "can't be read"),
        ("kev", b"[" * 100_000, "can't be read"),
        ("kev", b'{"vulnerabilities": []}', "lists no vulnerability"),
        ("kev", b'{"vulnerabilities": [{"cveID": "*"}]}', "no CVE identifier"),
        ("epss", b"", "no columns"),
        ("epss", b"<html>busy</html>", "no columns"),
        ("epss", b"cve,epss\n", "no scores"),
        ("epss", b"cve,epss\nCVE-2024-5535,2\n", "no probability"),
        ("epss", b"cve,epss\nCVE-2024-5535,nan\n", "no probability"),
        ("epss", b"cve,epss\nCVE-2024-5535\n", "can't be read"),
        ("epss", gzip.compress(EPSS.encode())[:-9], "can't be read"),
        ("epss", b"\xff\xfe", "can't be read"),
        ("vex", b"{}", "@context"),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_judged(judge, tmp_path, setting, content, words):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        judge(**{setting: ("file",) if setting == "vex" else "file"})
    assert str(tmp_path / "file") in caught.value.message
    assert f"scan.{setting}" in caught.value.message


def test_a_missing_file_and_one_outside_the_project_are_refused(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "kev.json").write_text(json.dumps(KEV))
    (root / "link.json").symlink_to(tmp_path / "kev.json")
    with pytest.raises(ConfigError, match=r"gone.json \(scan.kev\) can't be read: No such file"):
        load_knowledge(ScanConfig(kev="gone.json"), root)
    with pytest.raises(ConfigError, match="leads out of the project"):
        load_knowledge(ScanConfig(kev="link.json"), root)
    with pytest.raises(ConfigError, match="no project folder"):
        load_knowledge(ScanConfig(kev="kev.json"), None)


def test_the_policy_hash_changes_with_the_content_of_a_file_and_not_with_its_name(tmp_path, now):
    (tmp_path / "a").write_text(json.dumps(KEV))
    (tmp_path / "b").write_text(json.dumps(KEV))
    (tmp_path / "c").write_text(json.dumps(KEV) + " ")
    first, same, other = (
        hash_policy(policy, now, load_knowledge(policy, tmp_path))
        for policy in (ScanConfig(kev="a"), ScanConfig(kev="b"), ScanConfig(kev="c"))
    )
    assert first == same != other
    assert first != hash_policy(ScanConfig(), now)
