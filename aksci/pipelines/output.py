"""Data for other programs: the only thing that goes to stdout.

It goes when the last session is a composition of steps: ``aksci.steps.show`` takes its place.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from aksci.core.errors import UsageError
from aksci.core.files import write_atomically
from aksci.core.text import safe_json, sanitise

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.cli.options import Options
    from aksci.environment import Environment

__all__ = ["deliver", "place_for", "renderer_of", "show", "show_json"]

T = TypeVar("T")


def show(text: str) -> None:
    """Write text to stdout, sanitised, whatever characters its encoding lacks."""
    _write(sanitise(text))


def show_json(document: Any) -> None:
    """Write a JSON document to stdout."""
    _write(safe_json(document))


def renderer_of(session: str, options: Options, table: Mapping[str, T]) -> T:
    """Return what a session does for ``--format``.

    :param table: the formats that it knows.
    :raises UsageError: it does not know this one.
    """
    if options.format not in table:
        known = ", ".join(table)
        raise UsageError(
            f"{session} can't be shown as {options.format!r}; it takes --format {known}."
        )
    return table[options.format]


def deliver(env: Environment, options: Options, text: str, *, code: bool = False) -> None:
    """Write a result to stdout, or to the file that ``--output`` names.

    :param code: it is JSON or HTML, where ``sanitise`` would change the meaning.
    :raises UsageError: the file's folder does not exist.
    """
    if not options.output:
        _write(text if code else sanitise(text))
        return
    path = place_for(env, "--output", options.output)
    try:
        write_atomically(path, (text if code else sanitise(text)) + "\n", mode=0o666)
    except OSError as error:
        raise UsageError(f"--output {options.output}: {error.strerror}.") from None
    env.reporter.line(f"written: {path}")


def place_for(env: Environment, option: str, name: str) -> Path:
    """Return the path that an option names, relative to the project.

    :raises UsageError: it is a folder, or its folder does not exist; ``.aksci`` is made.
    """
    path = env.root / name
    if path.is_dir():
        raise UsageError(f"{option} {name}: {path} is a folder, and not a file.")
    if path.parent == env.work:
        env.work.mkdir(exist_ok=True)
    if not path.parent.is_dir():
        raise UsageError(
            f"{option} {name}: the folder {path.parent} does not exist.",
            hint=f"mkdir -p {path.parent}",
        )
    return path


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
