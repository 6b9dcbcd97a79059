"""Verdicts for people: a table for the terminal and Markdown for a run's summary page."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from aksci.core.text import one_line, spelled
from aksci.report.markup import LONGEST, Markup, markdown_table
from aksci.supply.scan.verdict import SEVERITIES
from aksci.supply.scan.verdict_changes import all_findings, changes_since

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.supply.scan.verdict import Finding, IgnoredFinding, Verdict
    from aksci.supply.scan.verdict_changes import FindingChanges

__all__ = [
    "finding_document",
    "finding_text",
    "verdicts_document",
    "verdicts_markdown",
    "verdicts_table",
]

_LICENCES = 6
"""Named in a line; the other formats have all of them."""
_ORIGINS = {"base": "from the base", "own": "our own"}


def verdicts_document(
    verdicts: Mapping[str, Verdict], before: Mapping[str, Verdict] | None = None
) -> dict[str, object]:
    """Return the JSON document of a whole scan, by image name.

    :param before: the verdicts of the last release; ``sinceLastRelease`` is null without them.
    """
    changes = None if before is None else changes_since(before, verdicts)
    return {
        "schema": 1,
        "passed": all(verdict.passed for verdict in verdicts.values()),
        "images": {
            name: {
                **verdict.document(),
                "verdict": str(verdict.stored) if verdict.stored else None,
            }
            for name, verdict in sorted(verdicts.items())
        },
        "sinceLastRelease": changes
        and {
            name: {
                "sameImage": one.same_image,
                "introduced": [finding_document(finding) for finding in one.introduced],
                "fixed": [finding_document(finding) for finding in one.fixed],
            }
            for name, one in changes.items()
        },
    }


def verdicts_table(
    verdicts: Mapping[str, Verdict], before: Mapping[str, Verdict] | None = None
) -> str:
    """Return one line an image, and below each that failed, what failed it.

    :param before: the verdicts of the last release, to tell what came and went since.
    """
    width = max((len(name) for name in verdicts), default=0)
    lines = []
    for name, verdict in sorted(verdicts.items()):
        word = "pass" if verdict.passed else "FAIL"
        lines.append(f"{word}  {one_line(name):<{width}}  {_counts(verdict)}")
        lines += [f"      {one_line(text)}" for text in (*verdict.problems, *verdict.notes)]
        lines += [f"      {finding_text(finding)}" for finding in _ranked(verdict)]
        lines += [f"      {_ignored(entry)}" for entry in verdict.ignored]
    lines += _licences_text(verdicts)
    if before is not None:
        lines += ["", *_changes_text(verdicts, before)]
    return "\n".join(lines)


def verdicts_markdown(
    verdicts: Mapping[str, Verdict], before: Mapping[str, Verdict] | None = None
) -> str:
    """Return a table of images, of what failed them, of what is ignored, and of what changed.

    :param before: the verdicts of the last release, to tell what came and went since.
    """
    rows = (
        (name, Markup("pass" if one.passed else "**fail**"), Markup(_counts(one)))
        for name, one in sorted(verdicts.items())
    )
    _, *lines = markdown_table(("image", "verdict", "findings"), rows)
    lines += _failing_markdown(verdicts)
    lines += _ignored_markdown(verdicts)
    if before is not None:
        lines += _changes_markdown(verdicts, before)
    lines += _licences_markdown(verdicts)
    if any(verdict.test_database for verdict in verdicts.values()):
        lines += ["", "Scanned with a small test database: not a statement about these images."]
    return "\n".join(lines) + "\n"


def finding_text(finding: Finding) -> str:
    """Return one finding as one line."""
    where = _package(finding)
    platform = f" [{finding.platform}]" if finding.platform else ""
    fix = f", fixed in {spelled(finding.fixed)}" if finding.fixed else ""
    marks = "".join(f", {mark}" for mark in _marks(finding))
    text = f"{spelled(finding.id)} in {where}{fix}{marks}{platform}: {finding.title}"
    return f"{one_line(finding.severity):<8} {one_line(text, LONGEST)}"


def _failing_markdown(verdicts: Mapping[str, Verdict]) -> list[str]:
    columns = ("image", "finding", "severity", "package", "fixed in", "from", "title")
    rows: list[tuple[str, ...]] = []
    for name, verdict in sorted(verdicts.items()):
        if not verdict.passed:
            rows += [(name, text, *[""] * (len(columns) - 2)) for text in verdict.problems]
            rows += [(name, *_cells(finding)) for finding in _ranked(verdict)]
    failed = any(not verdict.passed for verdict in verdicts.values())
    return markdown_table(columns, rows) if failed else []


def _ignored_markdown(verdicts: Mapping[str, Verdict]) -> list[str]:
    columns = ("ignored", "image", "package", "until", "owner", "reason")
    rows = [
        (
            *(spelled(one.finding.id), name, spelled(one.finding.package)),
            *(one.expires, one.owner, one.reason),
        )
        for name, verdict in sorted(verdicts.items())
        for one in verdict.ignored
    ]
    return markdown_table(columns, rows) if rows else []


def _changes_markdown(
    verdicts: Mapping[str, Verdict], before: Mapping[str, Verdict]
) -> Iterator[str]:
    changes = changes_since(before, verdicts)
    came, went = (
        sum(len(getattr(one, side)) for one in changes.values()) for side in ("introduced", "fixed")
    )
    yield from ("", f"Since the last release: {came} introduced, {went} fixed.")
    if changes:
        columns = ("", "image", "finding", "severity", "package", "title")
        rows = (
            (word, name, spelled(one.id), one.severity, _package(one), one.title)
            for word, name, one in _came_and_went(changes)
        )
        yield from markdown_table(columns, rows)


def _changes_text(verdicts: Mapping[str, Verdict], before: Mapping[str, Verdict]) -> Iterator[str]:
    changes = changes_since(before, verdicts)
    if not changes:
        yield "nothing introduced and nothing fixed since the last release"
        return
    yield "since the last release:"
    for word, name, one in _came_and_went(changes):
        yield one_line(
            f"{word} in {name}: {one.severity} {spelled(one.id)} in {_package(one)}", LONGEST
        )


def _came_and_went(changes: Mapping[str, FindingChanges]) -> Iterator[tuple[str, str, Finding]]:
    """Yield what became of it, the image, and the finding."""
    for name, one in changes.items():
        # The same image has the same packages: a later database knows more, or less, of them.
        words = ("known now", "known no longer") if one.same_image else ("introduced", "fixed")
        for word, findings in zip(words, (one.introduced, one.fixed), strict=True):
            yield from ((word, name, finding) for finding in findings)


def _licences_text(verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    found = sorted({name for verdict in verdicts.values() for name in verdict.licences})
    if found:
        more = f" and {len(found) - _LICENCES} more" if len(found) > _LICENCES else ""
        yield one_line(f"licences: {', '.join(found[:_LICENCES])}{more}", 2 * LONGEST)


def _licences_markdown(verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    """Yield which licence how many packages of each image are said to have, folded."""
    names = sorted({name for verdict in verdicts.values() for name in verdict.licences})
    if not names:
        return
    rows = ((name, _having(name, verdicts)) for name in names)
    yield from ("", f"<details><summary>{len(names)} licences</summary>")
    yield from markdown_table(("licence", "packages"), rows)
    yield from ("", "</details>")


def _having(licence: str, verdicts: Mapping[str, Verdict]) -> str:
    found = ((image, verdict.licences.get(licence)) for image, verdict in sorted(verdicts.items()))
    return ", ".join(f"{image} {count}" for image, count in found if count is not None)


def _counts(verdict: Verdict) -> str:
    parts = [
        f"{verdict.counts[name]} {name.lower()}" for name in SEVERITIES if verdict.counts[name]
    ]
    origins = Counter(finding.origin for finding in all_findings(verdict))
    split = [f"{origins[word]} {text}" for word, text in _ORIGINS.items() if origins[word]]
    return (", ".join(parts) or "none") + (f" ({', '.join(split)})" if split else "")


def _ranked(verdict: Verdict) -> list[Finding]:
    """Return what fails, the most urgent first: what is exploited, then by severity and score."""
    return sorted(
        verdict.failing,
        key=lambda one: (not one.kev, SEVERITIES.index(one.severity), -(one.epss or 0)),
    )


def _marks(finding: Finding) -> Iterator[str]:
    if finding.kev:
        yield "KNOWN TO BE EXPLOITED"
    if finding.epss is not None:
        yield f"EPSS {finding.epss:.3f}"
    if finding.origin:
        yield _ORIGINS[finding.origin]


def _ignored(entry: IgnoredFinding) -> str:
    finding = entry.finding
    until = f" until {entry.expires}" if entry.expires else ""
    where = f"{spelled(finding.id)} in {spelled(finding.package)}"
    return one_line(f"ignored{until}: {where} ({entry.owner}: {entry.reason})", LONGEST)


def _cells(finding: Finding) -> tuple[str, ...]:
    name = " ".join([spelled(finding.id), *(["(exploited)"] if finding.kev else [])])
    fixed = spelled(finding.fixed)
    return (name, finding.severity, _package(finding), fixed, finding.origin, finding.title)


def _package(finding: Finding) -> str:
    return f"{spelled(finding.package)} {spelled(finding.installed)}"


def finding_document(finding: Finding) -> dict[str, str]:
    """Return what tells a finding from others, and its title."""
    names = ("kind", "id", "severity", "package", "installed", "fixed", "title")
    return {name: str(getattr(finding, name)) for name in names}
