"""Plans that are kept, and what differs between one that was kept and one that is new."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, UsageError
from aksci.core.files import write_atomically
from aksci.core.inside import read_file
from aksci.core.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "DIFFERENCES",
    "KeptPlan",
    "PlanComparison",
    "compare_plans",
    "load_plan",
    "save_plan",
]

_MUST_AGREE = ("project", "environment", "only", "withDependents")
DIFFERENCES = {
    "new": "to build now, and not then",
    "gone": "to build then, and not now",
    "changed": "to build then and now, for other reasons",
    "moved": "reused then and now, with another digest",
}


@dataclass(frozen=True, kw_only=True)
class KeptPlan:
    """A plan that was kept, to be compared with a later one."""

    document: Mapping[str, Any]
    """What ``load_plan`` returned."""


@dataclass(frozen=True, kw_only=True)
class PlanComparison:
    """What differs between a plan that was kept and a plan of now."""

    document: Mapping[str, Any]
    """What ``compare_plans`` returned: report/schemas/plan-comparison.schema.json."""

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return bool(self.document["same"])


def save_plan(path: Path, document: Mapping[str, Any], made: Mapping[str, Any]) -> None:
    """Write a plan's document with where it comes from, atomically.

    :param made: ``project``, ``environment``, ``commit``, ``created`` (UTC), ``only`` and
        ``withDependents``.
    """
    text = json.dumps({**document, "made": dict(made)}, indent=2)
    write_atomically(path, text + "\n", mode=0o666)


def load_plan(path: Path, made: Mapping[str, Any]) -> dict[str, Any]:
    """Read a plan that ``save_plan`` wrote.

    :param made: of the plan that it will be compared with.
    :raises UsageError: it is no plan, another version's, or not of the same images.
    """
    try:
        document = parse_json(read_file(path, shown=str(path)))
    except ConfigError as error:  # a device, say, or a pipe
        raise UsageError(error.message, hint=f"nox -s plan -- --save {path}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise UsageError(
            f"{path} can't be compared: {why}.", hint=f"nox -s plan -- --save {path}"
        ) from None
    if isinstance(document, dict) and document.get("schema", 1) != 1:
        raise UsageError(
            f"{path} is a plan of another version of aksci: schema {document['schema']!r}, not 1.",
            hint=f"nox -s plan -- --save {path}",
        )
    if not _is_plan(document):
        raise UsageError(
            f"{path} is not a plan that was kept by --save.", hint=f"nox -s plan -- --save {path}"
        )
    for name in _MUST_AGREE:
        before, now = document["made"].get(name), made.get(name)
        if before != now:
            raise UsageError(
                f"{path} can't be compared: its {name} is {before!r}, and now it is {now!r}."
            )
    return dict(document)


def compare_plans(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs, as report/schemas/plan-comparison.schema.json describes it.

    :param old: what ``load_plan`` returned.
    :param new: a plan's document.
    """
    before = {one["image"]: one for one in old["work"]}
    after = {one["image"]: one for one in new["work"]}
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in DIFFERENCES}
    for name in [*after, *(name for name in before if name not in after)]:
        kind = _difference(before.get(name), after.get(name))
        if kind:
            found[kind].append(
                {"image": name, "old": _side(before.get(name)), "new": _side(after.get(name))}
            )
    return {"schema": 1, "since": old["made"], "same": not any(found.values()), **found}


def _is_plan(document: Any) -> bool:
    try:
        return isinstance(document["made"], dict) and all(
            isinstance(one["image"], str)
            and one["action"] in {"build", "reuse"}
            and all(isinstance(reason["code"], str) for reason in one["reasons"])
            for one in document["work"]
        )
    except (KeyError, TypeError):
        return False


def _difference(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str | None:
    built, builds = (one is not None and one["action"] == "build" for one in (before, after))
    if built != builds:
        return "new" if builds else "gone"
    if before is None or after is None:
        return None  # an image that came or went, and is nothing to build
    if builds:
        return "changed" if before["reasons"] != after["reasons"] else None
    return "moved" if before.get("digest") != after.get("digest") else None


def _side(one: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"action": one["action"], "digest": one.get("digest"), "reasons": one["reasons"]}
