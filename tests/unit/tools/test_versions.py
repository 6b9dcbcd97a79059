"""Versions are ordered and matched as Semantic Versioning says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.tools.tool_versions import Version, matches

numbers = st.integers(0, 30)
triples = st.tuples(numbers, numbers, numbers)


def test_versions_sort_as_semver_2_section_11_says():
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2",
        "v1.10.0",
    ]
    shuffled = ordered[5:] + ordered[:5]
    assert sorted(shuffled, key=Version) == ordered


def test_build_metadata_and_a_leading_v_do_not_count():
    assert Version("v1.3.2+unreleased") == Version("1.3.2")


@given(triples, triples)
def test_the_order_is_that_of_the_numbers(left, right):
    texts = [".".join(map(str, triple)) for triple in (left, right)]
    assert (Version(texts[0]) < Version(texts[1])) == (left < right)


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("4.3.1", ">=4.0,<5", True),
        ("3.20.2", ">=4.0,<5", False),
        ("5.0.0", ">=4.0,<5", False),
        ("4.0.0-rc.1", ">=4.0,<5", False),
        ("0.69.5", ">=0.69.4,<=0.69.6", True),
        ("0.69.7", ">=0.69.4,<=0.69.6", False),
        ("1.2.3", "==1.2.3", True),
        ("1.2.3", ">1.2.3", False),
        ("dev", ">=0", False),
        ("", ">=0", False),
    ],
)
def test_a_range_holds_when_each_of_its_clauses_does(version, wanted, expected):
    assert matches(version, wanted) is expected


@pytest.mark.parametrize("wanted", ["4.0", ">=", "~>4", ">=4.0,", ""])
def test_a_range_that_is_none_is_an_error_and_never_a_no(wanted):
    with pytest.raises(ValueError, match="is not a"):
        matches("4.0.0", wanted)
