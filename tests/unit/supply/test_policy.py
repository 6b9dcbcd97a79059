from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest

from aksci.config.supply_models import ScanConfig, ScanIgnore
from aksci.core.errors import GateError
from aksci.report.verdict_report import verdicts_document, verdicts_markdown, verdicts_table
from aksci.supply.scan.gate import evaluate, hash_policy, require_pass
from aksci.supply.scan.verdict import SEVERITIES, Verdict, merge_verdicts

DEFAULT = ScanConfig()


def ignore(
    identifier: str = "CVE-2024-5535", expires: str = "2026-12-24", package: str | None = None
):
    return ScanIgnore(
        id=identifier,
        owner="kim",
        reason="not reachable from outside",
        expires=dt.date.fromisoformat(expires),
        package=package,
    )


@pytest.fixture
def judge(report, ref, now, database):
    def run(policy: ScanConfig = DEFAULT, at: dt.datetime = now):
        return evaluate(report, policy=policy, ref=ref, now=at, database=database)

    return run


def vulnerability(report):
    return report["Results"][0]["Vulnerabilities"][0]


def test_a_critical_finding_with_a_fix_fails_the_image(judge):
    verdict = judge()
    assert not verdict.passed
    (finding,) = verdict.failing
    assert (finding.id, finding.package, finding.installed, finding.fixed, finding.severity) == (
        "CVE-2024-5535",
        "libssl3",
        "3.0.11-1~deb12u1",
        "3.0.15-1~deb12u1",
        "CRITICAL",
    )
    assert finding.layer == "sha256:" + "b" * 64
    assert verdict.counts == {"CRITICAL": 1, "HIGH": 0, "MEDIUM": 0, "LOW": 0, "UNKNOWN": 0}


def test_a_finding_without_a_fix_is_counted_and_fails_only_when_the_policy_says_so(judge, report):
    vulnerability(report)["FixedVersion"] = ""
    assert judge().passed
    assert judge().counts["CRITICAL"] == 1
    assert not judge(ScanConfig(fixed_only=False)).passed


def test_only_the_severities_of_the_policy_fail(judge, report):
    vulnerability(report)["Severity"] = "MEDIUM"
    assert judge().passed
    assert not judge(ScanConfig(severities=("MEDIUM",))).passed


@pytest.mark.parametrize("severity", ["", None, "SEVERE", 7])
def test_a_severity_that_nobody_knows_counts_as_unknown(judge, report, severity):
    vulnerability(report)["Severity"] = severity
    assert judge().counts["UNKNOWN"] == 1
    assert not judge(ScanConfig(severities=("UNKNOWN",))).passed


@pytest.mark.parametrize("empty", [None, []])
def test_null_and_empty_vulnerabilities_are_none(judge, report, empty):
    report["Results"][0]["Vulnerabilities"] = empty
    assert judge().passed


@pytest.mark.parametrize("results", [None, [], [{"Class": "secret"}, {"Class": "config"}]])
def test_an_image_without_system_and_packages_fails_or_is_noted_by_the_policy(
    judge, report, results
):
    report["Results"] = results
    del report["Metadata"]["OS"]
    assert not judge().passed
    assert "nothing in this image is known to the scanner" in judge().problems[0]
    noted = judge(ScanConfig(empty="note"))
    assert noted.passed
    assert noted.notes == judge().problems


@pytest.mark.parametrize("results", [None, [], [{"Class": "lang-pkgs"}]])
def test_a_system_whose_packages_were_not_scanned_fails(judge, report, results):
    report["Results"] = results
    assert judge().problems == ("the packages of debian 12.12 were not scanned",)


def test_a_system_that_lists_no_package_fails_or_is_noted_by_the_policy(judge, report):
    """Trivy 0.72 writes this of an image whose /var/lib/dpkg was removed."""
    report["Results"] = [
        {"Target": "x (debian 12.12)", "Class": "os-pkgs", "Type": "debian"},
        {"Class": "lang-pkgs", "Packages": [{"Name": "requests", "Version": "2.32.3"}]},
    ]
    assert judge().problems == ("debian 12.12 lists no package, so that none could be scanned",)
    noted = judge(ScanConfig(empty="note"))
    assert noted.passed
    assert noted.notes == judge().problems


