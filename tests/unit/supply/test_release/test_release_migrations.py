"""Which migrations a release names."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.errors import ConfigError
from aksci.supply.release.make_release import natural_key, read_migrations


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "project"
    folder = root / "db"
    folder.mkdir(parents=True)
    for name in ("10_more.sql", "2_users.sql", "1_first.sql"):
        (folder / name).write_text(name)
    return root


def versions(root, *patterns):
    return [one.version for one in read_migrations(root, patterns, service="a")]


def test_versions_are_sorted_by_number_and_digests_are_of_the_content(root):
    found = read_migrations(root, ["db/*.sql"], service="a")
    assert [one.version for one in found] == ["1_first", "2_users", "10_more"]
    assert found[0].digest == "sha256:" + hashlib.sha256(b"1_first.sql").hexdigest()


def test_no_glob_is_no_migration_and_overlapping_globs_are_one(root):
    assert versions(root) == []
    assert versions(root, "db/*", "db/1*.sql") == ["1_first", "2_users", "10_more"]


def test_a_glob_that_matches_nothing_is_refused(root):
    with pytest.raises(ConfigError, match=r"services\.a\.migrations: 'no/\*\.sql' matches no file"):
        versions(root, "no/*.sql")
    with pytest.raises(ConfigError, match="matches no file"):
        versions(root, "d*")  # a folder is no file


@pytest.mark.parametrize("pattern", ["../*.sql", "db/../../*.sql", "/etc/host*", ""])
def test_a_glob_that_leaves_the_project_is_refused(root, pattern):
    (root.parent / "x.sql").write_text("x")
    with pytest.raises(ConfigError, match=r"services\.a\.migrations"):
        versions(root, pattern)


def test_a_link_that_leaves_the_project_is_refused_and_one_inside_is_followed(root):
    (root / "db" / "3_link.sql").symlink_to(root / "db" / "1_first.sql")
    assert "3_link" in versions(root, "db/*.sql")
    (root / "db" / "4_out.sql").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match=r"4_out\.sql leads out of the project"):
        versions(root, "db/*.sql")


def test_two_files_of_one_version_are_refused_with_both_names(root):
    (root / "other").mkdir()
    (root / "other" / "1_first.sql").write_text("other")
    with pytest.raises(ConfigError, match=r"db/1_first\.sql and other/1_first\.sql are both"):
        versions(root, "db/*.sql", "other/*.sql")


@given(st.lists(st.text(st.sampled_from("0123456789a_é٣²"), max_size=8), unique=True))
def test_the_order_is_the_same_whatever_the_order_of_the_files(names):
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)
    assert len({natural_key(name) for name in names}) == len(names)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_count_by_value(low, high):
    assert (natural_key(f"v{low}_x") < natural_key(f"v{high}_x")) == (low < high)


def test_no_folder_outside_of_the_project_is_searched_for_migrations(root):
    (root / "db" / "all").symlink_to("/")  # where a search for ** takes minutes
    with pytest.raises(ConfigError, match="all leads out of the project"):
        read_migrations(root, ["db/all/**/*.sql"], service="catalog")


def test_a_link_out_of_the_project_with_no_migration_behind_it_is_left(root):
    (root.parent / "else").mkdir()
    (root / "result").symlink_to("../else")
    assert versions(root, "*/*.sql") == ["1_first", "2_users", "10_more"]
    (root.parent / "else/3.sql").write_text("x")
    with pytest.raises(ConfigError, match="result leads out of the project"):
        versions(root, "*/*.sql")
