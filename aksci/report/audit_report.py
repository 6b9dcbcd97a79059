"""What ``verify`` has found, for people: text for the terminal and Markdown for a run's summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.text import escape_markdown, safe_json
from aksci.report.markup import Markup, markdown_table
from aksci.supply.verify.judge import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aksci.supply.verify.audit import Audit, Row

__all__ = ["AUDIT_FORMATS", "audit_markdown", "audit_text"]

_GROUPS = {
    "release": "release",
    "chart": "charts",
    "image": "images",
    "workload": "what workloads name",
    "pod": "what pods run",
    "service": "what does not run",
}
_SHORT = 12


def audit_text(audit: Audit) -> str:
    """Return one line a thing, grouped, with what is wrong below it; the counts at the end."""
    width = max((len(row.outcome) for row in audit.rows), default=0)
    where = f", namespace {audit.namespace}" if audit.namespace else ""
    lines = [f"{audit.environment}{where}, signatures in {audit.registry}"]
    # Who signed is mostly the same for all: told once, it leaves the rows to what differs.
    common = _common(audit)
    lines += [f"all that is verified: {text}" for text in common]
    for kind, title in _GROUPS.items():
        rows = [row for row in audit.rows if row.kind == kind]
        lines += ["", title] if rows else []
        for row in rows:
            lines.append(f"  {row.outcome:<{width}}  {row.where}{_told(row, common)}")
            lines += [f"  {'':<{width}}    {text}" for text in _details(row)]
    return "\n".join([*lines, "", _counts(audit)])


def audit_markdown(audit: Audit) -> str:
    """Return one table, worst first."""
    word = "verified" if audit.passed else "NOT VERIFIED"
    columns = ("outcome", "what", "image", "signed by", "commit", "run", "verdict")
    rows = map(_cells, sorted(audit.rows, key=lambda row: not row.outcome.bad))
    title = f"**{word}**: {escape_markdown(audit.environment)}, {_counts(audit)}"
    return "\n".join([title, *markdown_table(columns, rows)])


def _cells(row: Row) -> tuple[str, ...]:
    notes = "; ".join(text for text in (row.reason, *row.warnings) if text)
    what = f"{row.kind} {row.where}" + (f": {notes}" if notes else "")
    outcome = Markup(f"**{row.outcome}**") if row.outcome.bad else str(row.outcome)
    image = row.image if row.digest in row.image else f"{row.image} ({row.digest})"
    return (outcome, what, image, "; ".join(row.by), row.commit, row.run, row.verdict)


def _details(row: Row) -> Iterator[str]:
    if row.image:
        yield row.image
    if row.digest and row.digest not in row.image:
        yield f"running {row.digest}" if row.kind == "pod" else row.digest
    if row.reason:
        yield row.reason
    yield from (f"warning: {text}" for text in row.warnings)


def _common(audit: Audit) -> tuple[str, ...]:
    """Return what is the same for all that is verified: it is told once."""
    told = [_origin(row) for row in audit.rows if row.outcome is Outcome.VERIFIED]
    return tuple(text for text in told[0] if all(text in other for other in told)) if told else ()


def _origin(row: Row) -> tuple[str, ...]:
    """Return who signed, which commit, in which run; what passed the gate."""
    parts = (
        f"signed by {', '.join(row.by)}" if row.by else "",
        f"commit {row.commit[:_SHORT]}" if row.commit else "",
        f"run {row.run}" if row.run else "",
        f"verdict {row.verdict.removeprefix('sha256:')[:_SHORT]}" if row.verdict else "",
        f"policy {row.policy.removeprefix('sha256:')[:_SHORT]}" if row.policy else "",
    )
    return tuple(part for part in parts if part)


def _told(row: Row, common: tuple[str, ...]) -> str:
    if row.outcome is not Outcome.VERIFIED:
        return ""
    told = ", ".join(part for part in _origin(row) if part not in common)
    return f"  ({told})" if told else ""


def _counts(audit: Audit) -> str:
    counted = ", ".join(f"{number} {name}" for name, number in audit.counts.items())
    warned = sum(bool(row.warnings) for row in audit.rows)
    return (counted or "nothing") + (f"; {warned} with a warning" if warned else "")


AUDIT_FORMATS: dict[str, Callable[[Audit], str]] = {
    "text": audit_text,
    "markdown": audit_markdown,
    "json": lambda audit: safe_json(audit.as_json()),
}
