"""Reasons in words, for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aksci.images.reasons import Reason

__all__ = ["explain", "short_digest"]

_FILES = 4
"""Named in a sentence; data has more of them."""
_GIT = re.compile(r"(?:^|: )\.git(?:/|$)")
"""Git's own folder at the top of a context; before paths of a named one, its name stands."""
_LONGEST = 80
"""Characters of one value."""


def explain(reason: Reason) -> str:
    """Return a reason in words, on one line."""
    return " ".join(_words(reason).split())


def short_digest(digest: str | None) -> str:
    """Return what people compare digests by: 12 digits, or ``nothing``."""
    return (digest or "nothing").removeprefix("sha256:")[:12]


def _words(reason: Reason) -> str:
    code = str(reason["code"])
    return _WORDS[code](reason) if code in _WORDS else code


def _moved(reason: Reason) -> str:
    old, new = short_digest(reason["old"]), short_digest(reason["new"])
    return f"{reason['reference']} moved from {old} to {new}"


def _missing(reason: Reason) -> str:
    if reason.get("known"):
        return "nothing differs from its last build, but the registry has lost that"
    return "no build of it was published yet"


def _failed(reason: Reason) -> str:
    return f"the same inputs failed in run {reason['run']}: {_cut(str(reason['error']))}"


def _key_schema(reason: Reason) -> str:
    change = f"{reason['old']} → {reason['new']}"
    return f"this version of aksci computes keys in another way ({change})"


def _source(reason: Reason) -> str:
    files, count = reason.get("files") or [], reason.get("count")
    if not files:
        return "files in its context changed"
    named = [
        one["path"] if one["change"] == "changed" else f"{one['path']} ({one['change']})"
        # What a person has written comes first, before what git has.
        for one in sorted(files, key=lambda one: bool(_GIT.search(one["path"])))[:_FILES]
    ]
    rest = (count or len(files)) - len(named)
    more = f" and {rest} more" if rest else ""
    told = f"files in its context changed: {', '.join(map(_cut, named))}{more}"
    return told + _of_git([one["path"] for one in files], complete=len(files) == (count or 0))


def _of_git(paths: Sequence[str], *, complete: bool) -> str:
    """Say what to do where git's own folder counts: it changes with each commit, and each clone."""
    inside = [path for path in paths if _GIT.search(path)]
    if not inside:
        return ""
    alone = complete and len(inside) == len(paths)
    what = "nothing but" if alone else "among them"
    return f" ({what} git's own folder: .git in its .dockerignore leaves that out)"


def _dockerfile(reason: Reason) -> str:
    changes = reason.get("instructions") or []
    told = [
        f"{one['change']} {one['keyword']}"
        + (f" in {_lines(one['lines'])}" if one["lines"] else "")
        for one in changes[:_FILES]
    ]
    more = f" and {len(changes) - len(told)} more" if len(changes) > len(told) else ""
    return "its Dockerfile changed" + (f": {', '.join(told)}{more}" if told else "")


def _lines(span: Iterable[int]) -> str:
    first, last = span
    return f"line {first}" if first == last else f"lines {first}-{last}"


def _parent(reason: Reason) -> str:
    image = reason["image"]
    if reason.get("waiting"):
        return f"{image}, which it needs, is built first"
    old, new = short_digest(reason.get("old")), short_digest(reason.get("new"))
    return f"{image}, which it needs, is new ({old} → {new})"


def _value(value: Any) -> str:
    return "nothing" if value is None else _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _arg(reason: Reason) -> str:
    return f"{reason['name']} changed from {_value(reason['old'])} to {_value(reason['new'])}"


_WORDS: dict[str, Callable[[Reason], str]] = {
    "ARG": _arg,
    "BASELINE": lambda reason: (
        f"it is not known what it was built from: {_cut(str(reason['why']))}"
    ),
    "BASE_DRIFT": _moved,
    "DOCKERFILE": _dockerfile,
    "FORCED": lambda _: "it was asked for (--force)",
    "KEY_SCHEMA": _key_schema,
    "MISSING": _missing,
    "OPAQUE": lambda reason: f"nobody knows what else it is made of: {reason['why']}",
    "PARENT": _parent,
    "PREVIOUSLY_FAILED": _failed,
    "SAME": lambda reason: f"the same build as {reason['image']}",
    "SOURCE": _source,
    "UNSIGNED": lambda reason: (
        f"the registry's build of these inputs, {short_digest(reason['digest'])}, is not signed by "
        "anybody we trust, nor made here"
    ),
}
