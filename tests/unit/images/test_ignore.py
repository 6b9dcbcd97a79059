""".dockerignore decides as Docker documents it."""

from __future__ import annotations

import pytest

from aksci.images.ignore import parse_ignore


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
    ],
)
def test_the_last_pattern_that_matches_decides(patterns, ignored, kept):
    ignore = parse_ignore(patterns)
    assert [path for path in ignored + kept if ignore.ignores(path)] == ignored
