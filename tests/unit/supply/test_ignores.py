from __future__ import annotations

import datetime as dt
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.config.supply_models import ScanConfig, ScanIgnore
from aksci.core.errors import ConfigError, GateError
from aksci.supply.scan.gate import evaluate, require_pass
from aksci.supply.scan.ignores import check_ignores, has_lapsed, ignore_warnings
from aksci.supply.scan.purls import covers, parse_pattern
from aksci.supply.scan.verdict import Verdict


def policy(expires="2026-12-24", **more):
    entry = ScanIgnore(
        id="CVE-2024-5535",
        owner="kim",
        reason="not reachable from outside",
        expires=dt.date.fromisoformat(expires),
        **more,
    )
    return ScanConfig(ignore=(entry,))


@pytest.mark.parametrize(
    ("purl", "holds"),
    [
        ("pkg:deb/debian/libssl3", True),
        ("pkg:deb/debian/libssl3@3.0.11-1~deb12u1", True),
        ("pkg:deb/debian/libssl3@3.0.11", False),
        ("pkg:deb/debian/libssl", False),
        ("pkg:deb/libssl3", False),
        ("pkg:pypi/libssl3", False),
    ],
)
def test_an_ignore_of_a_purl_covers_that_package_only(report, ref, now, database, purl, holds):
    rule = policy(purl=purl)
    verdict = evaluate(report, policy=rule, ref=ref, now=now, database=database)
    assert verdict.passed is holds
    if not holds:
        with pytest.raises(GateError, match="matches no finding"):
            require_pass([verdict], policy=rule, now=now)


@pytest.mark.parametrize(
    "purl", ["", "*", "pkg:", "pkg:deb", "pkg:deb/", "pkg:/x", "pkg:deb/debian/*", "pkg:deb/*/x"]
)
def test_a_purl_that_names_nothing_or_everything_is_refused(purl):
    with pytest.raises(ConfigError, match="purl does not name a package"):
        check_ignores(policy(purl=purl))


@pytest.mark.parametrize(
    ("expires", "words"),
    [
        ("2026-11-23", None),  # today: it has lapsed, which is no warning but an offence
        ("2026-11-24", "expires in 1 day, on 2026-11-24 (owner: kim)"),
        ("2026-12-07", "expires in 14 days"),
        ("2026-12-08", None),
    ],
)
def test_an_ignore_is_warned_of_some_days_ahead(now, expires, words):
    warnings = ignore_warnings(policy(expires), now)
    assert bool(warnings) is (words is not None)
    if words:
        assert words in warnings[0]


@given(st.datetimes(timezones=st.timezones()), st.integers(-3, 30))
def test_an_ignore_is_either_lapsed_or_warned_of_or_far_away(now, days):
    today = now.astimezone(dt.UTC).date()
    if not dt.date.min.toordinal() < today.toordinal() + days < dt.date.max.toordinal():
        return
    rule = policy((today + dt.timedelta(days=days)).isoformat())
    assert has_lapsed(rule.ignore[0], now) is (days <= 0)
    assert bool(ignore_warnings(rule, now)) is (0 < days <= rule.ignore_warning_days)


@given(
    st.sampled_from(["deb", "pypi", "npm"]),
    st.text("abc", min_size=1, max_size=3),
    st.text("123.", min_size=1, max_size=4),
    st.text("abc", min_size=1, max_size=3),
)
def test_a_purl_with_less_in_it_never_covers_another_name(kind, name, version, other):
    package = f"pkg:{kind}/{name}@{version}"
    assert covers(parse_pattern(f"pkg:{kind}/{name}"), package)
    assert covers(parse_pattern(f"pkg:{kind}/{other}"), package) is (name == other)
    assert not covers(parse_pattern(package), f"pkg:{kind}/{name}")
    assert not covers(parse_pattern(f"pkg:{kind}/{name}"), "")


# What cleaning would take away, or fold: none of it makes another thing's name of a name.
TAILS = (
    " ",
    "\t",
    "\n",
    "\r\n",
    "\x07",
    "\x00",
    "\x1b[0m",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\u00a0",
    "\u2028",
    "/",
)


def secret(report, path):
    report["Results"].append(
        {"Target": path, "Class": "secret", "Secrets": [{"RuleID": "key", "Severity": "CRITICAL"}]}
    )
    report["Results"][0]["Vulnerabilities"] = []


def secret_policy(package):
    entry = ScanIgnore(
        id="key",
        package=package,
        owner="kim",
        reason="a test fixture",
        expires=dt.date(2026, 12, 24),
    )
    return ScanConfig(ignore=(entry,))


