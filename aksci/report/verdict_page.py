"""Verdicts as one page of HTML that needs nothing else: search, filters, sorting, what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.text import escape_html, one_line, spelled
from aksci.report.markup import LONGEST, fill_page, page_data
from aksci.supply.scan.verdict_changes import changes_since

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.supply.scan.verdict import Finding, Verdict
    from aksci.supply.scan.verdict_changes import FindingChanges

__all__ = ["verdicts_page"]


def verdicts_page(
    verdicts: Mapping[str, Verdict],
    before: Mapping[str, Verdict] | None = None,
    *,
    title: str = "Scan",
) -> str:
    """Return the page. All text reaches it as data, never as markup or as a script."""
    data = page_data(_document(verdicts, before))
    return fill_page("verdicts.html", title=escape_html(title), data=data)


def _document(
    verdicts: Mapping[str, Verdict], before: Mapping[str, Verdict] | None
) -> dict[str, Any]:
    changes = changes_since(before, verdicts) if before is not None else {}
    return {
        "compared": before is not None,
        "testDatabase": any(verdict.test_database for verdict in verdicts.values()),
        "images": [
            {
                "name": one_line(name),
                "ref": str(verdict.image),
                "passed": verdict.passed,
                "problems": [one_line(text) for text in verdict.problems],
                "notes": [one_line(text) for text in verdict.notes],
                "scanner": one_line(verdict.scanner),
                "database": one_line(verdict.database),
            }
            for name, verdict in sorted(verdicts.items())
        ],
        "findings": [
            row
            for name, verdict in sorted(verdicts.items())
            for row in _rows(name, verdict, changes.get(name))
        ],
    }


def _rows(name: str, verdict: Verdict, changes: FindingChanges | None) -> Iterator[dict[str, Any]]:
    introduced = {_key(finding) for finding in changes.introduced} if changes else set()
    since = "known now" if changes and changes.same_image else "introduced"

    def row(finding: Finding, state: str, why: str = "") -> dict[str, Any]:
        return _row(name, finding, state, why, since if _key(finding) in introduced else "")

    yield from (row(finding, "failing") for finding in verdict.failing)
    for entry in verdict.ignored:
        until = f" (until {entry.expires})" if entry.expires else ""
        yield row(entry.finding, "ignored", f"{entry.owner}: {entry.reason}{until}")
    yield from (row(finding, "tolerated") for finding in verdict.tolerated)
    if changes:
        gone = "known no longer" if changes.same_image else "fixed"
        yield from (_row(name, finding, "gone", "", gone) for finding in changes.fixed)


def _row(name: str, finding: Finding, state: str, why: str, since: str) -> dict[str, Any]:
    # From the scanner's database: ``javascript:`` would run in the page.
    address = finding.url if finding.url.startswith(("https://", "http://")) else ""
    texts = {
        "image": name,
        "state": state,
        "severity": finding.severity,
        "id": spelled(finding.id),
        "kind": finding.kind,
        "package": spelled(finding.package),
        "installed": spelled(finding.installed),
        "fixed": spelled(finding.fixed),
        "origin": finding.origin,
        "platform": finding.platform,
        "title": finding.title,
        "why": why,
        "since": since,
        "url": address,
    }
    return {
        **{key: one_line(text, LONGEST) for key, text in texts.items()},
        "kev": finding.kev,
        "epss": finding.epss,
    }


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.id, finding.package
