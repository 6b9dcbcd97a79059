"""What git says of the project's folder: its commit, and which files came with the sources."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.core.process import Runner

__all__ = ["files_in_git", "source_commit"]

_TIMEOUT = 60.0  # seconds


def source_commit(root: Path, *, runner: Runner, variables: Mapping[str, str]) -> str:
    """Return the commit of the project's folder, ``-dirty`` appended where files have changed.

    Empty without git, or outside a repository.
    """
    if shutil.which("git", path=variables.get("PATH")) is None:
        return ""
    # "Porcelain Format Version 2" of git's manual: headers begin with #, all else is a change.
    status = runner.ask(
        # ``-- .``: in a repository with several projects, another one's changes make nothing dirty
        # here.
        ["git", "-C", root, "status", "--porcelain=v2", "--branch", "--", "."],
        timeout=_TIMEOUT,
    )
    lines = status.stdout.splitlines()
    heads = [line.split()[2] for line in lines if line.startswith("# branch.oid ")]
    # "(initial)": a repository without a commit.
    if status.status != 0 or not heads or heads[0] == "(initial)":
        return ""
    changed = any(not line.startswith("# ") for line in lines)
    return heads[0] + ("-dirty" if changed else "")


def files_in_git(folder: Path, *, runner: Runner, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files of a folder that git brings with the sources; none where there is no git."""
    if shutil.which("git", path=variables.get("PATH")) is None or not folder.is_dir():
        return ()
    # ``-z``: without it, git quotes names that are not ASCII.
    listed = runner.ask(["git", "-C", folder, "ls-files", "-z"], timeout=_TIMEOUT)
    return tuple(filter(None, listed.stdout.split("\0"))) if listed.status == 0 else ()
