"""Every report tells the same findings, and no text in one is obeyed by whoever reads it."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.core.errors import UsageError
from aksci.core.text import escape_markdown
from aksci.report.rendering import CODE_FORMATS, render
from aksci.report.verdict_formats import VERDICT_FORMATS
from aksci.supply.scan.verdict_changes import changes_since, compare_verdicts
from aksci.supply.scan.verdicts import Verdicts

UNSEEN = re.compile(
    "[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def render_verdicts(found, form, before=None):
    policy, now = ScanConfig(), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return render(
        Verdicts(found=found, policy=policy, environment="x", now=now, earlier=lambda: before), form
    )


def sarif(verdicts):
    (run,) = json.loads(render_verdicts(verdicts, "sarif"))["runs"]
    return run


def junit(verdicts):
    return ET.fromstring(render_verdicts(verdicts, "junit").encode())  # noqa: S314 - our own


def page_data(verdicts, before=None):
    text = render_verdicts(verdicts, "html", before)
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*)</script>', text)[1]
    )


@pytest.mark.parametrize("form", VERDICT_FORMATS)
def test_no_format_says_a_command_to_a_ci_system_or_a_terminal(hostile, form):
    text = render_verdicts(hostile, form, {})
    assert "##vso[" not in text
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert not UNSEEN.search(text)
    assert "link" in text  # the titles are in it at all


def test_what_the_page_makes_of_its_data_has_nothing_unseen_in_it(hostile):
    texts = json.dumps(page_data(hostile, {}), ensure_ascii=False)
    assert not UNSEEN.search(texts)
    assert "link" in texts


@pytest.mark.parametrize("form", sorted({*VERDICT_FORMATS} - {"json"}))
@pytest.mark.parametrize("odd", ["x.pem\x07", "x.pem ", "x.pem\u200b", "x.pem\u2800", "x.pem\xa0"])
def test_a_finding_that_looks_like_an_ignored_one_is_told_from_it(verdicts, form, odd):
    (found,) = (one for one in verdicts.values() if one.ignored)
    (entry,) = found.ignored
    entry = replace(entry, finding=replace(entry.finding, package="x.pem"))
    bad = replace(entry.finding, package=odd)
    found = replace(found, passed=False, failing=(bad,), ignored=(entry,), tolerated=())
    text = render_verdicts({"web": found}, form)
    assert re.search(r"x\.pem\\+(x20|x07|u200b|u2800|xa0)", text)


@pytest.mark.parametrize("form", VERDICT_FORMATS)
def test_a_hundred_thousand_findings_and_long_names_are_shown_in_one_pass(form, limited):
    """Of one rule and of many, with a name of 10,000 characters and a licence for each package."""
    limited(
        f"""
        from dataclasses import replace
        from aksci.oci.references import ImageRef
        from aksci.report.verdict_formats import VERDICT_FORMATS
        from aksci.supply.scan.verdict import SEVERITIES, Finding, Verdict
        from types import SimpleNamespace
        ref = ImageRef("localhost:5000", "shop/web", "sha256:" + "a" * 64)
        one = Finding(kind="secret", id="key", package="p", installed="1", severity="HIGH")
        long = [replace(one, package="\\n" * 9_000 + str(n)) for n in range(300)]
        same = [replace(one, package=f"p{{n}}") for n in range(50_000)]
        many = [replace(one, id=f"CVE-{{n}}") for n in range(50_000)]
        found = (*long, *same, *many)
        verdict = Verdict(
            image=ref, passed=False, problems=(), notes=(), failing=found, ignored=(),
            counts=dict.fromkeys(SEVERITIES, 0) | {{"HIGH": len(found)}}, scanner="x",
            database="x", test_database=False, policy="x",
            licences={{f"licence {{n}}": 1 for n in range(100_000)}},
        )
        class Found(dict):
            before = {{"web": replace(verdict, failing=())}}
        text = VERDICT_FORMATS[{form!r}](Found(web=verdict))
        assert "CVE-49999" in text and len(text) < 200 << 20
        """
    )


@pytest.mark.parametrize("form", VERDICT_FORMATS)
def test_the_same_verdicts_give_the_same_report(verdicts, before, form):
    text = render_verdicts(verdicts, form, before)
    assert text == render_verdicts(dict(reversed(verdicts.items())), form, before)


@pytest.mark.parametrize("form", VERDICT_FORMATS)
def test_nothing_scanned_and_nothing_found_can_be_reported(make, form):
    assert render_verdicts({}, form) is not None
    assert "web" in render_verdicts({"web": make.verdict("web")}, form)


def test_an_unknown_format_is_refused_with_those_that_there_are(verdicts):
    with pytest.raises(UsageError, match="'dot'; it takes --format text, json, markdown, sarif"):
        render_verdicts(verdicts, "dot")
    assert set(VERDICT_FORMATS) >= CODE_FORMATS


def test_the_table_tells_origin_exploitation_score_and_expiry(verdicts):
    text = render_verdicts(verdicts, "text")
    first, problem, exploited, critical, *_ = text.splitlines()
    assert first == "FAIL  catalog  1 critical, 2 high, 1 low (1 from the base, 3 our own)"
    assert "end of life" in problem
    assert "HIGH     CVE-2023-4911" in exploited
    assert "KNOWN TO BE EXPLOITED, EPSS 0.931, from the base" in exploited
    assert "CVE-2024-5535" in critical
    assert "ignored until 2027-01-31: CVE-2024-0001 in libssl3 (ann@example.com: " in text
    assert "since the last release" not in text


def test_what_came_and_went_since_the_last_release_is_told(verdicts, before):
    changes = changes_since(before, verdicts)
    assert [one.id for one in changes["catalog"].introduced] == [
        "private-key",
        "CVE-2023-4911",
        "CVE-2024-5535",
    ]
    assert [one.id for one in changes["catalog"].fixed] == ["CVE-2022-3996"]
    markdown = render_verdicts(verdicts, "markdown", before)
    assert "Since the last release: 4 introduced, 1 fixed." in markdown
    assert "| fixed | catalog | CVE-2022-3996 |" in markdown
    assert "fixed in catalog: HIGH CVE-2022-3996" in render_verdicts(verdicts, "text", before)
    document = json.loads(render_verdicts(verdicts, "json", before))
    assert document["sinceLastRelease"]["catalog"]["fixed"][0]["id"] == "CVE-2022-3996"
    assert json.loads(render_verdicts(verdicts, "json"))["sinceLastRelease"] is None


def test_the_same_bytes_introduce_nothing_they_are_only_known_better(verdicts, before):
    assert changes_since(before, verdicts)["web"].same_image
    assert "| known now | web | CVE-2024-0001 |" in render_verdicts(verdicts, "markdown", before)


def test_a_finding_stays_the_same_when_version_layer_ignore_or_platform_change(make):
    old = make.verdict(failing=(make.finding(),))
    moved = make.finding(installed="2", layer="sha256:x", platform="linux/arm64")
    new = make.verdict(digest="b", ignored=(make.ignored(moved),))
    changes = compare_verdicts(old, new)
    assert (changes.introduced, changes.fixed) == ((), ())
    assert compare_verdicts(None, new).introduced == (moved,)
    assert compare_verdicts(old, None).fixed == old.failing


def test_markdown_shows_hostile_text_as_text(hostile):
    text = render_verdicts(hostile, "markdown", {}).replace("<!-- -->", "")  # our own: nothing
    assert not re.search(r"(?<!\\)[<>`\[\]]", text)
    assert "https://" not in text  # would become a link by itself
    assert not re.search(r"(?<!\\)@", text)  # would notify a person
    for block in text.split("\n\n"):
        pipes = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines() if "|" in line}
        assert len(pipes) <= 1, block


def test_one_cell_is_one_line_whatever_is_in_it():
    assert escape_markdown("a\r\nb | c\\|d") == "a b \\| c\\\\\\|d"
    assert escape_markdown("www.evil.example") == "www&#46;evil.example"


def test_sarif_marks_what_fails_what_is_tolerated_and_what_is_suppressed(verdicts):
    run = sarif(verdicts)
    found = {(one["ruleId"], one["level"], "suppressions" in one) for one in run["results"]}
    assert found == {
        ("aksci-image-problem", "error", False),
        ("CVE-2024-5535", "error", False),
        ("CVE-2023-4911", "error", False),
        ("private-key", "error", False),
        ("CVE-2011-3374", "note", False),
        ("CVE-2024-0001", "error", True),
    }
    (suppression,) = run["results"][-1]["suppressions"]
    assert suppression["justification"] == (
        "ann@example.com: not reachable from outside (until 2027-01-31)"
    )


def test_sarif_names_each_rule_once_and_each_result_names_its_rule(verdicts):
    verdicts["other"] = verdicts["catalog"]
    run = sarif(verdicts)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules)) == 6
    assert all(rules[one["ruleIndex"]] == one["ruleId"] for one in run["results"])


def test_sarif_fingerprints_survive_a_rebuild_and_tell_findings_apart(make):
    found = (make.finding(), make.finding(package="openssl"))
    rebuilt = tuple(make.finding(package=one.package, installed="9", title="x") for one in found)
    old, new = (
        [one["partialFingerprints"]["aksciFinding/v1"] for one in sarif({"a": verdict})["results"]]
        for verdict in (make.verdict(failing=found), make.verdict(digest="b", failing=rebuilt))
    )
    assert old == new
    assert len(set(old)) == 2


def test_sarif_locates_a_finding_by_image_digest_and_package_url(make):
    (result,) = sarif({"a": make.verdict(failing=(make.finding(),))})["results"]
    (location,) = result["locations"]
    uri = location["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "shop/catalog@sha256%3A" + "a" * 64
    assert location["logicalLocations"][0]["fullyQualifiedName"].startswith("pkg:deb/debian/")


def test_a_sarif_message_holds_no_placeholder_and_no_link(hostile):
    run = sarif(hostile)
    messages = [one["message"]["text"] for one in run["results"]]
    messages += [rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"]]
    for text in messages:
        assert "](" not in text
        assert not re.search(r"(?<!\{)\{[0-9]", text)
    addresses = [rule.get("helpUri", "") for rule in run["tool"]["driver"]["rules"]]
    assert not any("javascript" in address or " " in address for address in addresses)


def test_junit_counts_what_it_holds(verdicts):
    root = junit(verdicts)
    assert [suite.get("name") for suite in root] == ["catalog", "web"]
    for element in (root, *root):
        assert int(element.get("tests")) == len(list(element.iter("testcase")))
        assert int(element.get("failures")) == len(list(element.iter("failure")))
        assert int(element.get("skipped")) == len(list(element.iter("skipped")))
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("7", "4", "1")


def test_junit_puts_all_findings_of_a_rule_in_one_case(make):
    found = (make.finding(), make.finding(package="openssl"))
    (suite,) = junit({"a": make.verdict(failing=found)})
    (case,) = [case for case in suite if case.find("failure") is not None]
    assert case.get("name") == "CVE-2024-5535 in libssl3, openssl"
    assert len(case.find("failure").text.splitlines()) == 2


def test_junit_is_xml_and_keeps_hostile_text_whatever_it_holds(hostile):
    root = junit(hostile)  # a parser that refuses what XML 1.0 has not
    texts = [failure.text for failure in root.iter("failure")]
    assert any("]]>" in text and "<script>" in text for text in texts)
    assert len(root) == 1


def test_the_page_holds_all_findings_as_data_and_loads_nothing(verdicts, before):
    data = page_data(verdicts, before)
    states = {(row["id"], row["state"], row["since"]) for row in data["findings"]}
    assert ("CVE-2022-3996", "gone", "fixed") in states
    assert ("CVE-2011-3374", "tolerated", "") in states
    assert ("CVE-2024-0001", "ignored", "known now") in states
    text = render_verdicts(verdicts, "html", before)
    assert "default-src 'none'" in text
    assert not re.search(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", text)


def test_no_text_ends_the_script_element_of_the_page_or_becomes_a_script_address(hostile):
    text = render_verdicts(hostile, "html")
    assert text.count("<script") == text.count("</script>") == 2
    rows = page_data(hostile)["findings"]
    assert any("<script>alert(1)</script>" in row["title"] for row in rows)
    assert {row["url"][:8] for row in rows} == {"https://", ""}
