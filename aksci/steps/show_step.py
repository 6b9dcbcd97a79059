"""The step ``show``: a value for people or for other programs, the only thing on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from aksci.core.errors import UsageError
from aksci.core.files import write_atomically
from aksci.core.text import sanitise, write_line

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.environment import Environment

__all__ = ["place_for", "require_showable", "show"]


def show(
    env: Environment, value: object, *, format: str = "text", output: str | None = None
) -> None:
    """Write what a step returned to stdout, or to a file.

    >>> show(env, plan(env), format="markdown", output="plan.md")  # doctest: +SKIP

    :param value: a plan, a graph, verdicts, an audit, what ``load_release`` returns…; a text is
        written as it is.
    :param format: ``text``, ``json``, ``markdown``…; each kind of value has some of them.
    :param output: a file, relative to the project's folder.
    :raises UsageError: the value can't be shown so, or the file's folder does not exist.
    """
    from aksci.report.rendering import CODE_FORMATS, render

    text = render(value, format)
    text = text if format in CODE_FORMATS else sanitise(text)
    if output is None:
        write_line(sys.stdout, text)
        return
    path = place_for(env, "--output", output)
    try:
        write_atomically(path, text + "\n", mode=0o666)
    except OSError as error:
        raise UsageError(f"--output {output}: {error.strerror}.") from None
    env.reporter.line(f"written: {path}")


def require_showable(
    env: Environment, kind: str, *, format: str = "text", output: str | None = None
) -> None:
    """Refuse at once what ``show`` would refuse at the end of the work.

    >>> require_showable(env, "Verdicts", format="sarif", output="report.sarif")  # doctest: +SKIP

    :param kind: name of the type of what will be shown.
    :raises UsageError: such a value can't be shown so, or the file's folder does not exist.
    """
    from aksci.report.rendering import require_format

    require_format(kind, format)
    if output is not None:
        place_for(env, "--output", output)


def place_for(env: Environment, option: str, name: str) -> Path:
    """Return the path that an option names, relative to the project.

    >>> place_for(env, "--report", "out/load.html")  # doctest: +SKIP
    PosixPath('/home/me/shop/out/load.html')

    :param option: as it was given, for the message.
    :param name: what it names.
    :raises UsageError: it is a folder, or its folder does not exist, or is behind a link out of
        ``.aksci``, which is made.
    """
    path = env.root / name
    if path.is_dir():
        raise UsageError(f"{option} {name}: {path} is a folder, and not a file.")
    if env.work in path.parents:
        real = env.work_folder.make()
        if not path.parent.resolve().is_relative_to(real.resolve()):
            raise UsageError(f"{option} {name}: a symbolic link leads out of {real}.")
    if not path.parent.is_dir():
        raise UsageError(
            f"{option} {name}: the folder {path.parent} does not exist.",
            hint=f"mkdir -p {path.parent}",
        )
    return path
