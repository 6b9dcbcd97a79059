"""A plan for people: as text, and as Markdown for a CI system's summary page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aksci.images.plan import shown_reference
from aksci.images.reason_wording import explain
from aksci.images.reasons import waits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aksci.images.plan import BuildPlan, Undecided, UndecidedError, Work

__all__ = ["cause_text", "cell", "plan_markdown", "plan_text", "undecided_text"]

_MARKUP = re.compile(r"([\\`*_\[\]|~#])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
_ROWS = 1000
"""Of a table: GitHub takes 1 MiB for a step's summary."""


def plan_text(plan: BuildPlan) -> str:
    """Return the plan as text: one line an image, one for each further reason."""
    return "\n".join([*_lines(plan, _width(plan.work)), _total(plan)])


def undecided_text(error: UndecidedError) -> str:
    """Return what is known of a plan that could not be made, and what is not."""
    width = _width((*error.plan.work, *error.undecided))
    lines = _lines(error.plan, width)
    lines += [f"  ?      {one.image:{width}}  {_unknown(one)}" for one in error.undecided]
    total = _total(error.plan).removesuffix(".")
    return "\n".join([*lines, f"{total}, {len(error.undecided)} that can't be planned."])


def _unknown(one: Undecided) -> str:
    names = [shown_reference(error.reference) for error in one.failed]
    told = [f"{', '.join(names)} can't be resolved"] if names else []
    told += [f"← {parent}" for parent in one.waits]
    told += [] if one.published else ["no build of it was published yet"]
    return "; ".join(told)


def _width(work: Iterable[Work | Undecided]) -> int:
    return max((len(one.image) for one in work), default=0)


def _lines(plan: BuildPlan, width: int) -> list[str]:
    lines = []
    for one in plan.work:
        if one.action == "reuse":
            lines.append(f"  reuse  {one.image:{width}}  {one.digest}")
        else:
            first, *more = _told(plan, one)
            lines.append(f"  build  {one.image:{width}}  {first}")
            lines += [f"         {'':{width}}  {text}" for text in more]
    return lines


def plan_markdown(plan: BuildPlan) -> str:
    """Return the plan as Markdown: a table of what is to be built."""
    lines = ["## Plan", "", _total(plan)]
    builds = [one for one in plan.work if one.action == "build"]
    if builds:
        lines += ["", "| image | why |", "| --- | --- |"]
    lines += [
        f"| {cell(one.image)} | {'<br>'.join(cell(text) for text in _told(plan, one))} |"
        for one in builds[:_ROWS]
    ]
    if len(builds) > _ROWS:
        lines += ["", f"… and {len(builds) - _ROWS} more."]
    return "\n".join(lines)


def cause_text(plan: BuildPlan, name: str) -> str:
    """Return the way from an image to what it is built for: ``← python ← base: files changed``."""
    _, *way = plan.causes[name]
    root = plan.by_name[plan.causes[name][-1]]
    why = next((explain(reason) for reason in root.reasons if not waits(reason)), "")
    return f"{' '.join(f'← {parent}' for parent in way)}: {why}"


def cell(text: str) -> str:
    """Return text that is no Markdown, no HTML and no mention, on one line.

    Names of files and values of arguments are whatever a pull request says they are.

    Source: GitHub Flavored Markdown Spec, "Backslash escapes", "Tables (extension)".
    """
    plain = " ".join(text.split())
    plain = "".join(_ENTITIES.get(character, character) for character in plain)
    return re.sub(r"&\\#64;", "&#64;", _MARKUP.sub(r"\\\1", plain))


def _told(plan: BuildPlan, one: Work) -> list[str]:
    """Return an image's own reasons; without any, the way to whoever has some."""
    own = [explain(reason) for reason in one.reasons if not waits(reason)]
    return own or [cause_text(plan, one.image)]


def _total(plan: BuildPlan) -> str:
    count = len(plan.to_build)
    return f"{count} to build, {len(plan.work) - count} to reuse."
