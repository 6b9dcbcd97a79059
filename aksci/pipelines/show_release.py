"""The session ``release``: show one, the difference of two, or the list. It changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci import steps
from aksci.errors import UsageError

if TYPE_CHECKING:
    from aksci import Environment

__all__ = ["release"]

_USAGE = "nox -s release -- show [REF] | diff REF [REF] | list"
_VERBS = {"show": (1, "CheckedRelease"), "diff": (2, "Comparison"), "list": (0, "ReleaseList")}
"""Verb -> how many references it takes at most, and what it shows."""


def release(
    env: Environment,
    *,
    words: tuple[str, ...] = (),
    format: str = "text",
    output: str | None = None,
) -> None:
    """Show a release, what differs between two, or which there are.

    :param words: ``show``, ``diff`` or ``list``, and references.
    :raises TrustError: what was shown is not verified; it is shown first, and marked.
    """
    verb, *refs = words or ("show",)
    if verb not in _VERBS:
        raise UsageError(f"{verb!r} is nothing that can be done with a release.", hint=_USAGE)
    most, kind = _VERBS[verb]
    if len(refs) > most:
        raise UsageError(f"release {verb} takes {most} references at most.", hint=_USAGE)
    steps.require_showable(env, kind, format=format, output=output)
    if verb == "list":
        steps.show(env, steps.list_releases(env), format=format, output=output)
    elif verb == "show":
        found = steps.load_release(env, *refs)
        steps.show(env, found, format=format, output=output)
        found.require()
    elif refs:
        changes = steps.compare_releases(env, *refs)
        steps.show(env, changes, format=format, output=output)
        changes.require()
    else:
        raise UsageError("Which release is it to be compared with?", hint=_USAGE)
