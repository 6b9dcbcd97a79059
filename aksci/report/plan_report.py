"""What ``plan`` and ``why`` have found, for people: as text, and as Markdown.

Markdown is for a CI system's summary page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.text import escape_markdown, safe_json
from aksci.images.build_plan import plan_document, shown_reference
from aksci.images.plan_compare import DIFFERENCES
from aksci.images.plan_matrix import matrix_document
from aksci.images.reason_wording import explain, short_digest
from aksci.images.reasons import waits
from aksci.images.same_builds import same_as
from aksci.report.markup import joined, markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from aksci.core.errors import UndecidedError
    from aksci.images.build_plan import BuildPlan, Undecided, Work
    from aksci.images.explain import Explanation
    from aksci.images.plan_compare import PlanComparison
    from aksci.images.plan_matrix import Matrices

__all__ = [
    "COMPARISON_FORMATS",
    "MATRIX_FORMATS",
    "PLAN_FORMATS",
    "UNDECIDED_FORMATS",
    "WHY_FORMATS",
    "plan_comparison_markdown",
    "plan_comparison_text",
    "plan_markdown",
    "plan_text",
    "undecided_text",
    "why_markdown",
    "why_text",
]

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
            verb = "copy " if same_as(one.reasons) else "build"
            lines.append(f"  {verb}  {one.image:{width}}  {first}")
            lines += [f"         {'':{width}}  {text}" for text in more]
    return lines


def plan_markdown(plan: BuildPlan) -> str:
    """Return the plan as Markdown: a table of what is to be built."""
    lines = ["## Plan", "", _total(plan)]
    builds = [one for one in plan.work if one.action == "build"]
    if builds:
        rows = ((one.image, joined(_told(plan, one), "<br>")) for one in builds[:_ROWS])
        lines += markdown_table(("image", "why"), rows)
    if len(builds) > _ROWS:
        lines += ["", f"… and {len(builds) - _ROWS} more."]
    return "\n".join(lines)


def cause_text(plan: BuildPlan, name: str) -> str:
    """Return the way from an image to what it is built for: ``← python ← base: files changed``."""
    _, *way = plan.causes[name]
    root = plan.by_name[plan.causes[name][-1]]
    why = next((explain(reason) for reason in root.reasons if not waits(reason)), "")
    return f"{' '.join(f'← {parent}' for parent in way)}: {why}"


def _told(plan: BuildPlan, one: Work) -> list[str]:
    """Return an image's own reasons; without any, the way to whoever has some."""
    own = [explain(reason) for reason in one.reasons if not waits(reason)]
    return own or [cause_text(plan, one.image)]


def _total(plan: BuildPlan) -> str:
    count, copied = len(plan.to_build), len(plan.copied)
    also = f", {copied} the same build by another name" if copied else ""
    return f"{count - copied} to build{also}, {len(plan.work) - count} to reuse."


def plan_comparison_text(document: Mapping[str, Any]) -> str:
    """Return a comparison as text."""
    lines = [f"Compared with the plan of {_since(document)}:"]
    for kind, words in DIFFERENCES.items():
        if document[kind]:
            lines.append(f"{words}:")
        for one in document[kind]:
            first, *more = _difference(kind, one)
            lines += [f"  {one['image']}: {first}", *(f"    {text}" for text in more)]
    return "\n".join([*lines, *(["nothing differs"] if document["same"] else [])])


def plan_comparison_markdown(document: Mapping[str, Any]) -> str:
    """Return a comparison as Markdown."""
    lines = ["## Plan, compared", "", f"With the plan of {escape_markdown(_since(document))}."]
    if document["same"]:
        lines += ["", "Nothing differs."]
    for kind, words in DIFFERENCES.items():
        if document[kind]:
            told = ((one["image"], _difference(kind, one)) for one in document[kind])
            rows = ((image, joined(texts, "<br>")) for image, texts in told)
            lines += ["", f"### {words.capitalize()}", *markdown_table(("image", ""), rows)]
    return "\n".join(lines)


