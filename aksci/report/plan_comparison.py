"""The difference between two plans, for people: as text and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.text import escape_markdown
from aksci.images.plan_compare import DIFFERENCES
from aksci.images.reason_wording import explain, short_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["comparison_markdown", "comparison_text"]


def comparison_text(document: Mapping[str, Any]) -> str:
    """Return a comparison as text."""
    lines = [f"Compared with the plan of {_since(document)}:"]
    for kind, words in DIFFERENCES.items():
        if document[kind]:
            lines.append(f"{words}:")
        for one in document[kind]:
            first, *more = _told(kind, one)
            lines += [f"  {one['image']}: {first}", *(f"    {text}" for text in more)]
    return "\n".join([*lines, *(["nothing differs"] if document["same"] else [])])


def comparison_markdown(document: Mapping[str, Any]) -> str:
    """Return a comparison as Markdown."""
    lines = ["## Plan, compared", "", f"With the plan of {escape_markdown(_since(document))}."]
    if document["same"]:
        lines += ["", "Nothing differs."]
    for kind, words in DIFFERENCES.items():
        if document[kind]:
            lines += ["", f"### {words.capitalize()}", "", "| image | |", "| --- | --- |"]
        lines += [
            f"| {escape_markdown(one['image'])} | "
            f"{'<br>'.join(map(escape_markdown, _told(kind, one)))} |"
            for one in document[kind]
        ]
    return "\n".join(lines)


def _told(kind: str, one: Mapping[str, Any]) -> Iterable[str]:
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
