"""Why an image is built, as data (DESIGN §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.images.keys import KEY_SCHEMA, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.images.lineage import Lineage

__all__ = ["Reason", "explain", "reasons_for"]

Reason = dict[str, Any]


def reasons_for(
    source: Source,
    parents: Mapping[str, str | None],
    internal: Mapping[str, str],
    previous: Lineage | None,
    *,
    opaque: tuple[str, ...] = (),
) -> tuple[Reason, ...]:
    """Compare an image with its last build.

    :param parents: full reference -> digest; None where the parent is still to be built.
    :param internal: full reference -> image of this project.
    :param previous: the last build's inputs, where they are known.
    :param opaque: why the image can't be reused in any case.
    """
    waiting = [
        {"code": "PARENT", "image": internal[reference]}
        for reference, digest in sorted(parents.items())
        if digest is None
    ]
    if previous is None:
        return ({"code": "MISSING"}, *waiting)
    found: list[Reason] = []
    if previous.key_schema != KEY_SCHEMA:
        found.append({"code": "KEY_SCHEMA", "old": previous.key_schema, "new": KEY_SCHEMA})
    old, new = previous.source, source.document()
    if old.get("tree") != new["tree"]:
        found.append({"code": "SOURCE"})
    if old.get("recipe") != new["recipe"]:
        found.append({"code": "DOCKERFILE"})
    found += _changed_args(old, new)
    for reference, digest in sorted(parents.items()):
        before = previous.parents.get(reference)
        if digest is None or before == digest:
            continue
        if reference in internal:
            subject = {"code": "PARENT", "image": internal[reference]}
        else:
            subject = {"code": "BASE_DRIFT", "reference": reference}
        found.append({**subject, "old": before, "new": digest})
    otherwise: Reason = {"code": "OPAQUE", "why": opaque[0]} if opaque else {"code": "MISSING"}
    return (*found, *waiting) or (otherwise,)


def _changed_args(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Reason]:
    before, after = old.get("args") or {}, new["args"]
    found = [
        {"code": "ARG", "name": name, "old": before.get(name), "new": after.get(name)}
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    found += [
        {"code": "ARG", "name": name, "old": old.get(name), "new": new[name]}
        for name in ("target", "platforms", "attestations")
        if (old.get(name) or None) != (new[name] or None)
    ]
    return found


def explain(reason: Reason) -> str:
    """Return a reason in words."""
    code = str(reason["code"])
    words: dict[str, str] = {
        "SOURCE": "files in its context changed",
        "DOCKERFILE": "its Dockerfile changed",
        "MISSING": "it was not built yet",
        "FORCED": "it was asked for",
        "KEY_SCHEMA": "this version of aksci computes keys in another way",
    }
    if code == "ARG":
        return f"{reason['name']} changed from {reason['old']!r} to {reason['new']!r}"
    if code == "PARENT":
        what = "is new" if reason.get("new") else "is built first"
        return f"{reason['image']}, which it needs, {what}"
    if code == "OPAQUE":
        return f"nobody knows what else it is made of: {reason['why']}"
    if code == "BASE_DRIFT":
        old, new = (_short(reason[key]) for key in ("old", "new"))
        return f"{reason['reference']} moved from {old} to {new}"
    return words.get(code, code)


def _short(digest: str | None) -> str:
    return (digest or "nothing").removeprefix("sha256:")[:12]
