"""One image explained: why it would be built, or why not, down to the first cause."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from aksci.images.history import lineage_of
from aksci.images.keys import in_tag
from aksci.images.lineage import Lineage, read_files, read_lineage
from aksci.images.reason_wording import explain
from aksci.images.reasons import changed_files, reasons_between, waits
from aksci.report.plan_report import cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aksci.images.plan import BuildPlan
    from aksci.oci.registry import Registry

__all__ = ["explain_image", "why_markdown", "why_text"]

_DEEPEST = 20
"""Builds that are followed back, for one parent whose digest has changed."""


def explain_image(plan: BuildPlan, name: str, registry: Registry) -> dict[str, Any]:
    """Return all that is known, as schemas/why.schema.json describes it. Nothing is written.

    :param plan: of the image and what it needs, at least.
    :raises RegistryError: the registry could not be asked.
    """
    work, spec = plan.by_name[name], plan.graph.images[name].spec
    inputs = work.inputs
    source = inputs.source.document() if inputs else {}
    built = None
    if work.digest:
        built = read_lineage(registry, spec.repository, work.digest, input_key=work.key)
    return {
        "schema": 1,
        "image": name,
        "action": work.action,
        "reasons": list(work.reasons),
        "causes": _causes(plan, name),
        "earlier": [
            found
            for reason in work.reasons
            if reason["code"] == "PARENT" and reason.get("old") and reason.get("new")
            for found in _earlier(plan, registry, reason)
        ],
        "repository": f"{registry.host}/{spec.repository}",
        "digest": work.digest,
        "key": work.key,
        "tag": in_tag(work.key) if work.key else None,
        "source": {"key": inputs.source.key if inputs else None, **source},
        "parents": _parents(plan, name),
        "built": _made(built) if built else None,
    }


def why_text(document: Mapping[str, Any]) -> str:
    """Return an explanation as text."""
    lines = [_verdict(document)]
    lines += [f"  {line}" for line in _reason_lines(document)]
    lines += ["", "What it is made of:"]
    lines += [f"  {key:12} {value}" for key, value in _facts(document)]
    return "\n".join(lines)


def why_markdown(document: Mapping[str, Any]) -> str:
    """Return an explanation as Markdown."""
    lines = [f"## {cell(document['image'])}", "", cell(_verdict(document)), ""]
    lines += [f"- {cell(line)}" for line in _reason_lines(document)]
    lines += ["", "| input | |", "| --- | --- |"]
    lines += [f"| {cell(key)} | {cell(value)} |" for key, value in _facts(document)]
    return "\n".join(lines)


def _causes(plan: BuildPlan, name: str) -> list[dict[str, Any]]:
    """Return each image further up that has reasons of its own, by the shortest way to it."""
    found: list[dict[str, Any]] = []
    waiting: deque[tuple[str, ...]] = deque([(name,)])
    seen = {name}
    while waiting:
        way = waiting.popleft()
        reasons = plan.by_name[way[-1]].reasons
        own = [reason for reason in reasons if not waits(reason)]
        if own and len(way) > 1:
            found.append({"way": list(way), "reasons": own})
        for parent in (reason["image"] for reason in reasons if waits(reason)):
            if parent not in seen:
                seen.add(parent)
                waiting.append((*way, parent))
    return found


def _earlier(
    plan: BuildPlan, registry: Registry, reason: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield why a parent that is finished has another digest than it had, down to the first cause.

    Both builds are in the registry's memory, or nobody knows.
    """
    waiting: deque[tuple[tuple[str, ...], str, str]] = deque()
    waiting.append(((reason["image"],), reason["old"], reason["new"]))
    for _ in range(_DEEPEST):
        if not waiting:
            return
        way, before, after = waiting.popleft()
        if way[-1] not in plan.graph.images:
            continue
        repository = plan.graph.images[way[-1]].spec.repository
        old = read_lineage(registry, repository, before)
        new = read_lineage(registry, repository, after)
        if old is None or new is None:
            continue
        reasons = reasons_between(old, new, files=_files_between(registry, repository, old, new))
        told = [each for each in reasons if each["code"] != "MISSING"]
        yield {"way": list(way), "reasons": told, "built": _made(new)}
        waiting.extend(
            ((*way, each["image"]), each["old"], each["new"])
            for each in reasons
            if each["code"] == "PARENT" and each.get("old") and each.get("new")
        )


def _files_between(
    registry: Registry, repository: str, old: Lineage, new: Lineage
) -> Callable[[], list[dict[str, str]] | None]:
    def files() -> list[dict[str, str]] | None:
        before = read_files(registry, repository, old)
        after = read_files(registry, repository, new)
        return None if before is None or after is None else changed_files(before, after)

    return files


def _parents(plan: BuildPlan, name: str) -> list[dict[str, Any]]:
    """Return what the image stands on: of this project, and from outside."""
    inputs = plan.by_name[name].inputs
    if inputs is None:
        return []
    now = lineage_of(plan.graph, name, inputs)
    return [
        {
            "reference": reference,
            "edge": now.edges[reference]["type"],
            "image": now.edges[reference].get("image"),
            "digest": digest,
        }
        for reference, digest in sorted(now.parents.items())
    ]


def _made(lineage: Lineage) -> dict[str, Any]:
    return {"at": lineage.created, "commit": lineage.revision, "run": lineage.run}


def _verdict(document: Mapping[str, Any]) -> str:
    name = document["image"]
    if document["action"] == "build":
        return f"{name} is to be built, because:"
    when = _when(document["built"]) if document["built"] else ""
    return (
        f"{name} is not to be built: the registry has the finished build of these very inputs, "
        f"{document['repository']}@{document['digest']}{when}."
    )


def _when(built: Mapping[str, Any]) -> str:
    at = f"built {built['at']}" if built["at"] else "built at an unknown time"
    commit = f" of commit {built['commit']}" if built["commit"] else ""
    run = f" by run {built['run']}" if built["run"] else ""
    return f", {at}{commit}{run}"


def _reason_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the image's reasons, then the way to each cause further up."""
    yield from map(explain, document["reasons"])
    for one in document["causes"]:
        why = "; ".join(map(explain, one["reasons"]))
        yield f"{' ← '.join(one['way'])}: {why}"
    for one in document["earlier"]:
        why = "; ".join(map(explain, one["reasons"])) or "built again from the same inputs"
        way = " ← ".join((document["image"], *one["way"]))
        yield f"{way}{_when(one['built'])}: {why}"


def _facts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each input with its value."""
    yield "input key", document["key"] or "not known before its parents are built"
    if document["tag"]:
        yield "tag", f"{document['repository']}:{document['tag']}"
    source = document["source"]
    for name, value in source.items():
        if name == "args":
            yield from ((f"arg {key}", str(text)) for key, text in sorted(value.items()))
        elif value:
            shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            yield (
                {"key": "source key", "tree": "files", "recipe": "instructions"}.get(name, name),
                str(shown),
            )
    for parent in document["parents"]:
        where = "of this project" if parent["image"] else "external"
        digest = parent["digest"] or "still to be built"
        yield parent["edge"], f"{parent['reference']} ({where}): {digest}"
