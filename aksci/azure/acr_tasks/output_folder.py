"""Keep a folder of written files: what an export wrote, it may replace and remove, and no more."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import UsageError
from aksci.core.files import write_atomically
from aksci.core.strict_json import parse_json
from aksci.core.work_folder import WorkFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACR_TASKS", "export_folder", "tasks_folder", "write_folder"]

ACR_TASKS = "acr-tasks"
"""The folder's name, where nobody chooses another."""

_LIST = ".aksci-export.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


def export_folder(root: Path, chosen: Path | str | None) -> Path:
    """Return where an export goes.

    :param chosen: relative to the project's folder.
    :raises UsageError: it is a file, or behind a link.
    """
    folder = Path(os.path.abspath(root / (chosen or f".aksci/{ACR_TASKS}")))  # noqa: PTH100
    # An export replaces and removes files. A link in the sources must not choose which.
    if folder.is_relative_to(root) and folder.resolve() != folder:
        raise UsageError(
            f"--output {chosen or folder.relative_to(root)}: a symbolic link leads elsewhere, to "
            f"{folder.resolve()}.",
            hint="name the folder itself.",
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output {chosen}: {folder} is a file, and not a folder.")
    return folder


def tasks_folder(root: Path, folder: Path) -> str:
    """Return a folder as a task finds it; where it is elsewhere, where it would be put."""
    inside = folder.resolve()
    return inside.relative_to(root).as_posix() if inside.is_relative_to(root) else ACR_TASKS


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write files, and remove those that an earlier export wrote and this one does not.

    :raises UsageError: a file of the same name is there that no export wrote.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = _written(folder)
    # All are looked at before the first is written: a refused export changes nothing.
    strange = [name for name in files if name not in written and (folder / name).exists()]
    if strange:
        raise UsageError(
            f"{folder / strange[0]} exists, and no export wrote it.",
            hint="name a folder of its own with --output.",
        )
    # The list first: whatever stops this, the next export knows its own files.
    _list(folder, written | files.keys())
    for name, content in files.items():
        # Less the umask: scripts can be run, and the folder is to be committed.
        write_atomically(folder / name, content, mode=0o777 if name.endswith(".sh") else 0o666)
    for name in written - files.keys():
        (folder / name).unlink(missing_ok=True)
    _list(folder, frozenset(files))


def _written(folder: Path) -> frozenset[str]:
    """Return what earlier exports wrote. Names that lead out of the folder are no names."""
    try:
        document = parse_json(WorkFolder(folder).read(_LIST))
    except (FileNotFoundError, ValueError):
        return frozenset()
    names = document.get("files") if isinstance(document, dict) else None
    return frozenset(
        name
        for name in (names if isinstance(names, list) else [])
        if isinstance(name, str) and _NAME.fullmatch(name)
    )


def _list(folder: Path, names: frozenset[str]) -> None:
    document = {"schema": 1, "files": sorted(names)}
    write_atomically(folder / _LIST, json.dumps(document, indent=2) + "\n", mode=0o666)
