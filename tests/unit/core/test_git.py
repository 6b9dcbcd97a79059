"""git is asked about the repository around the project, and runs nothing else for it."""

from __future__ import annotations

import os
import subprocess

import pytest

from aksci.core.git import ask_git, source_commit, tracked_files
from aksci.core.process import Runner

ALONE = {
    "HOME": "/nonexistent",
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}
ME = ("-c", "user.name=me", "-c", "user.email=me@example.com", "-c", "protocol.file.allow=always")


def git(folder, *words):
    return subprocess.run(
        ["git", "-C", folder, *ME, *words], env=ALONE, check=True, capture_output=True, text=True
    ).stdout.strip()


def runner_with(**variables):
    return Runner(environment={**ALONE, **variables}, log=pytest.fail)


@pytest.fixture
def repository(tmp_path):
    """A commit with a project in a folder."""
    root = tmp_path / "top/project"
    root.mkdir(parents=True)
    (root / "aksci.toml").write_text("schema = 1\n")
    git(root.parent, "init", "--quiet")
    commit(root)
    return root


def commit(root):
    git(root, "add", "--all", "--force", ".")
    git(root, "commit", "--quiet", "--allow-empty", "--message=x")
    return git(root, "rev-parse", "HEAD")


def asked(root, **variables):
    return source_commit(root, runner=runner_with(**variables))


@pytest.mark.parametrize("place", ["", "a", "a/b c"])
def test_a_change_of_the_project_is_told_wherever_it_is_in_its_repository(tmp_path, place):
    root = tmp_path / "top" / place
    root.mkdir(parents=True)
    (root / "aksci.toml").write_text("schema = 1\n")
    git(tmp_path / "top", "init", "--quiet")
    head = commit(root)
    assert asked(root) == head
    (root / "aksci.toml").write_text("schema = 2\n")
    assert asked(root) == f"{head}-dirty"
    git(root, "checkout", "--quiet", ".")
    (root / "new").touch()
    assert asked(root) == f"{head}-dirty"
    commits = ask_git(root, "log", "--format=%H", paths=("literal:",), runner=runner_with())
    assert commits.text.split() == [head]
    (root / "new").unlink()
    (root / ".aksci").mkdir()
    (root / ".aksci/build.json").touch()  # a run of ours, where .gitignore does not name it
    assert asked(root) == head


def told(root, folder=".aksci", **variables):
    return tracked_files(root, folder, sources="aksci.toml", runner=runner_with(**variables))


def plant(folder, mark):
    """Make a folder a repository, as a commit can hold one; whoever believes it runs a command."""
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
        (folder / name / "keep").write_text("")
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(
        "[core]\n\trepositoryformatversion = 1\n\tbare = false\n\tworktree = .\n"
        f'\tfsmonitor = "touch {mark}; false"\n\thooksPath = .\n'
        f"[extensions]\n\tpartialClone = origin\n"
        f'[remote "origin"]\n\tpromisor = true\n\turl = ext::sh -c touch% {mark}\n'
        '[protocol "ext"]\n\tallow = always\n'
    )


@pytest.mark.parametrize("place", ["", ".aksci", "deep/er"])
def test_a_repository_among_the_sources_is_not_asked_and_runs_nothing(repository, tmp_path, place):
    mark = tmp_path / "ran"
    plant(repository / place, mark)
    head = commit(repository.parent)
    # git itself is fooled by it: the attack is a real one.
    fooled = repository / place
    subprocess.run(["git", "status"], cwd=fooled, env=ALONE, check=False, capture_output=True)
    assert mark.exists()
    mark.unlink()
    assert asked(repository) == head
    brought = told(repository).files
    assert bool(brought) is (place == ".aksci")
    assert not ask_git(repository, "log", "-1", "--format=%H", runner=runner_with()).problem
    assert not mark.exists()


def test_what_the_repositorys_own_configuration_would_run_is_not_run(repository, tmp_path):
    """Its folder of hooks may be among the sources, as some tools set it up."""
    mark = tmp_path / "ran"
    hook = repository / "hooks/post-index-change"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    head = commit(repository)
    git(repository, "config", "core.hooksPath", str(hook.parent))
    git(repository, "config", "core.fsmonitor", f"touch {mark}; false")
    os.utime(repository / "aksci.toml", (1, 1))
    assert asked(repository) == head
    assert not told(repository).problem
    assert not mark.exists()
    git(repository, "status")
    assert mark.exists(), "the attack is a real one"


def test_an_object_that_a_partial_clone_lacks_is_not_fetched(repository, tmp_path):
    mark = tmp_path / "ran"
    git(repository, "config", "extensions.partialClone", "origin")
    git(repository, "config", "remote.origin.promisor", "true")
    git(repository, "config", "remote.origin.url", f"ext::sh -c touch% {mark}")
    git(repository, "config", "protocol.ext.allow", "always")
    missing = ("cat-file", "-e", "1" * 40 + "^{commit}")
    assert ask_git(repository, *missing, runner=runner_with()).problem
    assert not mark.exists()
    subprocess.run(["git", *missing], cwd=repository, env=ALONE, check=False, capture_output=True)
    assert mark.exists(), "the attack is a real one"


