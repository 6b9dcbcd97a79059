"""One image explained: why it would be built, or why it was, down to the first cause.

The reasons themselves are made in ``reasons``, of the record that ``lineage`` keeps; here they are
followed from image to image.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.images.keys import in_tag
from aksci.images.lineage import Lineage, read_files, read_lineage, read_lineage_before
from aksci.images.reasons import Reason, changed_files, lineage_of, reasons_between, waits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.images.build_plan import BuildPlan
    from aksci.oci.registry import Registry

__all__ = ["Explanation", "explain_image"]

_DEEPEST = 20
"""Builds that are followed back, for one parent whose digest has changed."""
_MOST_BUILDS = 200
"""Finished builds among which the one before the last is looked for: two requests for each."""

Recorded = Callable[[str, str, str], tuple[Reason, ...]]
"""Tells why a run (its id) built an image (its name) with a digest; nothing: nobody here knows."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why one image would be built, or why it was."""

    document: Mapping[str, Any]
    """All that is known, as report/schemas/why.schema.json describes it."""

    @property
    def image(self) -> str:
        """The image's name."""
        return str(self.document["image"])

    @property
    def action(self) -> str:
        """``build`` or ``reuse``."""
        return str(self.document["action"])

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it is to be built: ``[{"code": "SOURCE", …}]``; empty where it is reused."""
        return tuple(self.document["reasons"])


def explain_image(
    plan: BuildPlan,
    name: str,
    registry: Registry,
    *,
    recorded: Recorded = lambda _run, _image, _digest: (),
) -> dict[str, Any]:
    """Return all that is known, as report/schemas/why.schema.json describes it. Nothing is written.

    :param plan: of the image and what it needs, at least.
    :param recorded: what the runs of this machine have written down.
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
            for found in _earlier(plan, registry, reason, recorded)
        ],
        "repository": f"{registry.host}/{spec.repository}",
        "digest": work.digest,
        "key": work.key,
        "tag": in_tag(work.key) if work.key else None,
        "source": {"key": inputs.source.key if inputs else None, **source},
        "parents": _parents(plan, name),
        "built": _made(built) if built else None,
        "lastBuild": _last_build(plan, name, registry, built, recorded) if built else None,
    }


def _last_build(
    plan: BuildPlan, name: str, registry: Registry, last: Lineage, recorded: Recorded
) -> dict[str, Any] | None:
    """Return why an image that is up to date was built; None where that is not known.

    What its run recorded is exact. Where another machine ran it, the registry's lineage is compared
    with that of the build before, which does not tell of ``--force``.
    """
    repository = plan.graph.images[name].spec.repository
    reasons = recorded(last.run, name, plan.by_name[name].digest or "")
    # MISSING alone says that no stable tag named an earlier build; the registry may still have one.
    if all(reason["code"] == "MISSING" for reason in reasons):
        compared = _since_earlier_build(registry, repository, last)
        if compared is None and not reasons:
            return None
        reasons = compared or reasons
    causes = [
        found
        for reason in reasons
        if reason["code"] == "PARENT" and reason.get("old") and reason.get("new")
        for found in _earlier(plan, registry, reason, recorded)
    ]
    return {"reasons": list(reasons), "causes": causes}


def _since_earlier_build(
    registry: Registry, repository: str, last: Lineage
) -> tuple[Reason, ...] | None:
    """Return what differs from the build before; None where there are too many to find it."""
    finished = [tag for tag in registry.tags(repository) if tag.startswith(in_tag(""))]
    if len(finished) > _MOST_BUILDS:
        return None
    before = read_lineage_before(registry, repository, finished, last)
    if before is None:
        return ({"code": "MISSING", "known": False},)
    reasons = reasons_between(
        before, last, files=_files_between(registry, repository, before, last)
    )
    # Both builds are there: this code says here only that nothing differs.
    return tuple(each for each in reasons if each["code"] != "MISSING")


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
    plan: BuildPlan, registry: Registry, reason: Mapping[str, Any], recorded: Recorded
) -> Iterator[dict[str, Any]]:
    """Yield why a parent that is finished has another digest than it had, down to the first cause.

    Both builds are in the registry's memory, or nobody knows.
    """
    waiting: deque[tuple[tuple[str, ...], str, str]] = deque()
    waiting.append(((reason["image"],), reason["old"], reason["new"]))
    # Each step is several requests, and the registry may tell of a chain without end.
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
        told = told or list(recorded(new.run, way[-1], after))
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
    """Return the bases of an image: of this project, and from outside."""
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
