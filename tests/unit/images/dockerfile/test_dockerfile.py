"""The parser reads Dockerfiles as BuildKit does."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aksci.core.errors import ConfigError
from aksci.images.dockerfile.parser import parse_dockerfile, unwrap_onbuild
from aksci.images.dockerfile.stages import resolve_stages


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
    assert parse("#!/usr/bin/x\n# escape=`\nFROM a").escape == "\\"


@pytest.mark.parametrize(
    "text",
    ["//syntax=other/x\nwhatever", '{"syntax": "other/x", "a": [1]}', "# Syntax = other/x v"],
)
def test_a_frontend_may_be_named_in_other_formats_and_reads_the_file_alone(text):
    dockerfile = parse(text)
    assert (dockerfile.frontend, dockerfile.instructions) == ("other/x", ())
    assert not dockerfile.standard_frontend


def test_a_directive_that_stands_there_twice_is_an_error():
    with pytest.raises(ConfigError, match="escape stands there more than once"):
        parse("# escape=`\n# escape=`\nFROM a")


@pytest.mark.parametrize("syntax", ["docker/dockerfile:1.2", "docker/dockerfile:1.0-experimental"])
def test_a_frontend_older_than_here_documents_makes_them_a_doubt(syntax):
    dockerfile = parse(f"# syntax={syntax}\nFROM a\nRUN <<EOF\nEOF")
    assert "line 3: <<" in dockerfile.doubts[0]
    assert not parse(f"# syntax={syntax}\nFROM a\nRUN x").doubts


@pytest.mark.parametrize(
    ("syntax", "standard"),
    [
        ("docker/dockerfile:1", True),
        ("docker.io/docker/dockerfile:1.7-labs", True),
        ("docker/dockerfile-upstream:master", True),
        ("docker/dockerfile@sha256:0", True),
        ("docker/dockerfile:labs", True),
        ("docker/dockerfile:2", False),
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


def test_heredocs_are_read_as_the_shell_does_or_not_at_all():
    """In quotes, behind an escape, in JSON, or on a line that the lexer refuses: nothing."""
    for line in (
        'RUN "<<A"',
        "RUN \\<<A",
        'RUN ["<<A"]',
        "RUN it's <<A",
        "RUN ${x^} <<A",
        "RUN <<<A",
    ):
        assert [one.keyword for one in parse(f"FROM a\n{line}\nFROM b").instructions] == [
            "FROM",
            "RUN",
            "FROM",
        ]


def test_a_here_documents_body_keeps_its_line_ends():
    found = parse(b"FROM a\r\nCOPY <<E /x\r\n1\r\nE\r\n").instructions[1]
    assert found.heredocs == ("1\r\n",)


def test_lines_are_told_with_continuations_and_here_documents():
    text = "# c\n\nFROM a\nRUN x \\\n# c\n\n y\nRUN <<A <<B\n1\nA\nB\nUSER x"
    spans = [(one.line, one.end_line) for one in parse(text).instructions]
    assert spans == [(3, 3), (4, 7), (8, 11), (12, 12)]


def test_flags_lose_quotes_and_escapes_and_end_at_two_dashes():
    run = parse("FROM a\nRUN --mount=\"type=bind,a=b c\" --x='y'\\z -- --no").instructions[1]
    assert run.flags == (("mount", "type=bind,a=b c"), ("x", "yz"))
    assert run.text == "--no"


def test_onbuild_is_unwrapped_with_its_here_documents():
    one = parse("FROM a\nONBUILD COPY --from=x <<E /\nbody\nE").instructions[1]
    found = unwrap_onbuild(one)
    assert (found.keyword, found.flags, found.text) == ("COPY", (("from", "x"),), "<<E /")
    assert found.heredocs == ("body\n",)


FRAGMENTS = st.sampled_from([
    "FROM a", "FROM a AS b", "RUN ", "COPY --from=b x ", "<<A", "<<-'B c'", "A", "\tB c", "\\", "`",
    "# escape=`", "# syntax=x", "#", "\n", "\n", "\n", "\r\n", " ", '"', "'", "$", "${", "}", ":-",
    "ARG X", "=1", "ENV a b", "ONBUILD ", '["a"', "]", "[[", "--mount=from=", ",source=", "\x00",
])  # fmt: skip
BYTES = st.one_of(
    st.binary(max_size=400),
    st.lists(FRAGMENTS, max_size=40).map(lambda parts: "".join(parts).encode()),
    st.lists(FRAGMENTS, max_size=40).map(lambda parts: ("FROM a\n" + "".join(parts)).encode()),
)


@given(BYTES)
@example(b"FROM a\nRUN <<\xff\n\xff\n")
@example(b"# escape=\\\n\\\n\\")
@example(b"FROM a\nCOPY " + b"[" * 100_000)
@example(b"FROM a\nRUN <<A " + b"${a:-" * 20_000)
@example(b"ARG A=" + b"${a:-" * 20_000 + b"\nFROM a")
@example(b"FROM a\nENV A=" + b"${a:-" * 20_000 + b"\nCOPY $A /")
@example(b'FROM a\nRUN --mount=""a"x,\n\r"\nx')
@example(b"FROM a\nCOPY --from=99999999999999999999999 a b")
@example("FROM a\nCOPY --from=\u00b2 \u0663 b".encode())
@example(b'FROM a\nCOPY ["\\ud800", "x"]')
def test_no_bytes_crash_the_parser(content):
    with contextlib.suppress(ConfigError):
        dockerfile = parse_dockerfile(content, name="x")
        resolve_stages(dockerfile, target=None, args={"A": "1"}, platform={"TARGETARCH": "x"})


@given(BYTES)
def test_lines_follow_each_other_and_each_instruction_has_its_own(content):
    with contextlib.suppress(ConfigError):
        end = 0
        for one in parse_dockerfile(content, name="x").instructions:
            assert end < one.line <= one.end_line
            end = one.end_line
        assert end <= content.count(b"\n") + 1


LINES = st.lists(
    st.sampled_from(
        ["RUN a \\", "  b", "COPY x /", "USER y", "ENV a=b \\", "LABEL 'c # d'", "FROM z"]
    ),
    min_size=1,
)


@given(LINES, st.data())
def test_layout_means_nothing(lines, data):
    """Comments and blank lines between any two lines, and Windows' line ends."""
    plain = words("\n".join(["FROM a", *lines]))
    spread = ["FROM a"]
    for line in lines:
        spread += [*data.draw(st.lists(st.sampled_from(["", "  ", "# x", "\t#y \\"]))), line]
    newline = data.draw(st.sampled_from(["\n", "\r\n"]))
    assert words(newline.join(spread)) == plain


