"""The commits between two releases, from a real repository."""

from __future__ import annotations

import os

import pytest

from aksci.core.process import Runner
from aksci.supply.release.commits import read_commits

NAMES = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
NAMES |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}


@pytest.fixture
def runner(tmp_path):
    own = {"HOME": str(tmp_path / "home"), "GIT_CONFIG_NOSYSTEM": "1"}
    return Runner(environment=dict(os.environ) | NAMES | own, log=lambda _line: None)


@pytest.fixture
def git(tmp_path, runner):
    root = tmp_path / "repository"
    (root / "project").mkdir(parents=True)

    def run(*words):
        return runner.run(["git", "-C", root, *words], quiet=True).stdout.strip()

    run("init", "--quiet", "--initial-branch=main")
    return run


@pytest.fixture
def commit(git, tmp_path):
    def make(message, file="project/a"):
        path = tmp_path / "repository" / file
        path.write_text(message)
        git("add", ".")
        git("commit", "--quiet", f"--message={message}")
        return git("rev-parse", "HEAD")

    return make


@pytest.fixture
def read(tmp_path, runner):
    return lambda old, new: read_commits(
        tmp_path / "repository" / "project", old, new, runner=runner
    )


def test_commits_of_the_projects_folder_are_listed_last_first(commit, read):
    first = commit("one")
    commit("elsewhere", file="other")
    commit("two")
    last = commit("three")
    found = read(first, last)
    assert [one.subject for one in found.added] == ["three", "two"]
    assert (found.removed, found.note) == ((), "")


def test_a_release_that_goes_back_tells_what_it_drops(commit, read):
    first = commit("one")
    last = commit("two")
    found = read(last, first)
    assert (found.added, [one.subject for one in found.removed]) == ((), ["two"])


def test_the_same_commit_lists_nothing(commit, read):
    first = commit("one")
    assert read(first, first) == read(first, first)
    assert not read(first, first).added
    assert "uncommitted" in read(first, first + "-dirty").note


def test_a_commit_that_this_clone_lacks_is_named(commit, read):
    found = read("f" * 40, commit("one"))
    assert "ffffffffffff" in found.note
    assert not found.added


@pytest.mark.parametrize("bad", ["", "main", "--output=/tmp/x", "HEAD", "a" * 39, "A" * 40])
def test_what_is_no_commit_is_never_handed_to_git(commit, read, bad):
    assert read(bad, commit("one")).note == "a release does not name its commit"


def test_outside_a_repository_nothing_is_known(tmp_path, runner):
    found = read_commits(tmp_path, "a" * 40, "b" * 40, runner=runner)
    assert "this clone has no" in found.note


def test_subjects_are_one_harmless_line_and_settings_of_the_user_add_none(commit, git, read):
    git("config", "log.showSignature", "true")
    git("config", "log.decorate", "full")
    first = commit("one")
    last = commit("##vso[task.complete]\x1b[31m " + "y" * 500)
    (found,) = read(first, last).added
    assert found.subject.startswith("# #vso[task.complete] yyy")
    assert len(found.subject) == 120