@pytest.mark.parametrize("tail", [*TAILS, "\u0301"])
@pytest.mark.parametrize(
    "place", ["{tail}app/fixture.pem", "app/{tail}fixture.pem", "app/fixture.pem{tail}"]
)
def test_an_ignore_of_a_file_covers_no_file_of_a_like_name(report, ref, now, database, place, tail):
    path = place.format(tail=tail)
    secret(report, path)
    rule = secret_policy("app/fixture.pem")
    verdict = evaluate(report, policy=rule, ref=ref, now=now, database=database)
    assert [finding.package for finding in verdict.failing] == [path]
    exact = evaluate(report, policy=secret_policy(path), ref=ref, now=now, database=database)
    assert exact.passed
    assert Verdict.load(json.loads(json.dumps(verdict.document())), ref) == verdict
    with pytest.raises(GateError) as caught:
        require_pass([verdict], policy=rule, now=now)
    assert all(line.isprintable() for line in caught.value.message.split("\n"))


def test_an_ignore_of_a_long_name_covers_no_name_that_begins_so(report, ref, now, database):
    path = "a" * 300
    secret(report, path)
    rule = secret_policy("a" * 199 + "…")
    assert not evaluate(report, policy=rule, ref=ref, now=now, database=database).passed
    exact = secret_policy(path)
    assert evaluate(report, policy=exact, ref=ref, now=now, database=database).passed


def test_unicode_forms_of_one_name_are_two_names(report, ref, now, database):
    secret(report, "caf\u00e9.pem")
    rule = secret_policy("cafe\u0301.pem")
    assert not evaluate(report, policy=rule, ref=ref, now=now, database=database).passed


@pytest.mark.parametrize("bad", ["\ud800", "a" * 10_001, ["app/fixture.pem"], 1])
def test_a_name_that_can_not_be_kept_as_it_is_fails_the_image(report, ref, now, database, bad):
    secret(report, bad)
    with pytest.raises(GateError, match="not understood"):
        evaluate(report, policy=ScanConfig(), ref=ref, now=now, database=database)


def test_an_id_with_something_after_it_is_another_id(report, ref, now, database):
    report["Results"][0]["Vulnerabilities"][0]["VulnerabilityID"] = "CVE-2024-5535\n"
    assert not evaluate(report, policy=policy(), ref=ref, now=now, database=database).passed


def test_a_fixed_version_that_is_a_blank_is_one(report, ref, now, database):
    report["Results"][0]["Vulnerabilities"][0]["FixedVersion"] = " "
    assert not evaluate(report, policy=ScanConfig(), ref=ref, now=now, database=database).passed


@pytest.mark.parametrize(
    "purl",
    [f"pkg:deb/debian/libssl3{quote(tail)}" for tail in TAILS]
    + [f"pkg:deb/debian/libssl3{tail}" for tail in TAILS]
    + [f"pkg:deb/debian/{quote(tail)}libssl3" for tail in TAILS if tail != "/"]
    + [f"pkg:deb/debian{quote(tail)}/libssl3" for tail in TAILS if tail != "/"]
    + ["pkg:deb/debian/%ff", "pkg:deb/debian//libssl3", "pkg:deb/debian/ /libssl3"],
)
@pytest.mark.parametrize("version", ["", "@1"])
def test_a_package_url_of_a_like_name_is_not_covered(purl, version):
    assert not covers(parse_pattern("pkg:deb/debian/libssl3"), purl + version)


@pytest.mark.parametrize(
    ("pattern", "purl", "holds"),
    [
        ("pkg:npm/jsonstream", "pkg:npm/JSONStream@1.3.5", False),
        ("pkg:npm/JSONStream", "pkg:npm/JSONStream@1.3.5", True),
        ("pkg:npm/%40babel/core", "pkg:npm/%40babel/core@7", True),
        ("pkg:npm/@babel/core", "pkg:npm/%40babel/core@7", True),
        ("pkg:npm/foo", "pkg:npm/foo\u212a", False),
        ("pkg:npm/fook", "pkg:npm/foo\u212a", False),
        ("pkg:pypi/Foo_Bar", "pkg:pypi/foo-bar@1", True),
        ("pkg:golang/example.com/a/b", "pkg:golang/example.com/a/b@v1.2.3%2Bx", True),
        ("pkg:deb/debian/g%2B%2B", "pkg:deb/debian/g++@1?distro=x&arch=y", True),
        ("pkg:deb/debian/a@1%3A2", "pkg:deb/debian/a@1:2", True),
    ],
)
def test_what_a_package_url_means_is_compared_and_not_how_it_is_written(pattern, purl, holds):
    assert covers(parse_pattern(pattern), purl) is holds


