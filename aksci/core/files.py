"""Write files so that nobody ever sees half of one; and where a user's own files are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["home_of", "user_folder", "write_atomically"]


def home_of(variables: Mapping[str, str]) -> Path:
    """Return the user's home; what the process's own variables say only where these don't."""
    home = variables.get("HOME")
    return Path(home) if home else Path.home()


def user_folder(variables: Mapping[str, str], name: str, default: str) -> Path:
    """Return aksci's folder below an XDG base directory (XDG Base Directory Specification 0.8).

    :param name: the variable that names the base.
    :param default: the base, relative to the user's home.
    """
    base = variables.get(name, "")
    # The specification: a relative path in these variables is invalid, and ignored.
    return (Path(base) if base.startswith("/") else home_of(variables) / default) / "aksci"


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Write a file so that a reader, or a kill, sees either the old content or the new one.

    :param mode: of a new file, less the umask. Only its owner may read it unless told otherwise.
    """
    data = content.encode() if isinstance(content, str) else content
    # In the same folder: rename(2) replaces a file only within one file system.
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)  # a killed process of the same number may have left one
    # O_EXCL follows no symbolic link that somebody has put in its place, and the mode counts before
    # anything is in it.
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        draft.replace(path)
    except BaseException:  # Ctrl-C leaves no draft either
        draft.unlink(missing_ok=True)
        raise
