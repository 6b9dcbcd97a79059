"""JSON of a stranger is read in one way, and never in more time or depth than it is worth."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.strict_json import parse_json, require_shallow

TEXT = st.text(alphabet='[]{}"\\a')
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


def nested(levels, text=""):
    return f"{'[' * levels}{json.dumps(text)}{']' * levels}".encode()


@given(ANY)
def test_any_shallow_document_is_read_as_it_was_written(value):
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["", "]", "]" * 300, '"]', "\\", '\\"]'])
def test_a_document_of_two_hundred_levels_is_read_and_one_more_is_too_deep(text):
    """Whatever its texts hold: brackets in them are no levels, and end none."""
    assert parse_json(nested(200, text))
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json(nested(201, text))


def test_brackets_in_texts_neither_hide_levels_nor_make_some():
    assert parse_json(b'["]",' * 200 + b"1" + b"]" * 200)
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json(b'["]",' * 201 + b"1" + b"]" * 201)
    assert parse_json(json.dumps(["[" * 1000, '"[' * 1000])) == ["[" * 1000, '"[' * 1000]


def test_objects_count_as_levels_too():
    assert parse_json(b'{"a":' * 200 + b"1" + b"}" * 200)
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json(b'{"a":' * 201 + b"1" + b"}" * 201)


def test_many_lists_beside_each_other_are_not_deep():
    assert len(parse_json(b"[" + b"[[]]," * 5000 + b"1]")) == 5001


DAMAGED = {
    "brackets": b"[" * 1_000_000,
    "a text without an end": b'["' + b'\\"[' * 500_000,
    "pairs": b"[]" * 500_000 + b'"',
    "a backslash at the end": b'"[' * 500_000 + b"\\",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_document_of_a_megabyte_is_refused_and_takes_no_minutes(name):
    with pytest.raises(ValueError, match=r"."):
        parse_json(DAMAGED[name])


def test_what_is_unbalanced_is_left_to_the_reader():
    require_shallow(b"[" * 201 + b"]" * 190)
    with pytest.raises(ValueError, match="Expecting"):
        parse_json(b"[" * 201 + b"]" * 190)
