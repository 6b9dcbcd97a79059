"""The session ``release``: show one, the difference of two, or the list. It changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci import steps
from aksci.core.errors import UsageError

if TYPE_CHECKING:
    from aksci import Environment

__all__ = ["release"]

_USAGE = "nox -s release -- show [REF] | diff REF [REF] | list"
_REFERENCES = {"show": 1, "diff": 2, "list": 0}
"""Verb -> how many references it takes at most."""


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
    if verb not in _REFERENCES:
        raise UsageError(f"{verb!r} is nothing that can be done with a release.", hint=_USAGE)
    if len(refs) > _REFERENCES[verb]:
        most = _REFERENCES[verb]
        raise UsageError(f"release {verb} takes {most} references at most.", hint=_USAGE)
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