def _difference(kind: str, one: Mapping[str, Any]) -> Iterable[str]:
    old, new = one["old"], one["new"]
    if kind == "new":
        return [explain(reason) for reason in new["reasons"]]
    if kind == "gone":
        return [f"reuses {short_digest(new['digest'])}" if new else "is not in the plan any more"]
    if kind == "moved":
        return [f"{short_digest(old['digest'])} → {short_digest(new['digest'])}"]
    return list(_changes(old["reasons"], new["reasons"]))


def _changes(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    yield from (f"+ {explain(reason)}" for reason in new if reason not in old)
    yield from (f"- {explain(reason)}" for reason in old if reason not in new)


def _since(document: Mapping[str, Any]) -> str:
    made = document["since"]
    commit = f" of commit {made['commit']}" if made.get("commit") else ""
    return f"{made.get('created', 'an unknown time')}{commit}"


def why_text(document: Mapping[str, Any]) -> str:
    """Return an explanation as text."""
    lines = [_verdict(document)]
    lines += [f"  {line}" for line in _reason_lines(document)]
    then, because = _last_build(document)
    lines += [*then, *(f"  {line}" for line in because)]
    lines += ["", "What it is made of:"]
    lines += [f"  {key:12} {value}" for key, value in _facts(document)]
    return "\n".join(lines)


def why_markdown(document: Mapping[str, Any]) -> str:
    """Return an explanation as Markdown."""
    title = escape_markdown(document["image"])
    lines = [f"## {title}", "", escape_markdown(_verdict(document))]
    then, because = _last_build(document)
    for heading, reasons in (([], _reason_lines(document)), (then, because)):
        lines += ["", *map(escape_markdown, heading)] if heading else []
        told = list(_bullets(reasons))
        lines += ["", *told] if told else []
    lines += markdown_table(("input", ""), _facts(document))
    return "\n".join(lines)


def _bullets(lines: Iterable[str]) -> Iterator[str]:
    return (f"- {escape_markdown(line)}" for line in lines)


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
    yield from _further_up(document["image"], document["earlier"])


def _further_up(image: str, causes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what changed in parents that are finished, and in theirs."""
    for one in causes:
        why = "; ".join(map(explain, one["reasons"])) or "built again from the same inputs"
        way = " ← ".join((image, *one["way"]))
        yield f"{way}{_when(one['built'])}: {why}"


def _last_build(document: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return why an image that is up to date was built the last time: a sentence, its reasons."""
    if not document["built"] or "lastBuild" not in document:
        return [], []
    last = document["lastBuild"]
    if last is None:
        return ["Why it was built then is not known here."], []
    reasons = [*map(explain, last["reasons"])] or ["nothing differed from the build before"]
    return ["It was built then, because:"], [
        *reasons,
        *_further_up(document["image"], last["causes"]),
    ]


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


def _matrix(found: Matrices) -> dict[str, Any]:
    return matrix_document(found.matrices, system=found.system, group=found.group)


COMPARISON_FORMATS: dict[str, Callable[[PlanComparison], str]] = {
    "text": lambda comparison: plan_comparison_text(comparison.document),
    "json": lambda comparison: safe_json(comparison.document),
    "markdown": lambda comparison: plan_comparison_markdown(comparison.document),
}
MATRIX_FORMATS: dict[str, Callable[[Matrices], str]] = {
    "text": lambda found: safe_json(_matrix(found)),
    "json": lambda found: safe_json(_matrix(found)),
}
"""JSON in each: nobody but a program reads it."""
PLAN_FORMATS: dict[str, Callable[[BuildPlan], str]] = {
    "text": plan_text,
    "json": lambda plan: safe_json(plan_document(plan)),
    "markdown": plan_markdown,
}
UNDECIDED_FORMATS: dict[str, Callable[[UndecidedError], str]] = {"text": undecided_text}
WHY_FORMATS: dict[str, Callable[[Explanation], str]] = {
    "text": lambda explanation: why_text(explanation.document),
    "json": lambda explanation: safe_json(explanation.document),
    "markdown": lambda explanation: why_markdown(explanation.document),
}
