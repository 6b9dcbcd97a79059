"""Why an image is built, as data: what it is made of now, against the record of its last build."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Any

from aksci.images.dockerfile.contexts import DOCKER_IMAGE, OUR_IMAGE, normalised_contexts
from aksci.images.keys import KEY_SCHEMA
from aksci.images.lineage import Lineage, Step, read_files, read_lineage
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aksci.images.build.build_record import Failure
    from aksci.images.context.hasher import TreeHasher
    from aksci.images.dockerfile.parser import Instruction
    from aksci.images.graph import Graph, Image
    from aksci.images.inputs import Inputs
    from aksci.oci.registry import Registry

__all__ = [
    "REASON_CODES",
    "Reason",
    "changed_files",
    "edges_of",
    "failed_before",
    "files_of",
    "find_reasons",
    "lineage_of",
    "reasons_between",
    "waits",
]

Reason = dict[str, Any]
"""``{"code": …}`` and what belongs to the code: see aksci/report/schemas/reason.schema.json."""
REASON_CODES = (
    "ARG",
    "BASELINE",
    "BASE_DRIFT",
    "DOCKERFILE",
    "FORCED",
    "KEY_SCHEMA",
    "MISSING",
    "OPAQUE",
    "PARENT",
    "PREVIOUSLY_FAILED",
    "SAME",
    "SOURCE",
    "UNSIGNED",
)
"""All codes. ``FORCED`` and ``UNSIGNED`` are given by ``Lookup.reasons``, ``SAME`` by plans and
builds (``same_builds``), ``BASELINE`` by cascades (``Chooser``); all others here, where what an
image is made of is compared with its last build."""

_SHOWN = 50
"""Files in one reason; ``count`` says how many there are."""
_OWN_CODES = frozenset({"tree", "recipe", "args"})
"""Parts of a source that have a reason of their own; any other that differs is an ``ARG``."""
_HASH = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{24,}\b")


def lineage_of(
    graph: Graph, name: str, inputs: Inputs, *, revision: str = "", run: str = ""
) -> Lineage:
    """Return what an image is made of in this run, as it is stored beside it."""
    return Lineage(
        image=name,
        key_schema=KEY_SCHEMA,
        input_key=inputs.key or "",
        source=inputs.source.document(),
        parents=inputs.parents,
        revision=revision,
        run=run,
        edges=edges_of(graph, name, inputs),
        steps=_steps(inputs.image),
    )


def files_of(image: Image, hasher: TreeHasher) -> dict[str, str]:
    """Return what the tree's hash was made of: path -> kind, mode and a short hash or a target.

    Before paths in a folder that is a named context, its name stands: ``docs: a/b``.
    """
    spec = image.spec
    found = dict(hasher.entries(spec.context, spec.dockerfile, image.recipe.sources))
    for name, value in normalised_contexts(spec.contexts).items():
        if not value.startswith((OUR_IMAGE, DOCKER_IMAGE)):
            entries = hasher.entries(value, None)
            found |= {f"{name}: {path}": text for path, text in entries.items()}
    return {path: _HASH.sub(r"\1", text) for path, text in found.items()}


def find_reasons(
    registry: Registry,
    graph: Graph,
    name: str,
    inputs: Inputs,
    *,
    hasher: TreeHasher,
    failures: Mapping[str, Failure],
) -> tuple[Reason, ...]:
    """Say why an image is to be built, though nobody forces it.

    It is compared with the last build that was published under its first tag.

    :param failures: of the last runs; they add a reason, and decide nothing.
    """
    spec = graph.images[name].spec
    repository = spec.repository
    previous = read_lineage(registry, repository, spec.tags[0])
    now = lineage_of(graph, name, inputs)

    # Called only if the tree differs: it reads every file that counts.
    def files() -> list[dict[str, str]] | None:
        before = read_files(registry, repository, previous) if previous else None
        return None if before is None else changed_files(before, files_of(inputs.image, hasher))

    reasons = reasons_between(previous, now, files=files, opaque=inputs.image.recipe.opaque)
    return (*reasons, *failed_before(failures.get(name), now.input_key))


def edges_of(graph: Graph, name: str, inputs: Inputs) -> dict[str, dict[str, str]]:
    """Return the type of each parent, and which image of this project it is."""
    types: dict[str, str] = {}
    for need in inputs.image.recipe.needs:  # from outside's ONBUILD, too
        if not need.reference.startswith(OUR_IMAGE):
            reference = need.reference.removeprefix(DOCKER_IMAGE)
            types[str(parse_reference(reference))] = need.type
    types |= {one.reference: one.type for one in graph.external_of[name]}
    types |= {edge.reference: edge.type for edge in graph.edges_to[name]}
    return {
        reference: {"type": types.get(reference, "runtime")}
        | ({"image": inputs.internal[reference]} if reference in inputs.internal else {})
        for reference in inputs.parents
    }


def _steps(image: Image) -> tuple[Step, ...]:
    """Return the instructions that count. Those of a base's ONBUILD are on no line of the file."""
    own = {one.line: one for one in image.dockerfile.instructions}
    return tuple(_step(one, own.get(one.line) == one) for one in image.recipe.instructions)


def _step(one: Instruction, own: bool) -> Step:
    content = [one.keyword, [list(flag) for flag in one.flags], one.text, list(one.heredocs)]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    lines = (one.line, max(one.line, one.end_line)) if own else (0, 0)
    return Step(keyword=one.keyword, hash=digest, lines=lines)


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
        if old.steps and not changes and old.source.get("args") != new.source.get("args"):
            return  # the default of an argument counts, or not any more, since that has no value
        yield {
            "code": "DOCKERFILE",
            "lines": [change["lines"] for change in changes if change["lines"]],
            "instructions": changes,
            "old": old.source.get("recipe"),
            "new": new.source.get("recipe"),
        }


def _changed_steps(old: tuple[Step, ...], new: tuple[Step, ...]) -> list[dict[str, Any]]:
    """Return the instructions that differ; without lines where the file does not have them."""
    # Without autojunk: in a file of 200 instructions, it passes over those that come often.
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
        # What a record does not have is the same as what is empty in another.
        if (old.get(name) or None) != (new.get(name) or None):
            yield {"code": "ARG", "name": name, "old": old.get(name), "new": new.get(name)}


def _parents(old: Lineage, new: Lineage, *, explained: bool) -> Iterator[Reason]:
    """Compare the parents' digests.

    :param explained: something else differs: a reference that came or went follows from that.
    """
    for reference in sorted({*old.parents, *new.parents}):
        before, after = old.parents.get(reference), new.parents.get(reference)
        came_or_went = (reference in old.parents) != (reference in new.parents)
        # ``_waiting`` tells of those.
        waiting = reference in new.parents and after is None
        if before == after or waiting or (came_or_went and explained):
            continue
        edge = new.edges.get(reference) or old.edges.get(reference) or {"type": "runtime"}
        image = edge.get("image")
        subject = {"code": "PARENT", "image": image} if image else {"code": "BASE_DRIFT"}
        yield {
            **subject,
            "reference": reference,
            "edge": edge.get("type", "runtime"),  # a record may be anybody's
            "old": before,
            "new": after,
        }


def _change(old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    before, after = old.split(" ", 2), new.split(" ", 2)
    same = [before[0], *before[2:]] == [after[0], *after[2:]]
    # A link has no mode: what follows its kind is where it leads.
    return "mode" if same and before[0] != "l" else "changed"


def _shown(path: str) -> str:
    """Return a path as valid Unicode: names of files need not be."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
