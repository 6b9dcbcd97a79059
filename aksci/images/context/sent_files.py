"""Find a file of a folder where BuildKit finds it: links are followed inside the folder only.

BuildKit asks its client for a path and for what links lead to (fsutil, ``FollowLinks``), then reads
the path in what it got. In both, the folder is the root: a link's ``/`` begins there, and its
``..`` ends there.
"""

from __future__ import annotations

import os
import posixpath
import stat

__all__ = ["find_sent_file"]

_MOST_LINKS = 255


def find_sent_file(folder: str, name: str) -> str | None:
    """Return where a regular file of a folder is; None: BuildKit finds none."""
    try:
        if stat.S_ISREG(os.lstat(f"{folder}/{name}").st_mode):  # nearly always
            return f"{folder}/{name}"
    except OSError:
        return None
    sent, read = (_follow(folder, name, as_text=as_text) for as_text in (True, False))
    # After a link to a folder, ``..`` means one thing as text and another one on disk.
    if sent is None or sent != read:
        return None
    path = f"{folder}/{sent}"
    return path if stat.S_ISREG(os.lstat(path).st_mode) else None


def _follow(folder: str, name: str, *, as_text: bool) -> str | None:
    """Return where a path leads, without links; None: nowhere.

    :param as_text: links are made shorter before they are followed, as the client does it.
    """
    waiting = [name]
    at: list[str] = []
    for _ in range(_MOST_LINKS):
        while waiting:
            part, _, rest = waiting.pop().partition("/")
            waiting += [rest] if rest else []
            at = at[:-1] if part == ".." else [*at, part] if part not in {"", "."} else at
            place = "/".join([folder, *at])
            if at and part != ".." and os.path.islink(place):  # noqa: PTH114 - a path is text here
                break
        else:
            return "/".join(at) if os.path.lexists("/".join([folder, *at])) else None
        target = os.readlink(place)  # noqa: PTH115
        at = [] if target.startswith("/") else at[:-1]
        if as_text:
            target, at = posixpath.normpath("/".join(["", *at, target])), []
        waiting.append(target)
    return None
