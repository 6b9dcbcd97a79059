"""The newest tag in a range of versions, whatever tags a registry has."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.cascade.tag_versions import check_range, newest_tag
from aksci.core.errors import ConfigError

ALL = [f"{a}.{b}.{c}" for a in range(4) for b in range(12) for c in range(12)]


def ends(wanted):
    """Return the oldest and the newest of all versions up to 3.11.11 that a range has."""
    key = [version for version in ALL if newest_tag([version], wanted, version)]
    return (key[0], newest_tag(ALL, wanted, "1.0.0")) if key else None


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("3.1.x", "3.1.0", "3.1.11"),
        ("3.1.*", "3.1.0", "3.1.11"),
        ("3.1.X", "3.1.0", "3.1.11"),
        ("3.1", "3.1.0", "3.1.11"),
        ("v3.1.x", "3.1.0", "3.1.11"),
        ("2.x.x", "2.0.0", "2.11.11"),
        ("2.1.4", "2.1.4", "2.1.4"),
        ("=2.1.4", "2.1.4", "2.1.4"),
        ("~2.1", "2.1.0", "2.1.11"),
        ("~2.1.4", "2.1.4", "2.1.11"),
        ("~2", "2.0.0", "2.11.11"),
        ("^1.4", "1.4.0", "1.11.11"),
        ("^1.4.2", "1.4.2", "1.11.11"),
        ("^0.4.2", "0.4.2", "0.4.11"),
        ("^0.0.3", "0.0.3", "0.0.3"),
        ("^0.0", "0.0.0", "0.0.11"),
        ("^0", "0.0.0", "0.11.11"),
        (">=1.4 <2", "1.4.0", "1.11.11"),
        (">=1.4, <2", "1.4.0", "1.11.11"),
        (">= 1.4,< 2", "1.4.0", "1.11.11"),
        (" >1.4 <=1.6 ", "1.5.0", "1.6.11"),
        (">1.4.3 <=1.6.2", "1.4.4", "1.6.2"),
        ("1.x >=1.3", "1.3.0", "1.11.11"),
        (">=3.11.10", "3.11.10", "3.11.11"),
        ("*", "0.0.0", "3.11.11"),
        ("x", "0.0.0", "3.11.11"),
    ],
)
def test_each_form_of_a_range_begins_and_ends_where_npm_says(wanted, first, last):
    check_range(wanted)
    assert ends(wanted) == (first, last)


@pytest.mark.parametrize(
    "wanted",
    ["", " ", ",", "latest", "3.12.y", "x.3", "1.4 - 1.9", "1.x || 2.x", ">=", "~>1.4", "3.12-slim",
     "1..2", "1.", ">x", ">=1,,<2", "٣.x", "9" * 5000, "1.2.3.4.5.6.7", "3.12\x00", "!=1"],
)  # fmt: skip
def test_what_is_no_range_is_an_error_that_names_it_and_what_is_one(wanted):
    with pytest.raises(ConfigError) as caught:
        newest_tag(["3.12.4"], wanted, "3.12.4")
    assert repr(wanted) in caught.value.message
    assert "3.12.x" in caught.value.hint


@pytest.mark.parametrize("wanted", [">=2 <1", ">1.4 <1.4.9", "<0", "1.4 1.9", "<0.0.0"])
def test_a_range_that_nothing_is_in_is_an_error(wanted):
    with pytest.raises(ConfigError, match="No version can be in the range"):
        check_range(wanted)


def test_numbers_are_compared_as_numbers():
    assert newest_tag(["3.12.9", "3.12.10", "3.12.1"], "3.12.x", "3.12.4") == "3.12.10"
    assert newest_tag(["3.9", "3.10"], "3.x", "3.8") == "3.10"


def test_no_tag_in_the_range_is_none():
    assert newest_tag(["3.11.9", "latest"], "3.12.x", "3.12.4") is None
    assert newest_tag([], "3.12.x", "3.12.4") is None


def test_only_tags_with_the_same_suffix_and_prefix_are_the_same_thing():
    tags = ["3.12.9", "3.12.8-slim", "3.12.7-slim-bookworm", "3.12.6-Slim", "v3.12.5", "V3.12.6"]
    for like, newest in [
        ("3.12.4", "3.12.9"),
        ("3.12.4-slim", "3.12.8-slim"),
        ("3.12.4-slim-bookworm", "3.12.7-slim-bookworm"),
        ("v3.12.4", "v3.12.5"),
        ("3.12.4-alpine", None),
    ]:
        assert newest_tag(tags, "3.12.x", like) == newest


def test_a_tag_that_moves_is_led_to_others_that_move():
    """Renovate: who is on 12.14 expects 12.15, and not 12.15.0."""
    tags = ["3", "3.12", "3.13", "3.12.10", "3.13.1", "4.0.0.1"]
    assert newest_tag(tags, ">=3", "3.12") == "3.13"
    assert newest_tag(tags, ">=3", "3.12.4") == "3.13.1"
    assert newest_tag(tags, "3.12.x", "3.12") == "3.12"
    assert newest_tag(tags, ">=3", "3") == "3"


def test_a_pre_release_is_led_to_only_from_one():
    tags = ["3.13.0a7", "3.13.0b4", "3.13.0rc1", "3.13.0rc2", "3.12.9"]
    assert newest_tag(tags, ">=3.12", "3.12.4") == "3.12.9"
    assert newest_tag(tags, ">=3.12", "3.13.0a1") == "3.13.0rc2"
    assert newest_tag([*tags, "3.13.0"], ">=3.12", "3.13.0rc1") == "3.13.0"
    assert newest_tag(["3.13.0rc10-slim", "3.13.0rc9-slim"], "3.x", "3.13.0rc1-slim") == (
        "3.13.0rc10-slim"
    )
    assert newest_tag(["1.4.0-rc.1", "1.4.0-beta.9", "1.3.0"], "1.x", "1.3.0-alpha.1") == (
        "1.4.0-rc.1"
    )
    assert newest_tag(["17beta1-alpine", "16-alpine"], ">=15", "15-alpine") == "16-alpine"


def test_what_only_begins_like_a_pre_release_is_a_suffix():
    for suffix in ("-alpine", "-bookworm", "-dev", "-alpha1x", "-premium", "-b1", "-rcx"):
        assert newest_tag([f"1.5{suffix}"], "1.x", f"1.4{suffix}") == f"1.5{suffix}"


@pytest.mark.parametrize(
    "accident",
    ["20240101", "2024", "202401011200", "1234567", "12345678901234567890", "12abcde", "0xff",
     "20240101-slim"],
)  # fmt: skip
def test_a_date_the_number_of_a_build_or_a_hash_is_not_the_newest_version(accident):
    assert newest_tag([accident, "13"], ">=12", "12") == "13"


def test_dates_are_led_to_dates():
    assert newest_tag(["20240101", "20250601", "12", "2026"], "*", "20230101") == "20250601"
    assert newest_tag(["22.04", "24.04", "24.10", "26"], ">=22", "22.04") == "24.10"


@pytest.mark.parametrize("like", ["latest", "slim", "", "v", "-1", "sha256-0", "1" * 19, "a.1"])
def test_from_a_tag_that_is_no_version_nothing_is_newer(like):
    assert newest_tag(["3.12.4", like], "*", like) is None


@pytest.mark.parametrize(
    "hostile",
    ["9" * 1_000_000, "3.12." + "9" * 1_000_000, "3." * 500_000, "3.12.9" + "-" * 1_000_000,
     "3.12.9-rc" + "1" * 1_000_000, "3.12.99\n", "3.12.٩", "3.12.99 ##vso[", "\ud800"],
)  # fmt: skip
def test_a_hostile_tag_is_harmless(hostile):
    started = time.monotonic()
    assert newest_tag([hostile, "3.12.5"], "3.12.x", "3.12.4") == "3.12.5"
    assert time.monotonic() - started < 1


VERSIONS = st.tuples(*[st.integers(0, 30)] * 3)


def tag(numbers, suffix="-slim"):
    return ".".join(map(str, numbers)) + suffix


@given(st.lists(VERSIONS, min_size=1), VERSIONS)
def test_the_newest_is_that_of_the_largest_numbers(versions, like):
    assert newest_tag(map(tag, versions), "*", tag(like)) == tag(max(versions))


@given(st.lists(VERSIONS), st.tuples(st.integers(0, 30), st.integers(0, 30)))
def test_a_range_of_patches_leads_to_the_largest_patch_of_its_minor(versions, minor):
    within = [version for version in versions if version[:2] == minor]
    expected = tag(max(within)) if within else None
    assert newest_tag(map(tag, versions), tag(minor, ".x"), tag((1, 2, 3))) == expected


@given(st.lists(st.text("0123456789.vx-abr\n", max_size=12)), st.text("0123456789.v-abrc"))
def test_whatever_the_tags_are_one_of_them_or_none_is_the_newest_in_any_order(tags, like):
    newest = newest_tag(tags, "*", like)
    assert newest is None or newest in tags
    assert newest_tag(reversed(tags), "*", like) == newest


@given(st.text("0123456789.vxX*<>=~^, -|", max_size=15))
def test_whatever_is_written_is_a_range_or_a_clear_error(wanted):
    try:
        check_range(wanted)
    except ConfigError as error:
        assert repr(wanted) in error.message  # noqa: PT017 - either is right
