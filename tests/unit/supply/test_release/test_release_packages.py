"""Which packages came, went, rose or fell."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.supply.release.packages import compare_packages, compare_versions

VERSION = st.text(st.sampled_from("019.:~+-a"), min_size=1, max_size=8)
KIND = st.sampled_from(["deb", "pypi", ""])


def package(name, version, kind="deb"):
    return SimpleNamespace(name=name, version=version, purl=f"pkg:{kind}/{name}", licences=())


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("deb", "1.0~rc1-1", "1.0-1"),
        ("deb", "3.0.9-1", "3.0.11-1~deb12u1"),
        ("deb", "3.0.11-1~deb12u1", "3.0.11-1"),
        ("deb", "9.9", "1:0.1"),
        ("deb", "1.0", "1.0a"),
        ("deb", "1.0a", "1.0+b"),
        ("deb", "2.36-9+deb12u9", "2.36-9+deb12u10"),
        ("pypi", "1.9", "1.10"),
        ("pypi", "1.0rc1", "1.0"),
        ("pypi", "1.0.dev3", "1.0a1.post1"),
        ("pypi", "1.0", "1.0.post1"),
        ("npm", "1.0.0-alpha.2", "1.0.0-alpha.10"),
        ("npm", "1.0.0-alpha", "1.0.0"),
        ("golang", "v1.9.0", "v1.10.0"),
        ("golang", "v0.0.0-20210818215548-9ae4f774e98e", "v0.1.0"),
    ],
)
def test_the_later_version_is_told_by_the_rules_of_its_kind(kind, low, high):
    assert compare_versions(low, high, kind) == 1
    assert compare_versions(high, low, kind) == -1


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [("deb", "1.0", "0:1.0"), ("pypi", "1.0", "1.0.0"), ("npm", "1.0.0+a", "v1.0.0+b")],
)
def test_versions_that_are_as_good_are_equal(kind, one, other):
    assert compare_versions(one, other, kind) == 0


@given(KIND, VERSION, VERSION, VERSION)
def test_versions_are_ordered_whatever_they_are(kind, a, b, c):
    assert compare_versions(a, a, kind) == 0
    assert compare_versions(a, b, kind) == -compare_versions(b, a, kind)
    if compare_versions(a, b, kind) >= 0 and compare_versions(b, c, kind) >= 0:
        assert compare_versions(a, c, kind) >= 0


def test_each_way_in_which_a_package_can_differ_is_told():
    before = [
        package("gone", "1"),
        package("risen", "1.9"),
        package("fallen", "2"),
        package("same", "1"),
        package("repacked", "1.0"),
    ]
    after = [
        package("come", "1"),
        package("risen", "1.10"),
        package("fallen", "1"),
        package("same", "1"),
        package("repacked", "0:1.0"),
    ]
    found = {one.name: (one.change, one.old, one.new) for one in compare_packages(before, after)}
    assert found == {
        "gone": ("removed", "1", ""),
        "come": ("added", "", "1"),
        "risen": ("upgraded", "1.9", "1.10"),
        "fallen": ("downgraded", "2", "1"),
        "repacked": ("changed", "1.0", "0:1.0"),
    }


def test_several_versions_of_one_package_are_paired_from_the_lowest():
    before = [package("a", "1"), package("a", "2"), package("a", "3")]
    after = [package("a", "2"), package("a", "1.5")]
    changes = compare_packages(before, after)
    assert [(one.change, one.old, one.new) for one in changes] == [
        ("upgraded", "1", "1.5"),
        ("removed", "3", ""),
    ]


def test_packages_of_one_name_and_two_kinds_are_two():
    changes = compare_packages([package("a", "1", "deb")], [package("a", "1", "pypi")])
    assert {(one.kind, one.change) for one in changes} == {("deb", "removed"), ("pypi", "added")}


@given(st.lists(st.tuples(st.sampled_from("ab"), VERSION), max_size=6))
def test_the_same_packages_do_not_differ(pairs):
    packages = [package(*pair) for pair in pairs]
    assert compare_packages(packages, reversed(packages)) == ()
