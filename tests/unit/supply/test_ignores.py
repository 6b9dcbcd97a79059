from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.config.supply_models import ScanConfig, ScanIgnore
from aksci.core.errors import ConfigError, GateError
from aksci.supply.scan.gate import evaluate, require_pass
from aksci.supply.scan.ignores import check_ignores, has_lapsed, ignore_warnings
from aksci.supply.scan.purls import covers, parse_pattern


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
