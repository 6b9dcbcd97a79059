"""The parser reads Dockerfiles as BuildKit does."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aksci.errors import ConfigError
from aksci.images.dockerfile import parse_dockerfile


def parse(text):
    content = text if isinstance(text, bytes) else text.encode()
    return parse_dockerfile(content, name="Dockerfile")


def words(text):
    return [(one.keyword, one.text) for one in parse(text).instructions]


def test_continuation_lines_are_joined_and_comments_and_blanks_between_them_skipped():
    text = "FROM a\nRUN one \\\n  # no\n\n  two \\\n   # nor this\n  three\nUSER x\n"
    assert words(text) == [("FROM", "a"), ("RUN", "one   two   three"), ("USER", "x")]


def test_an_escaped_escape_does_not_continue_a_line():
    assert words("FROM a\nRUN x \\\\\nUSER y") == [("FROM", "a"), ("RUN", "x \\\\"), ("USER", "y")]


def test_blanks_may_follow_the_escape():
    assert words("FROM a\nRUN x \\  \ny") == [("FROM", "a"), ("RUN", "x y")]


def test_the_escape_directive_makes_backslashes_ordinary():
    text = "# escape=`\nFROM a\nCOPY x C:\\\nRUN y `\nz"
    assert words(text) == [("FROM", "a"), ("COPY", "x C:\\"), ("RUN", "y z")]


def test_directives_count_only_at_the_top():
    assert parse("# syntax=other/x\nFROM a").syntax == "other/x"
    assert parse("# hello\n# syntax=other/x\nFROM a").syntax is None
    assert parse("\n# syntax=other/x\nFROM a").syntax is None
    assert parse("# check=skip=all\n#syntax = other/x\nFROM a").syntax == "other/x"
    assert parse("#!/usr/bin/x\n# syntax=other/x\nFROM a").syntax == "other/x"


@pytest.mark.parametrize(
    ("syntax", "standard"),
    [
        ("docker/dockerfile:1", True),
        ("docker.io/docker/dockerfile:1.7-labs", True),
        ("docker/dockerfile-upstream:master", True),
        ("docker/dockerfile@sha256:0", True),
        ("evil/docker/dockerfile:1", False),
        ("docker/dockerfileX", False),
    ],
)
def test_only_the_official_frontend_has_the_grammar_that_we_know(syntax, standard):
    assert parse(f"# syntax={syntax}\nFROM a").standard_frontend is standard


@pytest.mark.parametrize("form", ["<<EOF", '<<"EOF"', "<<'EOF'", "<<-EOF"])
def test_a_from_inside_a_here_document_is_no_instruction(form):
    text = f"FROM a\nRUN {form} cat\nFROM b\n# kept\nEOF\nUSER x\n"
    found = parse(text).instructions
    assert [one.keyword for one in found] == ["FROM", "RUN", "USER"]
    assert found[1].heredocs == ("FROM b\n# kept\n",)


def test_several_here_documents_on_a_line_follow_each_other():
    found = parse("FROM a\nCOPY <<one <<-two /x/\n1\none\n\t2\n\ttwo\nUSER x").instructions
    assert found[1].heredocs == ("1\n", "2\n")
    assert found[2].keyword == "USER"


def test_here_documents_exist_in_onbuild_but_not_in_other_instructions():
    found = parse("FROM a\nONBUILD RUN <<E\nFROM b\nE\nENV X=<<E\nUSER x").instructions
    assert [one.keyword for one in found] == ["FROM", "ONBUILD", "ENV", "USER"]


def test_an_open_here_document_is_an_error_with_its_line():
    with pytest.raises(ConfigError, match="line 2: the here-document <<EOF"):
        parse("FROM a\nRUN <<EOF\necho")


def test_flags_are_apart_from_the_text():
    copy = parse("FROM a\nCOPY --link --from=b --chown=1:1 /x /y").instructions[1]
    assert copy.flags == (("link", "true"), ("from", "b"), ("chown", "1:1"))
    assert copy.text == "/x /y"


def test_bom_crlf_lower_case_and_tabs_are_read():
    assert words(b"\xef\xbb\xbffrom\ta\r\nrun x \\\r\n y\r\n") == [("FROM", "a"), ("RUN", "x  y")]


def test_a_file_without_instructions_is_an_error():
    with pytest.raises(ConfigError, match="no instructions"):
        parse("# only this\n\n")


@given(st.binary(max_size=400))
@example(b"FROM a\nRUN <<\xff\n\xff\n")
@example(b"# escape=\\\n\\\n\\")
def test_no_bytes_crash_the_parser(content):
    with contextlib.suppress(ConfigError):
        parse_dockerfile(content, name="x")