def test_stages_are_read_once_with_name_base_and_platform_as_they_are_written():
    text = b"ARG V=1\nFROM --platform=$BUILDPLATFORM a:$V AS One\nRUN x\nFROM one\n"
    parsed = parse_dockerfile(text, name="Dockerfile")
    assert [one.keyword for one in parsed.head] == ["ARG"]
    first, last = parsed.stages
    assert (first.index, first.name, first.base, first.platform, first.line) == (
        (0, "one", "a:$V", "$BUILDPLATFORM", 2)
    )
    assert [one.keyword for one in first.instructions] == ["FROM", "RUN"]
    assert (last.name, last.base, last.platform) == ("", "one", None)
    assert parsed.stages is parsed.stages


@pytest.mark.parametrize(
    "line", ["FROM", "FROM a b", "FROM a to b", "FROM a AS 1", "FROM a AS b c"]
)
def test_a_stage_that_buildkit_refuses_is_a_mistake_of_its_line(line):
    parsed = parse_dockerfile(f"ARG X\n{line}\n".encode(), name="Dockerfile")
    with pytest.raises(ConfigError, match=r"Dockerfile, line 2: FROM .* is wrong"):
        _ = parsed.stages


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_told_by_its_name(encoding):
    content = "\ufeffFROM scratch\n".encode(encoding)
    with pytest.raises(ConfigError, match=r"UTF-16.*BuildKit reads UTF-8"):
        parse_dockerfile(content, name="Dockerfile")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_told_too(encoding):
    with pytest.raises(ConfigError, match=r"UTF-16.*BuildKit reads UTF-8"):
        parse_dockerfile("FROM scratch\n".encode(encoding), name="Dockerfile")


@pytest.mark.parametrize(
    ("frontend", "standard"),
    [
        ("mirror.example:5000/docker/dockerfile", True),
        ("mirror.example:5000/docker/dockerfile:1", True),
        ("mirror.example:5000/docker/dockerfile:1.7-labs", True),
        (f"mirror.example:5000/docker/dockerfile:1@sha256:{'a' * 64}", True),
        ("mirror.example:5000/docker/dockerfile:2", False),  # nobody knows its grammar, as of ours
        ("mirror.example:5000/docker/dockerfile-x:1", False),
        ("elsewhere.example/docker/dockerfile:1", False),
        ("docker/dockerfile:1", True),
    ],
)
def test_a_mirrors_frontend_is_the_standard_one_where_that_is_said(frontend, standard):
    parsed = parse_dockerfile(
        f"# syntax={frontend}\nFROM scratch\n".encode(),
        name="Dockerfile",
        standard_frontends=("mirror.example:5000/docker/dockerfile",),
    )
    assert parsed.standard_frontend is standard
    assert bool(parsed.instructions) is standard


def test_a_mirrors_frontend_has_the_age_that_its_tag_says():
    text = b"# syntax=m.example/df:1.3\nFROM scratch\nRUN <<EOF\nEOF\n"
    parsed = parse_dockerfile(text, name="Dockerfile", standard_frontends=("m.example/df",))
    assert parsed.doubts == ("line 3: << means nothing to so old a docker/dockerfile",)
