"""The commits of the project's folder between two releases, as far as this clone has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import ToolError
from aksci.core.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.core.process import Runner

__all__ = ["Commit", "CommitRange", "read_commits"]

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TIMEOUT = 60.0  # seconds
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
    try:
        missing = [commit for commit in (first, last) if not _has(root, commit, runner)]
        if missing:
            names = " and ".join(commit[:12] for commit in missing)
            return CommitRange(note=f"this clone has no {names} (git fetch --unshallow gets it)")
        return _log(root, first, last, note, runner)
    except ToolError:
        return CommitRange(note="git is not installed")


def _has(root: Path, commit: str, runner: Runner) -> bool:
    words: list[str | Path] = ["git", "-C", root, "cat-file", "-e", f"{commit}^{{commit}}"]
    return runner.ask(words, timeout=_TIMEOUT).status == 0


def _log(root: Path, first: str, last: str, note: str, runner: Runner) -> CommitRange:
    """Read both sides; "Pretty Formats" of git's manual: %m is the side, -z ends each by NUL."""
    # A user's configuration may add lines about signatures, and names of branches.
    words = ["-c", "log.showSignature=false", "log", "-z", "--no-decorate", "--no-follow"]
    words += ["--left-right", f"--max-count={_MOST}", "--format=%m%H %s"]
    result = runner.ask(
        ["git", "-C", root, *words, f"{first}...{last}", "--", "."], timeout=_TIMEOUT
    )
    if result.status:
        return CommitRange(note="git could not tell them")
    sides: dict[str, list[Commit]] = {"<": [], ">": []}
    entries = list(filter(None, result.stdout.split("\0")))
    for entry in entries:
        name, _, subject = entry[1:].partition(" ")
        sides[entry[0]].append(Commit(hash=name, subject=one_line(subject, _LONGEST)))
    notes = [note, f"only the last {_MOST} are listed" if len(entries) >= _MOST else ""]
    return CommitRange(
        added=tuple(sides[">"]),
        removed=tuple(sides["<"]),
        note="; ".join(filter(None, notes)),
    )
