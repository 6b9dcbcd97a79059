"""Why an image is built, as data (DESIGN §5): what differs from its last build."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aksci.images.build.failures import Failure
    from aksci.images.lineage import Lineage, Step

__all__ = ["Reason", "changed_files", "failed_before", "reasons_between", "waits"]

Reason = dict[str, Any]
"""``{"code": …}`` and what belongs to the code: see schemas/plan.schema.json."""

_SHOWN = 50
"""Files in one reason; ``count`` says how many there are."""
_OWN_CODES = frozenset({"tree", "recipe", "args"})
"""Parts of a source that have a reason of their own; any other that differs is an ``ARG``."""


def reasons_between(
    old: Lineage | None,
    new: Lineage,
    *,
    files: Callable[[], list[dict[str, str]] | None] = lambda: None,
    opaque: tuple[str, ...] = (),
) -> tuple[Reason, ...]:
    """Say what differs between two builds of an image.

    :param old: the last build; None: nobody knows of one.
    :param files: returns the files that changed, where they are known; asked only if some did.
    :param opaque: why the image can't be reused in any case.
    :return: at least one reason. Parents that are still to be built come last.
    """
    waiting = tuple(_waiting(new))
    if old is None:
        return ({"code": "MISSING", "known": False}, *waiting)
    found: list[Reason] = []
    if old.key_schema == new.key_schema:
        found += _source(old, new, files)
    else:
        found.append({"code": "KEY_SCHEMA", "old": old.key_schema, "new": new.key_schema})
    found += _args(old.source, new.source)
    found += _parents(old, new, explained=bool(found))
    missing = {"code": "MISSING", "known": True}
    otherwise: Reason = {"code": "OPAQUE", "why": opaque[0]} if opaque else missing
    return (*found, *waiting) or (otherwise,)


def changed_files(old: Mapping[str, str], new: Mapping[str, str]) -> list[dict[str, str]]:
    """Return what differs between two trees: ``added``, ``removed``, ``changed`` or ``mode``.

    :param old: path -> description, as ``files_of`` gives it; so is ``new``.
    """
    return [
        {"path": _shown(path), "change": _change(old.get(path), new.get(path))}
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    ]


def failed_before(failure: Failure | None, key: str) -> tuple[Reason, ...]:
    """Say that the very same inputs did not build in the last run."""
    if failure is None or not key or failure.key != key:
        return ()
    return ({"code": "PREVIOUSLY_FAILED", "error": failure.error, "run": failure.run},)


def waits(reason: Reason) -> bool:
    """Tell whether a reason is that a parent is still to be built: its cause is further up."""
    return reason["code"] == "PARENT" and bool(reason.get("waiting"))


def _waiting(new: Lineage) -> Iterator[Reason]:
    """Yield each parent that is still to be built, once however many names it has."""
    names = {
        new.edges[reference]["image"]: new.edges[reference]["type"]
        for reference, digest in new.parents.items()
        if digest is None
    }
    for name, kind in sorted(names.items()):
        yield {"code": "PARENT", "image": name, "edge": kind, "waiting": True}


def _source(
    old: Lineage, new: Lineage, files: Callable[[], list[dict[str, str]] | None]
) -> Iterator[Reason]:
    if old.source.get("tree") != new.source.get("tree"):
        changed = files()
        yield {
            "code": "SOURCE",
            "files": (changed or [])[:_SHOWN],
            "count": None if changed is None else len(changed),
            "old": old.source.get("tree"),
            "new": new.source.get("tree"),
        }
    if old.source.get("recipe") != new.source.get("recipe"):
        changes = _changed_steps(old.steps, new.steps) if old.steps else []
        yield {
            "code": "DOCKERFILE",
            "lines": [change["lines"] for change in changes if change["lines"]],
            "instructions": changes,
            "old": old.source.get("recipe"),
            "new": new.source.get("recipe"),
        }


def _changed_steps(old: tuple[Step, ...], new: tuple[Step, ...]) -> list[dict[str, Any]]:
    """Return the instructions that differ; without lines where the file does not have them."""
    match = difflib.SequenceMatcher(
        None, [step.hash for step in old], [step.hash for step in new], autojunk=False
    )
    found: list[dict[str, Any]] = []
    for tag, first, end, start, stop in match.get_opcodes():
        if tag == "equal":
            continue
        change = "added" if tag == "insert" else "changed"
        found += [
            {
                "keyword": step.keyword,
                "change": change,
                "lines": list(step.lines) if step.lines[0] else None,
            }
            for step in new[start:stop]
        ]
        found += [
            {"keyword": step.keyword, "change": "removed", "lines": None}
            for step in old[first + (stop - start) : end]
        ]
    return found


def _args(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Reason]:
    before, after = old.get("args") or {}, new.get("args") or {}
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield {"code": "ARG", "name": name, "old": before.get(name), "new": after.get(name)}
    for name in sorted({*old, *new} - _OWN_CODES):
        if (old.get(name) or None) != (new.get(name) or None):
            yield {"code": "ARG", "name": name, "old": old.get(name), "new": new.get(name)}


def _parents(old: Lineage, new: Lineage, *, explained: bool) -> Iterator[Reason]:
    """Compare the parents' digests.

    :param explained: something else differs: a reference that came or went follows from that.
    """
    for reference in sorted({*old.parents, *new.parents}):
        before, after = old.parents.get(reference), new.parents.get(reference)
        came_or_went = (reference in old.parents) != (reference in new.parents)
        waiting = reference in new.parents and after is None
        if before == after or waiting or (came_or_went and explained):
            continue
        edge = new.edges.get(reference) or old.edges.get(reference) or {"type": "runtime"}
        image = edge.get("image")
        subject = {"code": "PARENT", "image": image} if image else {"code": "BASE_DRIFT"}
        yield {
            **subject,
            "reference": reference,
            "edge": edge["type"],
            "old": before,
            "new": after,
        }


def _change(old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    before, after = old.split(" ", 2), new.split(" ", 2)
    same = [before[0], *before[2:]] == [after[0], *after[2:]]
    return "mode" if same and before[0] != "l" else "changed"


def _shown(path: str) -> str:
    """Return a path as valid Unicode: names of files need not be."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
