"""Text that others wrote is shown as it is, and nothing obeys it."""

from __future__ import annotations

import html
import io
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aksci.core.text import (
    encodable,
    escape_html,
    escape_markdown,
    one_line,
    safe_json,
    sanitise,
    short_line,
    spelled,
)

# CVE-2021-42574 names the first nine.
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c\u200e\u200f"
HIDDEN = (
    TURNS
    + "\u200b\u2060\u2061\u2062\u2063\u2064\u206a\u206f\ufeff\ufff9\ufffa\ufffb\u00ad\u034f\u115f"
    "\u2800\U00016fe4\U0001bca0\U0001bca3\U0001d159"
    "\u3164\uffa0\u180e\U000e0000\U000e0001\U000e0041\U000e007f\U000e0100\U000e01ef"
)
JOINERS = "\u200c\u200d\ufe00\ufe0e\ufe0f"
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


@pytest.mark.parametrize("char", HIDDEN)
def test_what_is_not_seen_is_not_shown_and_hides_nothing(char):
    assert sanitise(f"a{char}b\n{char}") == "ab\n"
    assert sanitise(f"{char}::error::x #{char}#[x]") == ": :error::x # #[x]"
    assert one_line(f"é{char}b") == escape_html(f"é{char}b") == escape_markdown(f"é{char}b") == "éb"
    assert char not in safe_json({"a": char})


@pytest.mark.parametrize(
    "char", [*HIDDEN, *JOINERS, *"\x00\x07\x1b\n\t\x7f\x9b\xa0\u2028\u3000 \ud800"]
)
def test_a_name_that_is_compared_exactly_shows_what_would_not_be_seen(char):
    for name in (f"fixture.pem{char}", f"{char}fixture.pem", f"é{char} x", f"fix {char}ture"):
        shown = one_line(spelled(name))
        assert shown.isascii() or shown.startswith("é")
        assert re.search(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", shown)
        # Nobody can write a name that looks like the escape.
        assert one_line(spelled(shown)) != shown


@pytest.mark.parametrize(
    "name", ["libssl3", "a b", "", "C:\\new", "naïve café", "日本語", "a/b@1.2+c~d"]
)
def test_an_ordinary_name_is_shown_as_it_is(name):
    assert spelled(name) == one_line(spelled(name)) == name


@given(st.text(max_size=30), st.text(max_size=30))
def test_two_names_that_differ_are_shown_differently(one, other):
    assert (spelled(one) == spelled(other)) == (one == other)


def test_a_long_name_is_cut():
    assert len(spelled("\n" * 100_000)) < 5000


@pytest.mark.parametrize("char", JOINERS)
def test_a_joiner_after_an_ascii_character_is_not_shown(char):
    assert sanitise(f"ad{char}min {char}x\n{char}{char}y") == "admin x\ny"
    assert sanitise(f"#{char}#[x]\n {char}::error::") == "# #[x]\n : :error::"


@pytest.mark.parametrize("text", ["❤️‍🔥 👩‍💻", "می‌خواهم", "क्‍ष", "naïve café", "日本語", "שלום"])
def test_honest_text_of_any_script_and_emoji_stay_whole(text):
    assert sanitise(text) == one_line(text) == text


# The pattern as it was before it was linear; what it gave is still right.
OLD_COMMAND = re.compile(r"^(\s*)::", re.MULTILINE)


@given(st.text(st.sampled_from(": \n\ta\u00a0\u3000"), max_size=30))
def test_commands_are_hidden_as_before(text):
    assert sanitise(text) == OLD_COMMAND.sub(r"\1: :", text)


@example("0\u3000\u200c")
@given(st.text() | st.text(st.sampled_from(":# \n[\u202e\u200d\u3000\x00é"), max_size=30))
def test_cleaning_twice_is_cleaning_once(text):
    assert one_line(one_line(text)) == one_line(text)
    assert one_line(one_line(text, 8), 8) == one_line(text, 8)
    assert len(one_line(text, 8)) <= 8


@given(st.text(max_size=60))
def test_a_short_line_is_the_beginning_of_the_whole_one(text):
    line = one_line(text)
    assert one_line(text, 60) == line
    assert one_line("a" + text + "b" * 600, 60)[:20] == one_line("a" + text + "b" * 600)[:20]


LONG = {
    "line breaks": r'"\n" * 3_000_000',
    "blank lines": r'" \n" * 1_500_000 + ":"',
    "blanks": r'" " * 3_000_000',
    "wide blanks": r'"\u3000" * 1_000_000 + ":"',
    "escapes": r'"\x1b[" * 1_500_000',
    "escapes without an end": r'"\x1b[0" * 1_000_000',
    "parameters": r'"\x1b[" + "0" * 3_000_000 + " " * 100_000',
    "titles": r'"\x1b]" * 1_500_000',
    "returns": r'"\r" * 3_000_000',
    "hashes": r'"#" * 3_000_000',
    "colons": r'":" * 3_000_000',
    "joiners": r'"é" + "\u200d" * 1_000_000',
    "tags": r'"\U000e0041" * 1_000_000',
    "ats": r'"@" * 500_000',
    "addresses": r'"www." * 500_000',
    "issues": r'"GH-" * 500_000',
    "halves": r'"\ud800" * 1_000_000',
}


@pytest.mark.parametrize("name", LONG)
def test_megabytes_of_anything_are_cleaned_in_one_pass(name, limited):
    """At most seconds of a processor, where a second look at each position would take hours."""
    limited(
        f"""
        from aksci.core.text import escape_html, escape_markdown, one_line, sanitise
        text = {LONG[name]}
        for clean in (sanitise, one_line, escape_html, escape_markdown):
            clean(text)
        assert len(one_line(text, 300)) <= 300
        """
    )


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "|-- a  ^, <- b -> c..."),
        ("cp1252", "|-- a  ^, <- b -> c…"),  # which has an ellipsis
        ("utf-8", "├── a  ↑, ← b → c…"),
    ],
)
def test_what_we_draw_with_stays_a_drawing_where_the_encoding_lacks_it(encoding, shown):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert encodable("├── a  ↑, ← b → c…", stream) == shown


def test_what_has_no_likeness_in_an_encoding_becomes_a_question_mark():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert encodable("é→名", stream) == "?->?"
