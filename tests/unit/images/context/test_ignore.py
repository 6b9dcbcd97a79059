""".dockerignore decides as Docker documents it."""

from __future__ import annotations

import pytest

from aksci.images.context.ignore import Ignore, parse_ignore


@pytest.mark.parametrize(
    ("patterns", "ignored", "kept"),
    [
        ("a", ["a", "a/b"], ["b", "b/a", "ab"]),
        ("/a/", ["a", "a/b"], ["b/a"]),
        ("*/a", ["x/a", "x/a/b"], ["a", "x/y/a"]),
        ("*.md", ["x.md"], ["d/x.md"]),
        ("**/*.md", ["x.md", "d/x.md", "d/e/x.md"], ["x.txt"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b"]),
        ("*.md\n!README.md", ["x.md"], ["README.md"]),
        ("!README.md\n*.md", ["README.md"], []),
        ("*\n!a/b", ["c", "a/c"], ["a/b", "a/b/c"]),
        ("a?", ["ab"], ["a", "abc", "a/"]),
        ("[ab]c", ["ac", "bc"], ["cc"]),
        ("# a\n\n  b  ", ["b"], ["a", "# a"]),
        (r"a\*", ["a*"], ["ab"]),
        ("a/../b", ["b"], ["a"]),
        ("\ufeffa", ["a"], []),
        (".", [], ["a"]),
        ("a\rb", ["a\rb"], ["a", "b"]),
        ("a\x0cb\r\n!c\r", ["a\x0cb"], ["a", "b", "c"]),
        ("a/", ["a", "a/b"], ["ab"]),
        ("//a", ["a"], []),
        ("./a/ ", ["a"], []),
        ("/", [], ["a"]),
        ("!", [], ["a"]),
        ("a\n!", ["a"], []),
        ("**", ["a", "a/b"], []),
        ("**a", ["a", "ba", "b/ca"], ["ab"]),
        ("a**", ["a", "ab", "a/b"], ["ba"]),
        ("**/a", ["a", "b/a", "b/c/a", "b/a/c"], ["ba"]),
        ("**/a*", ["a", "b/ab"], ["ba"]),
        ("**a*", ["ab", "b/ab"], ["bab"]),  # unlike **a
        ("a/**/b", ["a/b", "a/c/b", "a/c/d/b"], ["a", "ab", "a/cb"]),
        ("**/a/**", ["a/b", "c/a/d"], ["a", "c/a"]),
        ("*.a+(b)", ["x.a+(b)"], ["x.aab"]),
        ("[^a]b", ["cb", "/b"], ["ab"]),
        ("*\n!*.md", ["a"], ["x.md"]),
        ("*\n!a\na/b", ["c", "a/b"], ["a", "a/c"]),
        ("*\n!*/x\na", ["a/y"], ["a/x"]),  # * matched the folder: nobody asks about "a" again
        ("a\n!../a", ["a"], ["b"]),
        ("*\n!../../a", ["a", "b"], []),  # cleaned with its mark, which goes
        ("./!a", [], ["a"]),
        ("*a\n", ["a\na", "a"], []),
        ("**/a?", ["x/ab"], ["x\ny/ab"]),  # . is not a newline in Go
    ],
)
def test_the_last_pattern_that_matches_decides(patterns, ignored, kept):
    ignore = parse_ignore(patterns)
    assert [path for path in ignored + kept if ignore.ignores(path)] == ignored


@pytest.mark.parametrize("line", [r"a\d", "[a", "[]a]", "[a[b]", "[z-a]", "a\\", "*^"])
def test_where_a_pattern_is_not_clear_nothing_is_ignored_and_the_text_counts(line):
    text = f"x\n{line}\n"
    assert parse_ignore(text) == Ignore(doubt=text)
    assert not parse_ignore(text).ignores("x")


@pytest.mark.parametrize(
    ("patterns", "entered", "passed"),
    [
        ("a", [], ["a"]),
        ("*\n!b", [], ["a"]),
        ("*\n!a/b/c", ["a", "a/b"], ["a/b/c/d", "b", "ab"]),
        ("*\n!a/**", ["a"], ["a/b", "b"]),
        ("*\n!**/x", ["a", "b/c"], []),
        ("*\n!a*", ["b"], []),
    ],
)
def test_an_ignored_folder_is_entered_only_if_something_could_be_taken_back(
    patterns, entered, passed
):
    ignore = parse_ignore(patterns)
    assert [folder for folder in entered + passed if ignore.enters(folder)] == entered


@pytest.mark.parametrize(
    ("patterns", "depth", "reached"),
    [
        ("", 0, False),
        ("a", 0, True),
        ("a", 1, False),
        ("a/*", 1, True),
        ("**/a", 7, True),
        ("a\n!b", 5, True),
        ("[^a]", 3, True),
    ],
)
def test_folders_that_no_pattern_can_reach_are_known(patterns, depth, reached):
    assert parse_ignore(patterns).reaches(depth) is reached
