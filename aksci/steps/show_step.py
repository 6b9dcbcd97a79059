"""The step ``show``: a value for people or for other programs, the only thing on stdout."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError, UsageError
from aksci.core.files import write_atomically
from aksci.core.inside import place_named
from aksci.core.text import sanitise, write_line

if TYPE_CHECKING:
    from aksci.environment import Environment

__all__ = ["place_for", "require_showable", "show"]


_DEVICES = frozenset({Path("/dev"), Path("/proc"), Path("/sys")})


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
        # JSON can hold half a surrogate pair, which UTF-8 can't.
        write_atomically(path, (text + "\n").encode("utf-8", "replace"), mode=0o666)
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
    :raises UsageError: it is a folder, its folder does not exist (``.aksci`` is made), or a link
        leads out of the project or of ``.aksci``.
    """
    try:
        # What the command line writes as a place in the project may be behind a committed link.
        # The last name need not be looked at: a file is replaced, and a link with it.
        written = Path(name)
        path = place_named(env.root, written.parent, where=f"{option} {name}") / written.name
    except ConfigError as error:
        raise UsageError(error.message, hint=error.hint) from None
    if path.is_dir():
        raise UsageError(f"{option} {name}: {path} is a folder, and not a file.")
    # What is there is replaced: of a device, root would take it from every program.
    if _DEVICES & set(path.parents) or (path.exists() and not path.is_file()):
        raise UsageError(
            f"{option} {name}: {path} is no file.", hint=f"without {option}, it goes to stdout."
        )
    if env.work in Path(os.path.normpath(env.root / written)).parents:
        real = env.work_folder.make()
        if not path.is_relative_to(real.resolve()):
            raise UsageError(f"{option} {name}: a symbolic link leads out of {real}.")
    if not path.parent.is_dir():
        raise UsageError(
            f"{option} {name}: the folder {path.parent} does not exist.",
            hint=f"mkdir -p {path.parent}",
        )
    return path