def test_a_system_past_its_end_of_life_fails(judge, report):
    report["Results"][0]["Vulnerabilities"] = []
    report["Metadata"]["OS"]["EOSL"] = True
    assert not judge().passed
    assert "end of life" in judge().problems[0]
    noted = judge(ScanConfig(end_of_life=False))
    assert noted.passed
    assert "end of life" in noted.notes[0]


def test_a_secret_fails_unless_the_policy_allows_secrets(judge, report):
    vulnerability(report)["Severity"] = "LOW"
    secret = {"RuleID": "github-pat", "Severity": "CRITICAL", "Title": "token", "StartLine": 3}
    report["Results"].append({"Target": "/app/.env", "Class": "secret", "Secrets": [secret]})
    (finding,) = judge().failing
    assert (finding.kind, finding.package, finding.installed) == ("secret", "/app/.env", "line 3")
    assert judge(ScanConfig(secrets=False)).passed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ArtifactName": "localhost:5000/shop/other@sha256:" + "a" * 64}, "should be on"),
        ({"Metadata": {"RepoDigests": ["x@sha256:" + "c" * 64]}}, "should be on"),
        ({"Metadata": {}}, "should be on"),
        ({"Metadata": None}, "should be on"),
        ({"SchemaVersion": 3}, "unknown format"),
        ({"ArtifactType": "filesystem"}, "unknown format"),
        ({"Results": [7]}, "not understood"),
        ({"Results": [{"Class": "os-pkgs", "Vulnerabilities": [{}]}]}, "not understood"),
        ({"Results": [{"Class": "os-pkgs", "Vulnerabilities": ["CVE"]}]}, "not understood"),
    ],
)
def test_a_report_on_something_else_or_in_another_format_never_passes(judge, report, change, words):
    report.update(change)
    with pytest.raises(GateError, match=words):
        judge()


def test_an_empty_report_never_passes(ref, now, database):
    with pytest.raises(GateError):
        evaluate({}, policy=DEFAULT, ref=ref, now=now, database=database)


def test_an_ignored_finding_passes_with_its_owner_reason_and_expiry(judge, now):
    policy = ScanConfig(ignore=(ignore(),))
    verdict = judge(policy)
    assert verdict.passed
    (entry,) = verdict.ignored
    assert (entry.owner, entry.reason, entry.expires) == (
        "kim",
        "not reachable from outside",
        "2026-12-24",
    )
    require_pass([verdict], policy=policy, now=now)


def test_an_ignore_lapses_at_midnight_utc_of_its_date(judge):
    policy = ScanConfig(ignore=(ignore(expires="2026-11-24"),))
    last = dt.datetime(2026, 11, 23, 23, 59, 59, tzinfo=dt.UTC)
    first = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    elsewhere = first.astimezone(dt.timezone(dt.timedelta(hours=-8)))
    assert judge(policy, last).passed
    assert not judge(policy, first).passed
    assert not judge(policy, elsewhere).passed


def test_an_expired_ignore_fails_the_run_even_when_nothing_needs_it(judge, report, now):
    vulnerability(report)["Severity"] = "LOW"
    policy = ScanConfig(ignore=(ignore(expires="2026-11-23"),))
    with pytest.raises(GateError, match=r"CVE-2024-5535 expired on 2026-11-23 \(owner: kim\)"):
        require_pass([judge(policy)], policy=policy, now=now)


def test_an_ignore_that_matches_nothing_fails_a_complete_run_only(judge, now):
    policy = ScanConfig(ignore=(ignore(), ignore(package="libother")))
    with pytest.raises(GateError, match="CVE-2024-5535 in libother matches no finding"):
        require_pass([judge(policy)], policy=policy, now=now)
    require_pass([judge(policy)], policy=policy, now=now, complete=False)


def test_an_ignore_of_one_package_covers_no_other(judge):
    assert judge(ScanConfig(ignore=(ignore(package="libssl3"),))).passed
    assert not judge(ScanConfig(ignore=(ignore(package="openssl"),))).passed


