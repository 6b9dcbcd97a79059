"""What ``why`` has found of one image, for people: as text, and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.text import escape_markdown, safe_json
from aksci.images.reason_wording import explain
from aksci.report.markup import markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from aksci.images.explain import Explanation

__all__ = ["WHY_FORMATS", "why_markdown", "why_text"]


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


WHY_FORMATS: dict[str, Callable[[Explanation], str]] = {
    "text": lambda explanation: why_text(explanation.document),
    "json": lambda explanation: safe_json(explanation.document),
    "markdown": lambda explanation: why_markdown(explanation.document),
}
