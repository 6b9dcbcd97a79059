"""What ``plan`` has found, for people: as text, and as Markdown.

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
from aksci.report.hanging_lines import hang
from aksci.report.markup import LONGEST, Markup, joined, markdown_table
from aksci.report.shared_causes import share_causes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from aksci.core.errors import UndecidedError
    from aksci.images.build_plan import BuildPlan, Undecided, Work
    from aksci.images.plan_compare import PlanComparison
    from aksci.images.plan_matrix import Matrices
    from aksci.report.shared_causes import Causes

__all__ = [
    "COMPARISON_FORMATS",
    "MATRIX_FORMATS",
    "PLAN_FORMATS",
    "UNDECIDED_FORMATS",
    "plan_comparison_markdown",
    "plan_comparison_text",
    "plan_markdown",
    "plan_text",
    "undecided_text",
]

_ROWS = 1000
"""Of a table, and names in a cell: GitHub takes 1 MiB for a step's summary."""
_HEAD = "  {:5}  {}"
"""Before a name: what is done with it."""
_WIDEST = 28
"""Of the column of names, so that there is room for reasons."""
_REUSED = 10
"""Images that are listed with their digests; more would hide what is to be built."""
_NAMED = 5
_WAY = "← "
_DIGEST = len("sha256:") + 12


def plan_text(plan: BuildPlan) -> str:
    """Return the plan as text: what several images share is told once, and all else by image."""
    causes, copied = _causes(plan), _copied(plan)
    width = _width([causes, copied], _listed(plan))
    return "\n".join([*_planned(plan, causes, copied, width), _total(plan)])


def undecided_text(error: UndecidedError) -> str:
    """Return what is known of a plan that could not be made, and what is not."""
    plan, undecided = error.plan, error.undecided
    causes, copied = _causes(plan), _copied(plan)
    unknown = share_causes({one.image: _unknown(one) for one in undecided})
    width = _width([causes, copied, unknown], _listed(plan))
    lines = [
        *_planned(plan, causes, copied, width),
        *_lines("?", unknown, width, say=_needs),
    ]
    total = _total(plan).removesuffix(".")
    lines.append(f"{total}, {len(undecided)} that can't be planned: bases can't be resolved.")
    missing = [one.image for one in undecided if not one.published]
    if missing:
        named = "them" if len(missing) == len(undecided) else _few(missing)
        lines += hang("", f"No build of {named} was published yet.")
    return "\n".join(lines)


def _unknown(one: Undecided) -> list[str]:
    """Return the bases that can't be resolved, and the images that wait for others."""
    names = [shown_reference(error.reference) for error in one.failed]
    return [*names, *(f"{_WAY}{parent}" for parent in one.waits)]


def _needs(texts: Sequence[str]) -> list[str]:
    """Return all that one image needs, on a line: the error says why each can't be resolved."""
    bases = [text for text in texts if not text.startswith(_WAY)]
    needs = [f"needs {', '.join(bases)}"] if bases else []
    return ["; ".join([*needs, *(text for text in texts if text.startswith(_WAY))])]


def _planned(plan: BuildPlan, causes: Causes, copied: Causes, width: int) -> Iterator[str]:
    """Yield what is decided: what is reused, what is built, and what is then copied."""
    yield from _reused(plan, width)
    yield from _lines("build", causes, width)
    yield from _lines("copy", copied, width)


def _copied(plan: BuildPlan) -> Causes:
    """Return what is said of images that are the same build as others."""
    return share_causes(
        {
            one.image: [explain(reason) for reason in one.reasons]
            for one in plan.work
            if same_as(one.reasons)
        }
    )


def _causes(plan: BuildPlan) -> Causes:
    """Return the reasons of images to build; those without any are built for another one's."""
    told = {
        one.image: [explain(reason) for reason in one.reasons if not waits(reason)]
        for one in plan.work
        if one.action == "build" and not same_as(one.reasons)
    }
    roots = {name: plan.causes[name][-1] for name, texts in told.items() if not texts}
    return share_causes(told, roots=roots, ways={name: cause_text(plan, name) for name in roots})


def _reused(plan: BuildPlan, width: int) -> Iterator[str]:
    """Yield name and digest of what is reused; of much, only how much it is."""
    reused = _listed(plan)
    for one in reused:
        yield from _row("reuse", one.image, (one.digest or "")[:_DIGEST], width)
    names = [one.image for one in plan.work if one.action == "reuse"]
    if names and not reused:
        yield from hang(f"{_HEAD.format('reuse', _count(names))}: ", _few(names))


