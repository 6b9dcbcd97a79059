"""Patterns in ``${NAME…}`` match what BuildKit's regular expressions match."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aksci.core.allowance import Allowance
from aksci.images.dockerfile.expand import TOTAL, TooMuchError, UnresolvedError, expand
from aksci.images.dockerfile.shell_patterns import LONGEST, ShellPattern

PATTERNS = st.lists(
    st.sampled_from(["a", "b", "ab", "*", "?", "\\*", "\\?", "\\\\", "."]), max_size=7
).map("".join)
VALUES = st.text(alphabet="aab*.\\\nc", max_size=10)


def regex(pattern, *, longest):
    """Translate a pattern as BuildKit does (convertShellPatternToRegex)."""
    out = []
    characters = iter(pattern)
    for char in characters:
        if char == "*":
            out.append(".*" if longest else ".*?")
        elif char == "?":
            out.append(".")
        else:
            out.append(re.escape(next(characters) if char == "\\" else char))
    return "".join(out)


@settings(max_examples=400, deadline=None)
@given(pattern=PATTERNS, value=VALUES, longest=st.booleans())
def test_beginnings_and_ends_are_taken_off_as_by_a_regular_expression(pattern, value, longest):
    found = ShellPattern(pattern)
    prefix = re.match(regex(pattern, longest=longest), value)
    assert found.without_prefix(value, longest=longest) == value[prefix.end() if prefix else 0 :]
    starts = [
        at for at in range(len(value) + 1) if re.fullmatch(regex(pattern, longest=True), value[at:])
    ]
    start = (starts[0] if longest else starts[-1]) if starts else len(value)
    assert found.without_suffix(value, longest=longest) == value[:start]


@settings(max_examples=400, deadline=None)
@given(pattern=PATTERNS, value=VALUES)
def test_matches_are_those_of_a_regular_expression(pattern, value):
    expected = []
    for match in re.finditer(regex(pattern, longest=True), value):
        # Go's engine finds no empty match right after another one; Python's does.
        if match.end() > match.start() or not expected or expected[-1][1] != match.start():
            expected.append(match.span())
    assert list(ShellPattern(pattern).matches(value)) == expected


def test_an_empty_match_after_another_one_is_none_as_in_go():
    assert expand("${A//*/-}", {"A": "abc"}) == "-"
    assert expand("${A//x*/-}", {"A": "abc"}) == "abc"
    assert expand("${A///-}", {"A": "ab"}) == "-a-b-"


@pytest.mark.parametrize("pattern", ["a" * (LONGEST + 1), "a\nb"])
def test_what_is_no_pattern_of_a_dockerfile_is_not_known(pattern):
    with pytest.raises(UnresolvedError):
        expand("${A#$B}", {"A": "a", "B": pattern})


def test_values_get_no_longer_than_a_program_can_be_handed():
    values = {"A": "x" * 100_000}
    assert len(expand("$A", values)) == 100_000
    with pytest.raises(TooMuchError):
        expand("$A$A", values)
    assert len(expand("'" + "x" * 200_000 + "'", values)) == 200_000  # as it is written


def test_what_variables_fill_in_is_bounded_over_many_words():
    allowance = Allowance(TOTAL)
    values = {"A": "x" * 100_000}
    for _ in range(TOTAL // 100_000):
        expand("$A", values, allowance=allowance)
    with pytest.raises(TooMuchError):
        expand("$A", values, allowance=allowance)


@pytest.mark.parametrize("text", ["${A//x/$A}", "${A:-$A}$A", "${A:+$A}", "${A#$A}", "${A/x/y}"])
def test_each_way_to_fill_in_a_variable_takes_of_the_allowance(text):
    with pytest.raises(TooMuchError):
        expand(text, {"A": "x" * 20}, allowance=Allowance(10))


def test_depth_is_bounded_though_the_variable_is_set():
    assert expand("${A:-" * 50 + "}" * 50, {"A": "1"}) == "1"
    with pytest.raises(TooMuchError):
        expand("${A:-" * 51 + "}" * 51, {"A": "1"})
