"""Variable expansion gives what BuildKit's reference documents."""

from __future__ import annotations

import pytest

from aksci.images.dockerfile.expand import UnresolvedError, expand

VALUES = {"X": "foobarfoo", "EMPTY": "", "TAG": "1.2"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain:1", "plain:1"),
        ("$X", "foobarfoo"),
        ("a${X}b", "afoobarfoob"),
        ("${NONE:-d}", "d"),
        ("${NONE-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${X:+set}", "set"),
        ("${NONE:+set}", ""),
        ("${EMPTY:+set}", ""),
        ("${EMPTY+set}", "set"),
        ("${NONE:-${TAG}}", "1.2"),
        ("${NONE:-a-${ALSO:-b}}", "a-b"),
        ("${X#foo}", "barfoo"),
        ("${X#*o}", "obarfoo"),
        ("${X##*o}", ""),
        ("${X%foo}", "foobar"),
        ("${X%o*}", "foobarfo"),
        ("${X%%o*}", "f"),
        ("${X/foo/x}", "xbarfoo"),
        ("${X//foo/x}", "xbarx"),
        (r"\$X", "$X"),
        ("'$X'", "$X"),
        ('"$TAG"', "1.2"),
        ("$1$$", ""),
        ("a$", "a$"),
        (r'"\a\""', r'\a"'),
        ("${X#f*}${X/o*b/-}", "oobarfoof-arfoo"),
        ('${NONE:-"}"}', "}"),
    ],
)
def test_each_form_expands_as_documented(text, expected):
    assert expand(text, VALUES, complete=True) == expected


def test_a_backtick_escapes_where_the_directive_says_so():
    assert expand(r"`$X\a", VALUES, escape="`") == r"$X\a"


@pytest.mark.parametrize("text", ["$NONE", "${NONE}", "${NONE:?say it}", "${NONE", "${X^^}", "${}"])
def test_what_has_no_value_is_an_error_that_names_it(text):
    with pytest.raises(UnresolvedError) as caught:
        expand(text, VALUES)
    assert caught.value.name in text