def _listed(plan: BuildPlan) -> list[Work]:
    """Return what is reused, unless there is so much of it that it would hide the rest."""
    reused = [one for one in plan.work if one.action == "reuse"]
    return reused if len(reused) <= _REUSED else []


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _width(causes: Iterable[Causes], reused: Iterable[Work]) -> int:
    """Return the width of the column of names; longer ones get a line of their own."""
    names = [name for each in causes for name in each.own]
    return min(max(map(len, [*names, *(one.image for one in reused)]), default=0), _WIDEST)


def _count(images: Sequence[str]) -> str:
    return f"{len(images)} images"


def _lines(
    action: str,
    causes: Causes,
    width: int,
    *,
    say: Callable[[Sequence[str]], Sequence[str]] = list,
) -> Iterator[str]:
    """Yield what several images share with their names, then what each has of its own.

    :param say: makes lines of what is said of an image.
    """
    margin = " " * len(_HEAD.format("", ""))
    for one in causes.shared:
        first, *more = say(one.texts)
        head = f"{_HEAD.format(action, _count(one.images))}: "
        yield from hang(head, first)
        yield from (line for text in more for line in hang(" " * len(head), text))
        yield from hang(margin + "  ", ", ".join(one.images))
        yield from _dependents(margin, one.dependents)
    for name, texts in causes.own.items():
        first, *more = say(texts)
        yield from _row(action, name, first, width)
        yield from (line for text in more for line in _row("", "", text, width))
        yield from _dependents(margin, causes.dependents.get(name, ()))


def _row(action: str, name: str, text: str, width: int) -> Iterator[str]:
    head = _HEAD.format(action, name)
    if len(name) > width:
        yield head
        head = _HEAD.format("", "")
    yield from hang(f"{head:{len(_HEAD.format('', '')) + width}}  ", text)


def _dependents(margin: str, names: Sequence[str]) -> list[str]:
    text = f"and {len(names)} dependents: {', '.join(names)}"
    return hang(margin + "  ", text) if names else []


def plan_markdown(plan: BuildPlan) -> str:
    """Return the plan as Markdown: a table of what is to be built."""
    lines = ["## Plan", "", _total(plan)]
    rows = list(_markdown_rows(_causes(plan)))
    if rows:
        lines += markdown_table(("image", "why"), rows[:_ROWS])
    if len(rows) > _ROWS:
        lines += ["", f"… and {len(rows) - _ROWS} more."]
    return "\n".join(lines)


def _markdown_rows(causes: Causes) -> Iterator[tuple[Markup, Markup]]:
    for one in causes.shared:
        cell = f"{_count(one.images)}: {_markdown_names(one.images)}"
        yield Markup(cell + _markdown_dependents(one.dependents)), joined(one.texts, "<br>")
    for name, texts in causes.own.items():
        dependents = _markdown_dependents(causes.dependents.get(name, ()))
        yield Markup(escape_markdown(name, LONGEST) + dependents), joined(texts, "<br>")


def _markdown_dependents(names: Sequence[str]) -> str:
    return f"<br>and {len(names)} dependents: {_markdown_names(names)}" if names else ""


def _markdown_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _ROWS} more" if len(names) > _ROWS else ""
    return joined(names[:_ROWS], ", ") + more


def cause_text(plan: BuildPlan, name: str) -> str:
    """Return the way from an image to what it is built for: ``← python ← base: files changed``."""
    _, *way = plan.causes[name]
    root = plan.by_name[plan.causes[name][-1]]
    why = next((explain(reason) for reason in root.reasons if not waits(reason)), "")
    return f"{' '.join(f'← {parent}' for parent in way)}: {why}"


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
        causes = share_causes(_differences(kind, document[kind]))
        for one in causes.shared:
            lines.append(f"  {_count(one.images)}: {'; '.join(one.texts)}")
            lines += hang("    ", ", ".join(one.images))
        for name, (first, *more) in causes.own.items():
            lines += [f"  {name}: {first}", *(f"    {text}" for text in more)]
    return "\n".join([*lines, *(["nothing differs"] if document["same"] else [])])


def plan_comparison_markdown(document: Mapping[str, Any]) -> str:
    """Return a comparison as Markdown."""
    lines = ["## Plan, compared", "", f"With the plan of {escape_markdown(_since(document))}."]
    if document["same"]:
        lines += ["", "Nothing differs."]
    for kind, words in DIFFERENCES.items():
        if document[kind]:
            rows = _markdown_rows(share_causes(_differences(kind, document[kind])))
            lines += ["", f"### {words.capitalize()}", *markdown_table(("image", ""), rows)]
    return "\n".join(lines)


def _differences(kind: str, found: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    return {one["image"]: list(_difference(kind, one)) for one in found}


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
