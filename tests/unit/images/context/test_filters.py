"""What COPY --exclude leaves out and COPY --parents takes, as BuildKit 0.34 was seen to do it.

``tests/integration/test_build/test_keys_by_buildkit.py`` compares with BuildKit itself.
"""

from __future__ import annotations

import pytest

from aksci.images.context.hasher import TreeHasher
from aksci.images.context.walk import parse_sources
from aksci.images.dockerfile.recipe import PartOf

FILES = ["a.md", "b", "docs/a", "docs/c.md", "src/b", "src/docs/a", "src/x.md", "src/deep/er/b"]


@pytest.fixture
def read(tmp_path):
    for name in FILES:
        path = tmp_path / "ctx" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)

    def entries(*sources, ignore=""):
        (tmp_path / "Dockerfile.dockerignore").write_text(ignore)
        found = TreeHasher(tmp_path).entries("ctx", "Dockerfile", frozenset(sources))
        return [path for path in found if not found[path].startswith("d")], set(found)

    return entries


ALL = set(FILES)
SRC = {name for name in FILES if name.startswith("src/")}
FILTERS = {
    "by name": (PartOf(path="", excluded=("docs", "*.md")), ALL - {"a.md", "docs/a", "docs/c.md"}),
    "at any depth": (PartOf(path="", excluded=("**/*.md",)), {n for n in ALL if "md" not in n}),
    "relative to the source": (PartOf(path="src", excluded=("docs",)), SRC - {"src/docs/a"}),
    "a slash at the beginning means nothing": (PartOf(path="", excluded=("/docs",)), ALL),
    "blanks and dots": (PartOf(path="src", excluded=(" ./docs/ ", "")), SRC - {"src/docs/a"}),
    "taken back": (
        PartOf(path="", excluded=("src", "!src/docs", "docs", "!**/er")),
        {"a.md", "b", "src/docs/a", "src/deep/er/b"},
    ),
    "not what the source names itself": (PartOf(path="b", excluded=("*", "b", "**")), {"b"}),
    "not what its pattern names": (PartOf(path="*", excluded=("*.md",)), ALL - {
        "docs/c.md", "src/x.md"}),
    "everything in it": (PartOf(path="src", excluded=("**",)), set()),
    "a variable is none": (PartOf(path="src", excluded=("$X", "docs")), SRC),
    "a class that others read in another way": (PartOf(path="src", excluded=(r"\d", "docs")), SRC),
    "with its parents": (PartOf(path="", included="src/docs/a"), {"src/docs/a"}),
    "a folder with its parents": (PartOf(path="", included="src/deep"), {"src/deep/er/b"}),
    "globs": (PartOf(path="", included="*/docs"), {"src/docs/a"}),
    "any depth": (PartOf(path="", included="**/b"), {"b", "src/b", "src/deep/er/b"}),
    "from a pivot": (PartOf(path="src", included="docs"), {"src/docs/a"}),
    "from many pivots, of which files are none": (
        PartOf(path="*", included="*.md"), {"docs/c.md", "src/x.md"}),
    "parents and excludes": (
        PartOf(path="", included="**/b", excluded=("src/deep", "b")), {"src/b"}),
}  # fmt: skip


@pytest.mark.parametrize(("part", "expected"), FILTERS.values(), ids=FILTERS)
def test_patterns_decide_what_is_read(read, part, expected):
    assert set(read(part)[0]) == expected


def test_what_another_source_reads_is_read(read):
    assert set(read(PartOf(path="", excluded=("src",)), "src/docs")[0]) == ALL - SRC | {
        "src/docs/a"
    }
    first, second = PartOf(path="src", excluded=("b",)), PartOf(path="src", excluded=("docs",))
    assert set(read(first, second)[0]) == SRC
    assert set(read(first, "src")[0]) == SRC


def test_the_ignore_file_holds_too(read):
    assert read(PartOf(path="src", excluded=("docs",)), ignore="**/b")[0] == ["src/x.md"]


def test_a_folder_counts_where_something_in_it_does(read):
    """Its mode is in the image then: BuildKit makes it as it is in the context."""
    assert read(PartOf(path="", included="src/*/er"))[1] == {
        "src", "src/deep", "src/deep/er", "src/deep/er/b",
    }  # fmt: skip
    assert read(PartOf(path="src", excluded=("*", "!deep/er")))[1] == {
        "src", "src/deep", "src/deep/er", "src/deep/er/b",
    }  # fmt: skip


def test_a_link_in_a_filtered_folder_is_a_link(read, tmp_path):
    (tmp_path / "ctx/src/link").symlink_to("../docs")
    assert set(read(PartOf(path="src", excluded=("docs",)))[0]) == SRC - {"src/docs/a"} | {
        "src/link"
    }
    assert set(read(PartOf(path="src", excluded=("link",)))[0]) == SRC


def test_of_very_many_filters_none_is_tried():
    """Each would be tried on each entry."""
    many = frozenset(PartOf(path="", excluded=(f"x{number}",)) for number in range(33))
    assert parse_sources(many) == parse_sources(None)