def ids(report, **fields):
    report["Results"][0]["Vulnerabilities"][0] |= fields


def named(identifier, **more):
    entry = policy(**more).ignore[0].model_copy(update={"id": identifier})
    return ScanConfig(ignore=(entry,))


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("identifier", "fields"),
    [
        ("GHSA-462w-v97r-4m45", {"VendorIDs": ["GHSA-462w-v97r-4m45"]}),
        ("ghsa-462w-v97r-4m45", {"VendorIDs": ["GHSA-462w-v97r-4m45"]}),
        ("DSA-4613-1", {"VendorIDs": ["DSA-4613-1"]}),
        (
            "GHSA-462w-v97r-4m45",
            {"References": ["https://github.com/advisories/GHSA-462w-v97r-4m45"]},
        ),
        ("GO-2024-2687", {"References": ["https://pkg.go.dev/vuln/GO-2024-2687"]}),
        ("cve-2024-5535", {}),
    ],
)
def test_an_ignore_under_another_identifier_names_the_one_that_holds(
    report, ref, now, database, identifier, fields, complete
):
    ids(report, **fields)
    rule = named(identifier)
    verdict = evaluate(report, policy=rule, ref=ref, now=now, database=database)
    again = Verdict.load(json.loads(json.dumps(verdict.document())), ref)
    told = f"the ignore of {identifier} matches no finding: the scanner calls it CVE-2024-5535"
    with pytest.raises(GateError, match=told):
        require_pass([again], policy=rule, now=now, complete=complete)


def test_only_identifiers_that_the_policy_names_are_kept(report, ref, now, database):
    ids(report, VendorIDs=["DSA-1-1", "DSA-2-1"])
    verdict = evaluate(report, policy=named("DSA-2-1"), ref=ref, now=now, database=database)
    assert verdict.failing[0].aliases == ("DSA-2-1",)
    plain = evaluate(report, policy=policy(package="x"), ref=ref, now=now, database=database)
    assert "aliases" not in plain.document()["failing"][0]


def test_a_rule_of_a_misconfiguration_is_known_by_its_other_names(report, ref, now, database):
    rule = named("DS002").model_copy(update={"misconfigurations": ("HIGH",)})
    report["Results"].append(
        {
            "Class": "config",
            "Misconfigurations": [
                {
                    "ID": "DS-0002",
                    "Namespace": "builtin.dockerfile.DS002",
                    "Severity": "HIGH",
                    "Status": "FAIL",
                }
            ],
        }
    )
    verdict = evaluate(report, policy=rule, ref=ref, now=now, database=database)
    with pytest.raises(GateError, match=r"the ignore of DS002 .* the scanner calls it DS-0002"):
        require_pass([verdict], policy=rule, now=now)


def test_an_ignore_of_another_package_says_where_it_was_found(report, ref, now, database):
    rule = policy(package="Libssl3")
    verdict = evaluate(report, policy=rule, ref=ref, now=now, database=database)
    told = r"matches no finding: it was found in pkg:deb/debian/libssl3@3\.0\.11"
    with pytest.raises(GateError, match=told):
        require_pass([verdict], policy=rule, now=now)


@pytest.mark.parametrize(
    ("entries", "severity", "why"),
    [
        (1, "LOW", "is not needed: what it names does not fail the gate"),
        (2, "HIGH", "is not needed: another entry accepts its findings"),
    ],
)
def test_an_ignore_that_nothing_needs_says_why(report, ref, now, database, entries, severity, why):
    ids(report, Severity=severity)
    first = policy().ignore[0]
    second = first.model_copy(update={"owner": "ann"})
    rule = ScanConfig(ignore=(first, second)[:entries])
    verdict = evaluate(report, policy=rule, ref=ref, now=now, database=database)
    with pytest.raises(GateError, match=why):
        require_pass([verdict], policy=rule, now=now)
    require_pass([verdict], policy=rule, now=now, complete=False)


def test_one_that_lapses_today_says_so(report, ref, now, database):
    today = now.date()
    rule = policy(today.isoformat())
    verdict = evaluate(report, policy=rule, ref=ref, now=now, database=database)
    told = rf"expired on {today} \(owner: kim\): today, at 00:00 UTC"
    with pytest.raises(GateError, match=told):
        require_pass([verdict], policy=rule, now=now)