@pytest.mark.parametrize(
    "variables",
    [
        {"GIT_DIR": "{other}/.git"},
        {"GIT_DIR": "{other}/.git", "GIT_WORK_TREE": "{other}"},
        {"GIT_INDEX_FILE": "{other}/.git/index"},
        {"GIT_LITERAL_PATHSPECS": "1"},
        {"GIT_ICASE_PATHSPECS": "1"},
        {"GIT_CEILING_DIRECTORIES": "/"},
        {"GIT_OBJECT_DIRECTORY": "{other}"},
        {"GIT_NAMESPACE": "x"},
    ],
)
def test_variables_that_name_another_repository_change_no_answer(repository, tmp_path, variables):
    """As those that git sets for the hook that runs us."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "aksci.toml").write_text("")
    git(other, "init", "--quiet")
    commit(other)
    (repository / ".aksci").mkdir()
    (repository / ".aksci/built.json").write_text("{}")
    head = commit(repository)
    given = {name: value.format(other=other) for name, value in variables.items()}
    assert asked(repository, **given) == head
    assert told(repository, **given).files == ("project/.aksci/built.json",)


def test_a_users_own_configuration_still_counts(repository):
    """``safe.directory`` of a container comes in variables."""
    git(repository.parent, "config", "core.excludesFile", "")
    name = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "x"}
    answer = ask_git(repository, "config", "user.name", runner=runner_with(**name))
    assert answer.text == "x\n"


@pytest.mark.parametrize("name", [".aksci/built.json", ".AKSCI/built.json", ".Aksci/x/y", ".aksci"])
def test_what_git_brings_is_told_in_whatever_case(repository, name):
    assert told(repository) == told(repository, "none")
    assert told(repository).problem == ""
    path = repository / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("{}")
    assert told(repository).files == (), "nobody has committed it"
    commit(repository)
    assert told(repository).files == (f"project/{name}",)


def test_a_submodule_in_our_folders_place_is_told(repository, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    commit(other)
    git(repository, "submodule", "--quiet", "add", str(other), ".aksci")
    assert told(repository).files == ("project/.aksci",)


def test_a_sparse_checkout_hides_nothing(repository):
    (repository / ".aksci").mkdir()
    (repository / ".aksci/built.json").write_text("{}")
    commit(repository)
    git(repository.parent, "sparse-checkout", "set", "--no-cone", "/project/aksci.toml")
    assert not (repository / ".aksci").exists()
    assert told(repository).files == ("project/.aksci/built.json",)


def test_a_worktree_and_a_submodule_are_repositories_of_their_own(repository, tmp_path):
    git(repository, "worktree", "add", "--quiet", str(tmp_path / "second"))
    head = commit(tmp_path / "second")
    assert asked(tmp_path / "second/project") == head
    assert told(tmp_path / "second/project").problem == ""
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet")
    git(outer, "submodule", "--quiet", "add", str(repository.parent), "sub")
    assert told(outer / "sub/project").problem == ""
    assert asked(outer / "sub/project") == git(outer / "sub", "rev-parse", "HEAD")


def test_gitmodules_hides_no_change_of_a_submodule(repository, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    commit(other)
    git(repository, "submodule", "--quiet", "add", str(other), "sub")
    git(repository.parent, "config", "-f", ".gitmodules", "submodule.project/sub.ignore", "all")
    head = commit(repository.parent)
    assert asked(repository) == head
    commit(repository / "sub")
    assert asked(repository) == f"{head}-dirty"


def test_a_repository_that_does_not_track_the_project_can_not_tell(tmp_path):
    """An archive that was unpacked in another repository: to git, all of it is new."""
    git(tmp_path, "init", "--quiet")
    root = tmp_path / "unpacked"
    root.mkdir()
    (root / "aksci.toml").write_text("")
    assert "does not track unpacked/aksci.toml" in told(root).problem
    (root / ".aksci").write_text("")
    git(root, "add", ".aksci")
    assert told(root).files == ("unpacked/.aksci",)


def test_no_repository_a_damaged_one_and_no_git_can_not_tell(tmp_path, repository):
    (tmp_path / "aksci.toml").write_text("")
    assert "is in no git repository" in told(tmp_path).problem
    assert asked(tmp_path) == ""
    assert told(repository, PATH="").problem == "git is not installed"
    assert asked(repository, PATH="") == ""
    (repository.parent / ".git/HEAD").write_text("damaged")
    assert told(repository).problem
    assert asked(repository) == ""
    # Nor does git look above a damaged one for another.
    git(tmp_path, "init", "--quiet")
    (tmp_path / "top/.git/HEAD").unlink()
    assert "ls-files" in told(repository).problem


def test_a_checkout_of_another_user_can_not_tell(repository):
    """git refuses it (``safe.directory``); where tests are not root's, it is told so by hand."""
    owner = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    assert told(repository, **owner).problem == "", "no variable of a test's reaches git"
    if os.geteuid() == 0:
        for path in (repository.parent, *repository.parent.rglob("*")):
            os.chown(path, 12345, 12345)
        assert "dubious ownership" in told(repository).problem
        trusted = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        assert told(repository, **trusted).problem == ""
