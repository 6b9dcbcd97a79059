"""Text that others wrote is shown as it is, and nothing obeys it."""

from __future__ import annotations

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.text import (
    escape_html,
    escape_markdown,
    one_line,
    safe_json,
    sanitise,
    short_line,
)

DIGEST = "sha256:" + "0" * 64
TURNED = "rar\u202egpj.\u2066exe\u200f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@user", r"\@<!-- -->user"),
        ("me@evil.example", r"me\@<!-- -->evil.example"),
        ("&#64;user", r"\&\#<!-- -->64;user"),
        ("&commat;user", r"\&commat;user"),
        ("#1", r"\#<!-- -->1"),
        ("shop/app#12", r"shop/app\#<!-- -->12"),
        ("!34", r"\!<!-- -->34"),
        ("GH-5", "GH-<!-- -->5"),
        ("<img src=x onerror=alert(1)>", r"\<img src=x onerror=alert\(1\)\>"),
        ("<!-- -->", r"\<\!-- --\>"),
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("`code`", r"\`code\`"),
        ("[a](javascript:b)", r"\[a\]\(javascript:b\)"),
        ("![a](b)", r"\!\[a\]\(b\)"),
        ("https://evil.example", "https&#58;//evil.example"),
        ("HTTP://evil.example", "HTTP&#58;//evil.example"),
        ("www.evil.example", "www&#46;evil.example"),
        ("WWW.evil.example", "WWW&#46;evil.example"),
        ("$x$ {{y}} ~~z~~ **b** _i_", r"\$x\$ \{\{y\}\} \~\~z\~\~ \*\*b\*\* \_i\_"),
        ("##vso[task.complete]", r"\# \#vso\[task.complete\]"),
        (TURNED, "rargpj.exe"),
        ("a\r\nb\u2028c\td", "a bc d"),
        ("\x1b[31mred\x07", "red"),
        ("name-\udcff", "name-?"),
    ],
)
def test_markdown_shows_what_an_attacker_writes_and_follows_none_of_it(text, expected):
    assert escape_markdown(text) == expected


def test_a_reference_with_a_digest_stays_whole_and_the_user_sha256_is_not_called():
    reference = f"registry.example:5000/shop/app@{DIGEST}"
    assert escape_markdown(reference) == reference.replace("@", r"\@")
    assert escape_markdown(f"see @{DIGEST}") == rf"see \@<!-- -->{DIGEST}"


@given(st.text(st.sampled_from("ab1 @#!<>&|`\\[]()*_~$:/.w\n\u202e"), max_size=40))
def test_no_mark_of_markdown_is_left_bare_and_no_text_is_lost(text):
    escaped = escape_markdown(text).replace("<!-- -->", "")
    assert not re.search(r"[`*_\[\]<>|@#~]", re.sub(r"\\.|&#(?:58|46);", "", escaped))
    decoded = re.sub(r"\\(.)|&#(58|46);", lambda one: one[1] or chr(int(one[2])), escaped)
    assert decoded == one_line(text)
    assert not re.search(r"[a-z]://|www\.", escaped, re.IGNORECASE)


@pytest.mark.parametrize(
    "text", ["<img src=x>", "a & b", "\"quoted\" 'too'", "&#64;user", "</script>"]
)
def test_html_shows_text_as_it_is_in_an_element_and_in_an_attribute(text):
    escaped = escape_html(text)
    assert html.unescape(escaped) == text
    assert not re.search(r"[<>\"']|&(?!\w+;|#x?\w+;)", escaped)


def test_a_line_is_one_harmless_line_of_bounded_length():
    assert one_line(f"a\r\n::error::b\u2029 {TURNED}\x00") == "a : :error::b rargpj.exe"
    assert one_line("x" * 9, 9) == "x" * 9
    assert one_line("x" * 10, 9) == "x" * 8 + "…"
    assert one_line("a\ud800b") == "a?b"
    assert short_line(None) == ""
    assert short_line(["a\nb"]) == r"['a\nb']"
    assert len(short_line("x" * 900)) == 200


@given(st.text(max_size=60))
def test_what_is_one_line_stays_as_it_is(text):
    assert one_line(one_line(text)) == one_line(text)


def test_no_ci_system_takes_json_for_a_command_of_its_own():
    document = {"a": ["##vso[x]", "###", "\x1b[0m"]}
    text = safe_json(document)
    assert "##" not in text
    assert json.loads(text) == document


def test_a_text_for_a_terminal_keeps_its_lines():
    assert sanitise("a\r\nb\rc\x1b[1m ##[error]\n  ::stop::x") == "a\nb\nc # #[error]\n  : :stop::x"