def test_an_ignore_is_used_when_any_image_needs_it(judge, report, now):
    policy = ScanConfig(ignore=(ignore(),))
    needs = judge(policy)
    vulnerability(report)["Severity"] = "LOW"
    require_pass([needs, judge(policy)], policy=policy, now=now)


def test_the_gate_names_every_image_that_failed(judge, now):
    verdict = judge()
    with pytest.raises(GateError, match=r"shop/catalog: 1 finding \(CVE-2024-5535\)"):
        require_pass([verdict], policy=DEFAULT, now=now)


def test_the_policy_hash_changes_with_what_decides_and_with_nothing_else(now):
    first = hash_policy(DEFAULT, now)
    assert first == hash_policy(ScanConfig(severities=("HIGH", "CRITICAL")), now)
    assert first == hash_policy(ScanConfig(database_max_age=1), now)
    assert first != hash_policy(ScanConfig(fixed_only=False), now)
    assert first != hash_policy(ScanConfig(secrets=False), now)
    lapsing = ScanConfig(ignore=(ignore(expires="2026-11-24"),))
    assert hash_policy(lapsing, now) != hash_policy(lapsing, now + dt.timedelta(days=1)) == first


def test_attacker_text_reaches_neither_ci_system_nor_terminal(judge, report):
    title = "x\n##vso[task.setvariable variable=a]b\r\n::error::c \x1b[31m|<img>" + "y" * 500
    vulnerability(report)["Title"] = title
    verdict = judge()
    for text in (verdicts_table({"a": verdict}), verdicts_markdown({"a": verdict})):
        assert "##vso[" not in text
        assert "\x1b" not in text
        assert not any(line.lstrip().startswith("::") for line in text.splitlines())
        assert max(len(line) for line in text.splitlines()) < 500
    assert "<img>" not in verdicts_markdown({"a": verdict}).replace("\\<img", "")


def test_a_verdict_survives_json_and_is_the_same_every_time(judge, ref):
    verdict = judge(ScanConfig(ignore=(ignore(package="libother"),)))
    text = json.dumps(verdict.document())
    assert Verdict.load(json.loads(text), ref) == verdict
    assert json.dumps(judge(ScanConfig(ignore=(ignore(package="libother"),))).document()) == text


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 1},
        {"schema": 3},
        {"schema": True},
        {"image": "shop/other@sha256:" + "a" * 64},
        {"passed": True},
        {"passed": None},
        {"counts": {}},
        {"failing": [{}]},
        {"failing": None},
        {"failing": [], "passed": True},
        {"extra": 1},
        {"reports": "sha256:"},
        {"notes": [None]},
        {"counts": dict.fromkeys(SEVERITIES, 0)},
        {"counts": dict.fromkeys(SEVERITIES, True)},
    ],
)
def test_a_damaged_verdict_is_not_read(judge, ref, change):
    with pytest.raises(ValueError, match=r"."):
        Verdict.load({**judge().document(), **change}, ref)


def test_an_index_passes_only_when_every_platform_does(judge, report, ref):
    bad = judge()
    report["Results"][0]["Vulnerabilities"] = []
    good = judge()
    assert merge_verdicts([good, good], ref).passed
    merged = merge_verdicts([good, bad], ref)
    assert not merged.passed
    assert merged.counts["CRITICAL"] == 1
    with pytest.raises(GateError, match="no image for any platform"):
        merge_verdicts([], ref)


def test_the_table_says_what_failed_and_the_document_has_a_schema(judge, ref):
    verdicts = {"catalog": replace(judge(), stored=ref), "web": judge(ScanConfig(severities=()))}
    table = verdicts_table(verdicts)
    assert "FAIL  catalog  1 critical" in table
    assert "CRITICAL CVE-2024-5535 in libssl3 3.0.11-1~deb12u1, fixed in 3.0.15-1~deb12u1" in table
    assert "pass  web" in table
    document = verdicts_document(verdicts)
    assert (document["schema"], document["passed"]) == (1, False)
    json.dumps(document)
