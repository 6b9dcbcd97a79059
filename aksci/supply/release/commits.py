"""The commits of the project's folder between two releases, as far as this clone has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.git import NO_GIT, ask_git
from aksci.core.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.core.process import Runner

__all__ = ["Commit", "CommitRange", "read_commits"]

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MOST = 500
_LONGEST = 120


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit."""

    hash: str
    subject: str
    """One harmless line."""


@dataclass(frozen=True, kw_only=True)
class CommitRange:
    """What lies between two releases."""

    added: tuple[Commit, ...] = ()
    """In the new release and not in the old one; the last first."""
    removed: tuple[Commit, ...] = ()
    """In the old release only: the new one goes back, or is on another branch."""
    note: str = ""
    """Why they are not known, or not all of it."""


def read_commits(root: Path, old: str, new: str, *, runner: Runner) -> CommitRange:
    """Ask git which commits that touch the project's folder lie between two releases' commits.

    :param old: of a release, ``-dirty`` included; it need not be trusted.
    """
    first, last = (commit.removesuffix("-dirty") for commit in (old, new))
    if not (_HASH.fullmatch(first) and _HASH.fullmatch(last)):
        return CommitRange(note="a release does not name its commit")
    dirty = " and ".join(
        word for word, commit in (("old", old), ("new", new)) if commit.endswith("-dirty")
    )
    note = f"of uncommitted changes, too: the {dirty} release" if dirty else ""
    if first == last:
        return CommitRange(note=note)
    problems = {commit: _problem(root, commit, runner) for commit in (first, last)}
    if NO_GIT in problems.values():
        return CommitRange(note=NO_GIT)
    missing = [commit[:12] for commit, problem in problems.items() if problem]
    if missing:
        names = " and ".join(missing)
        return CommitRange(note=f"this clone has no {names} (git fetch --unshallow gets it)")
    return _log(root, first, last, note, runner)


def _problem(root: Path, commit: str, runner: Runner) -> str:
    return ask_git(root, "cat-file", "-e", f"{commit}^{{commit}}", runner=runner).problem


def _log(root: Path, first: str, last: str, note: str, runner: Runner) -> CommitRange:
    """Read both sides; "Pretty Formats" of git's manual: %m is the side, -z ends each by NUL."""
    # A user's configuration may add names of branches, and follow renames.
    words = ["log", "-z", "--no-decorate", "--no-follow", "--left-right"]
    words += [f"--max-count={_MOST}", "--format=%m%H %s", f"{first}...{last}"]
    answer = ask_git(root, *words, paths=("literal:",), runner=runner)
    if answer.problem:
        return CommitRange(note="git could not tell them")
    sides: dict[str, list[Commit]] = {"<": [], ">": []}
    entries = list(filter(None, answer.text.split("\0")))
    for entry in entries:
        name, _, subject = entry[1:].partition(" ")
        sides[entry[0]].append(Commit(hash=name, subject=one_line(subject, _LONGEST)))
    notes = [note, f"only the last {_MOST} are listed" if len(entries) >= _MOST else ""]
    return CommitRange(
        added=tuple(sides[">"]),
        removed=tuple(sides["<"]),
        note="; ".join(filter(None, notes)),
    )
