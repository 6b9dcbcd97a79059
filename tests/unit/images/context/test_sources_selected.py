"""Which entries a Dockerfile's sources name."""

from __future__ import annotations

import pytest

from aksci.images.context.walk import EVERYTHING, parse_sources


def reads(sources, path):
    """Tell whether a path, or what it holds, is read."""
    selection = parse_sources(sources)
    for part in path.split("/"):
        selection = selection.step(part)
        if selection is None:
            return False
    return selection == EVERYTHING


@pytest.mark.parametrize(
    ("sources", "read", "unread"),
    [
        ({"a"}, ["a", "a/b", "a/b/c"], ["b", "ab", "b/a"]),
        ({"./a/"}, ["a"], ["b"]),
        ({"/a/b"}, ["a/b", "a/b/c"], ["a", "a/c", "b"]),
        ({"a/../b"}, ["b"], ["a"]),
        ({"../../a"}, ["a"], ["b"]),
        ({"*.py"}, ["x.py", ".py", "x.py/y"], ["d/x.py", "x.pyc"]),
        ({"*/x"}, ["a/x", "a/x/y"], ["x", "a/b/x"]),
        ({"?"}, ["a"], ["ab"]),
        ({"[a-c]x", "[^a]y"}, ["ax", "by"], ["dx", "ay"]),
        ({"a", "b"}, ["a", "b"], ["c"]),
        ({"a.b"}, ["a.b"], ["axb"]),
        (set(), [], ["a"]),
    ],
)
def test_a_source_names_an_entry_and_all_that_it_holds(sources, read, unread):
    assert [path for path in read + unread if reads(sources, path)] == read


@pytest.mark.parametrize("source", ["", ".", "/", "a/..", "**/x", r"\a", "[", "[]a]", "[z-a]"])
def test_where_a_source_is_not_clear_everything_is_read(source):
    assert reads({source, "a"}, "anything")


def test_the_unclear_end_of_a_source_stands_for_all_below_its_clear_beginning():
    for source in ("a/**/x", r"a/\x", "a/[b"):
        assert reads({source}, "a/q")
        assert not reads({source}, "b")


def test_without_sources_everything_is_read():
    assert parse_sources(None) == EVERYTHING
