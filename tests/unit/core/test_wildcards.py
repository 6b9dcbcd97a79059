"""Wildcards match what the same regular expressions match, in one pass."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aksci.core import wildcards
from aksci.core.allowance import Allowance
from aksci.core.wildcards import (
    ANY,
    NOT_NEWLINE,
    NOT_SLASH,
    Folders,
    Many,
    One,
    Wildcards,
    char_class,
)

AB = char_class("a-b", negations="^")
NOT_A = char_class("^a", negations="^")
WRITTEN = {ANY: r"[\s\S]", NOT_SLASH: "[^/]", NOT_NEWLINE: r"[^\n]", AB: "[a-b]", NOT_A: "[^a]"}
CHARS = st.sampled_from([*WRITTEN])
ITEMS = st.one_of(st.sampled_from("ab/\n*"), CHARS.map(One), CHARS.map(Many), CHARS.map(Folders))
SEQUENCES = st.lists(ITEMS, max_size=8)


def regex(items):
    """Return a sequence of items as a regular expression, which tries all ways."""
    out = []
    for item in items:
        if isinstance(item, str):
            out.append(re.escape(item))
        elif isinstance(item, Folders):
            out.append(f"(?:{WRITTEN[item.chars]}*/)?")
        else:
            out.append(WRITTEN[item.chars] + ("*" if isinstance(item, Many) else ""))
    return "".join(out)


@settings(max_examples=400, deadline=None)
@given(
    patterns=st.lists(st.lists(SEQUENCES, min_size=1, max_size=2), max_size=4),
    texts=st.lists(st.text(alphabet="ab/\nc", max_size=9), min_size=1, max_size=6),
)
@example(patterns=[[[Folders(NOT_SLASH), Folders(NOT_SLASH)]]], texts=["//"])
def test_what_matches_is_what_the_regular_expression_matches(patterns, texts):
    found = Wildcards(patterns)
    for text in texts:
        expected = tuple(
            number
            for number, sequences in enumerate(patterns)
            if any(re.fullmatch(regex(items), text) for items in sequences)
        )
        place = found.start.after(text)
        assert place.matching == expected
        assert place.ended == bool(expected)


@settings(max_examples=50, deadline=None)
@given(items=SEQUENCES, texts=st.lists(st.text(alphabet="ab/c", max_size=9), min_size=2))
def test_what_is_forgotten_is_found_again(items, texts):
    # Not as a fixture: Hypothesis would keep the changed number from one example to the next.
    remembered = wildcards._REMEMBERED
    wildcards._REMEMBERED = 2000
    try:
        found = Wildcards([[items]])
        kept = found.start
        for text in texts:
            assert kept.after(text).ended == bool(re.fullmatch(regex(items), text))
    finally:
        wildcards._REMEMBERED = remembered


def test_many_stars_take_as_many_steps_as_the_text_has_characters(monkeypatch):
    steps = []
    step = Wildcards.step
    monkeypatch.setattr(
        Wildcards, "step", lambda self, place, char: steps.append(1) or step(self, place, char)
    )
    found = Wildcards([[[*[Many(ANY), "a"] * 100, "b"]]])
    assert not found.start.after("a" * 500).ended
    assert len(steps) <= 500


@pytest.mark.parametrize(
    ("inner", "held", "others"),
    [
        ("a-c", "abc", "d-"),
        ("^a-c", "d-", "abc"),
        ("!a", "b", "a"),
        ("z-a", "", "az-m"),
        ("a-", "a-", "b"),
        ("-a", "-a", "b"),
        ("]a", "]a", "b"),
        ("!", "ab", ""),
        ("", "", "a"),
        ("a-b-c", "ab-c", "d"),
    ],
)
def test_a_class_holds_characters_and_ranges(inner, held, others):
    chars = char_class(inner, negations="!^")
    assert [char for char in held + others if char in chars] == [*held]


def test_an_allowance_is_used_up_once():
    allowance = Allowance(10)
    assert allowance.take(4)
    assert allowance.take(6)
    assert not allowance.take(1)
    assert not allowance.take(0)
