"""JSON of a stranger is read in one way, and never in more time or depth than it is worth."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.strict_json import parse_downloaded_json, parse_json, require_shallow

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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1" * 101, "more than 100 digits"),
        ("-" + "1" * 5000, "more than 100 digits"),
        ("0." + "1" * 5000, "more than 100 digits"),
        ("1e999999", "too large"),
        ("-1e400", "too large"),
        ("NaN", "no number"),
        ("Infinity", "no number"),
        ('{"a":1,"a":1}', "twice"),
        ('{"a":{"b":1,"\\u0062":1}}', "twice"),
    ],
)
def test_what_python_or_others_read_in_a_way_of_their_own_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        parse_json(f"[{text}]")


def test_numbers_of_a_usual_length_are_read():
    assert parse_json("[12345678901234567890, -1.5e-300, 0.30000000000000004]") == [
        12345678901234567890,
        -1.5e-300,
        0.30000000000000004,
    ]


@pytest.mark.parametrize("text", ["[],", "{},", "1,", '"",', '{"":[]},', "null,"])
def test_more_values_than_a_caller_expects_are_refused(text):
    document = "[" + text * 500 + "1]"
    assert len(parse_json(document, most_values=2500)) == 501
    with pytest.raises(ValueError, match="more than 400 values"):
        parse_json(document, most_values=400)


def test_commas_and_brackets_in_texts_are_no_values():
    document = json.dumps(["[],{}" * 1000, '\\",[' * 1000])
    assert parse_json(document, most_values=10) == json.loads(document)


def test_more_bytes_than_a_caller_expects_are_refused():
    assert parse_json(b"[" + b" " * 1000 + b"]", largest=1 << 20) == []
    with pytest.raises(ValueError, match="more than 1 MiB"):
        parse_json(b"[" + b" " * (1 << 20) + b"]", largest=1 << 20)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_a_file_that_was_downloaded_may_have_a_byte_order_mark(encoding):
    assert parse_downloaded_json('{"é": 1}'.encode(encoding)) == {"é": 1}
