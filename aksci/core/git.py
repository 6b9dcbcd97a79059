"""Every call of git, in one function: questions about the repository around the project.

The sources may hold what git takes for a repository: a bare one needs no more than ``HEAD``,
``objects`` and ``refs``, which a commit may contain, and a ``config`` beside them names commands
that git runs (git-config(1), ``safe.bareRepository``). So git is started where the nearest ``.git``
is, which no commit can hold, and there it looks for no other; and what configuration could make a
question run, is switched off.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import AksciError, Interrupted
from aksci.core.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.core.process import Runner

__all__ = [
    "NO_GIT",
    "GitAnswer",
    "Tracked",
    "ask_git",
    "find_top",
    "repository_of",
    "source_commit",
    "tracked_files",
]

NO_GIT = "git is not installed"
_TIMEOUT = 60.0  # seconds
_LONGEST = 200  # characters of what git complains of
_WORK = ".aksci"  # below the project: what our runs leave there
_SETTINGS = (
    # A command that git runs to learn what has changed. Empty: before 2.36, a word was a command.
    "core.fsmonitor=",
    # Where git finds repositories by itself, it takes no bare one (from 2.38 on; earlier versions
    # don't know the setting, and find none either: see ``ask_git``).
    "safe.bareRepository=explicit",
    # ``post-index-change`` is for ``git status``, too; the folder of hooks may be in the sources.
    "core.hooksPath=/dev/null",
    # Runs gpg.
    "log.showSignature=false",
    "submodule.recurse=false",
)
_VARIABLES = {
    # No writing: git's index is the user's, and another git may be at work on it.
    "GIT_OPTIONAL_LOCKS": "0",
    # A clone without all objects would fetch them, by a command of its configuration. Versions that
    # don't know the first may use no protocol for it.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_TERMINAL_PROMPT": "0",
}
_KEPT = (
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_VALUE_",
    "GIT_EXEC_PATH",
)
"""Variables of git that we pass on: where its program and the user's own configuration are, such as
``safe.directory`` in a container. All others name another repository, index or meaning of paths, as
those that git sets for its hooks (git-rev-parse(1), ``--local-env-vars``)."""


@dataclass(frozen=True, kw_only=True)
class GitAnswer:
    """What git said."""

    text: str = ""
    problem: str = ""
    """Why it did not answer, in one harmless line; empty: it did."""


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """What git says of a folder: whether it came with the sources."""

    files: tuple[str, ...] = ()
    """What of it git tracks."""
    problem: str = ""
    """Why git can't tell; empty: it can."""


def find_top(folder: Path) -> Path | None:
    """Return the work tree that a folder is in; None: it is in none.

    Git keeps no file called ``.git``, so that nothing in a tree can pretend to be its top.

    :param folder: absolute and resolved.
    """
    # A folder, or a file in a linked work tree.
    return next(
        (each for each in (folder, *folder.parents) if os.path.lexists(each / ".git")), None
    )


def repository_of(folder: Path) -> Path:
    """Return the work tree that a folder is in; outside of any, the folder itself."""
    return find_top(folder) or folder


def ask_git(root: Path, *words: str, runner: Runner, paths: tuple[str, ...] = ()) -> GitAnswer:
    """Ask about the repository around a folder, without any effect on it.

    :param words: a command that only reads, with its options.
    :param paths: what it is about, relative to ``root``; each a pathspec's magic words, a colon and
        a path, such as ``literal:a/b``.
    """
    if shutil.which("git", path=runner.environment.get("PATH", os.defpath)) is None:
        return GitAnswer(problem=NO_GIT)
    root = root.resolve()
    top = find_top(root)
    if top is None:
        return GitAnswer(problem=f"{root} is in no git repository")
    settings = (word for setting in _SETTINGS for word in ("-c", setting))
    # In the folder of ``.git``, git looks for that first; and not above it, should it be damaged.
    argv = ["git", "-C", str(top), "--no-pager", *settings, *words]
    if paths:
        argv += ["--", *(_pathspec(root.relative_to(top), each) for each in paths)]
    kept = {
        name: value
        for name, value in runner.environment.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT)
    }
    ceiling = {"GIT_CEILING_DIRECTORIES": str(top.parent)}
    try:
        found = runner.ask(argv, timeout=_TIMEOUT, env={**kept, **_VARIABLES, **ceiling})
    except Interrupted:
        raise
    except AksciError as error:  # it took too long, or could not be started
        return GitAnswer(problem=one_line(error.message, _LONGEST))
    if found.status:
        said = one_line(found.stderr.strip() or f"status {found.status}", _LONGEST)
        return GitAnswer(problem=f"git {words[0]}: {said}")
    return GitAnswer(text=found.stdout)


def _pathspec(folder: Path, spec: str) -> str:
    magic, _, path = spec.partition(":")
    # Normalised here: what is meant literally, git takes as it is, and finds nothing called ".".
    found = posixpath.normpath((folder / path).as_posix())
    return f":(top,{magic}){'' if found == '.' else found}"


def source_commit(root: Path, *, runner: Runner) -> str:
    """Return the commit of the project's folder, ``-dirty`` appended where files have changed.

    Empty without git, or outside a repository.
    """
    # "Porcelain Format Version 2" of git's manual: headers begin with #, all else is a change.
    # Only the project: in a repository with several, another one's changes make nothing dirty here.
    # Without what our own runs leave there: no source, whether .gitignore names it or not.
    # ``none``: .gitmodules could say that what has changed in a submodule does not count.
    words = ("status", "--porcelain=v2", "--branch", "--ignore-submodules=none")
    paths = ("literal:", f"exclude,literal:{_WORK}")
    lines = ask_git(root, *words, paths=paths, runner=runner).text.splitlines()
    heads = [line.split()[2] for line in lines if line.startswith("# branch.oid ")]
    # "(initial)": a repository without a commit.
    if not heads or heads[0] == "(initial)":
        return ""
    changed = any(not line.startswith("# ") for line in lines)
    return heads[0] + ("-dirty" if changed else "")


def tracked_files(root: Path, folder: str, *, sources: str, runner: Runner) -> Tracked:
    """Ask git what of a folder came with the sources.

    :param root: the project's folder.
    :param folder: relative to it, in the repository; in any case, since a file system may not tell
        cases apart.
    :param sources: a file of the project that git must track: a repository which does not is not
        where the sources come from, and can't tell what came with them.
    """
    # ``-z``: without it, git quotes names that are not ASCII.
    paths = (f"icase,literal:{folder}", f"literal:{sources}")
    answer = ask_git(root, "ls-files", "-z", "--full-name", paths=paths, runner=runner)
    if answer.problem:
        return Tracked(problem=answer.problem)
    root = root.resolve()
    top = repository_of(root)
    own = (root.relative_to(top) / sources).as_posix()
    listed = set(filter(None, answer.text.split("\0")))
    strange = "" if own in listed else f"the git repository of {top} does not track {own}"
    return Tracked(files=tuple(sorted(listed - {own})), problem=strange)
