"""A comparison of releases as text, as Markdown, and as JSON (``schema: 1``)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aksci.core.text import escape_markdown, one_line, safe_json, spelled
from aksci.report.markup import LONGEST
from aksci.report.verdict_report import finding_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aksci.supply.release.compare import Comparison, ImageChange, ServiceChange
    from aksci.supply.release.release import ReleaseImage, ReleaseService
    from aksci.supply.scan.verdict import Finding, IgnoredFinding

__all__ = [
    "COMPARISON_FORMATS",
    "comparison_document",
    "comparison_markdown",
    "comparison_text",
]

_WHY = {
    "base": "a base differs",
    "inputs": "its own inputs differ",
    "bytes": "the same inputs gave other bytes",
}
_SCHEMA = {
    "added": "new migration",
    "removed": "MIGRATION REMOVED",
    "rewritten": "MIGRATION REWRITTEN (databases that ran it keep its old form)",
}


def comparison_text(comparison: Comparison) -> str:
    """Return what differs as text, indented."""
    return "\n".join("  " * depth + one_line(line, LONGEST) for depth, line in _lines(comparison))


def comparison_markdown(comparison: Comparison) -> str:
    """Return what differs as Markdown: nested lists under a heading."""
    lines = ["## Release, compared", ""]
    for depth, line in _lines(comparison):
        lines.append(
            f"{escape_markdown(line, LONGEST)}\n"
            if not depth
            else "  " * (depth - 1) + f"- {escape_markdown(line, LONGEST)}"
        )
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Return what differs, as schemas/release-comparison.schema.json describes it."""
    return {
        "schema": 1,
        "same": comparison.same,
        "old": {"ref": str(comparison.old.ref), "commit": comparison.old.commit},
        "new": {"ref": str(comparison.new.ref), "commit": comparison.new.commit},
        "commits": {
            "added": [asdict(commit) for commit in comparison.commits.added],
            "removed": [asdict(commit) for commit in comparison.commits.removed],
            "note": comparison.commits.note,
        },
        "images": [_image_document(change) for change in comparison.images],
        "services": [_service_document(change) for change in comparison.services],
    }


def _lines(comparison: Comparison) -> Iterator[tuple[int, str]]:
    """Yield depth and text of each line."""
    if comparison.same:
        yield 0, f"no difference: both are {comparison.old.ref}"
        return
    yield 0, f"from {_name(comparison.old)} to {_name(comparison.new)}"
    loud = [(service.name, one) for service in comparison.services for one in service.schema]
    for name, change in loud:
        if change.change != "added":
            yield 0, f"{_SCHEMA[change.change]}: {change.version} of {name}"
    yield from _commit_lines(comparison)
    yield from _section("images", comparison.images, _image_lines)
    yield from _section("services", comparison.services, _service_lines)


def _name(release: Any) -> str:
    commit = f" (commit {release.commit[:12]})" if release.commit else ""
    return f"{release.tag}{commit}"


def _section(title: str, changes: Iterable[Any], lines: Any) -> Iterator[tuple[int, str]]:
    changes = list(changes)
    if not changes:
        yield 0, f"{title}: no difference"
        return
    yield 0, f"{title}: {len(changes)} differ"
    for change in changes:
        yield from lines(change)


def _commit_lines(comparison: Comparison) -> Iterator[tuple[int, str]]:
    commits = comparison.commits
    note = f" ({commits.note})" if commits.note else ""
    if not commits.added and not commits.removed:
        yield 0, f"commits: {'not known' if commits.note else 'none'}{note}"
        return
    yield 0, f"commits: {len(commits.added)} new, {len(commits.removed)} gone{note}"
    for word, side in (("new", commits.added), ("gone", commits.removed)):
        yield from ((1, f"{word} {commit.hash[:12]} {commit.subject}") for commit in side)


def _image_lines(change: ImageChange) -> Iterator[tuple[int, str]]:
    why = ": " + ", ".join(_WHY[word] for word in change.why) if change.why else ""
    was = f" (was {change.old.name})" if change.change == "renamed" and change.old else ""
    digests = " → ".join(_short(one.ref.digest) for one in (change.old, change.new) if one)
    if change.change == "rescanned":
        digests = "the same bytes, another verdict"
    yield 1, f"{change.name} {change.change}{was}{why} [{digests}]"
    policies = [_short(one.policy) for one in (change.old, change.new) if one and one.policy]
    if len(set(policies)) > 1:
        yield 2, f"policy: {' → '.join(policies)}"
    for base in change.bases:
        yield 2, f"base {base.name}: {_short(base.old) or 'none'} → {_short(base.new) or 'none'}"
    if change.packages is None:
        yield 2, "packages: not known"
    for package in change.packages or () if change.change not in {"added", "removed"} else ():
        versions = " → ".join(filter(None, (package.old, package.new)))
        yield 2, f"package {package.name} {package.change}: {versions}"
    yield from _finding_lines(change)
    for word, entries in (
        ("ignored now", change.ignores_added),
        ("ignored no longer", change.ignores_lapsed),
    ):
        yield from ((2, f"{word}: {_ignore(entry)}") for entry in entries)
    if change.note:
        yield 2, f"not all is known: {change.note}"


def _finding_lines(change: ImageChange) -> Iterator[tuple[int, str]]:
    if change.findings is None:
        yield 2, "findings: not known"
        return
    newly = "known now" if change.findings.same_image else "introduced"
    gone = "known no longer" if change.findings.same_image else "fixed"
    if change.change == "removed":
        gone = "gone with the image"
    for word, findings in ((newly, change.findings.introduced), (gone, change.findings.fixed)):
        yield from ((2, f"{word}: {_finding(finding)}") for finding in findings)


def _service_lines(change: ServiceChange) -> Iterator[tuple[int, str]]:
    yield 1, f"{change.name} {change.change}"
    if change.chart_differs and change.old and change.new:
        digests = f"{_short(change.old.chart.digest)} → {_short(change.new.chart.digest)}"
        versions = f"{change.old.chart_version} → {change.new.chart_version}"
        yield 2, f"chart {change.new.chart_name} {versions} [{digests}]"
    for key in change.images:
        old, new = ((side.images.get(key) if side else None) for side in (change.old, change.new))
        yield 2, f"image for {key}: {old or 'none'} → {new or 'none'}"
    if change.schema:
        yield 2, f"schema: {_range(change.old)} → {_range(change.new)}"
    yield from ((3, f"{_SCHEMA[one.change]}: {one.version}") for one in change.schema)


def _range(service: ReleaseService | None) -> str:
    found = service.schema_range if service else None
    return f"{found[0]}…{found[1]}" if found else "none"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def _finding(finding: Finding) -> str:
    mark = ", known to be exploited" if finding.kev else ""
    where = f"{spelled(finding.package)} {spelled(finding.installed)}"
    return f"{finding.severity} {spelled(finding.id)} in {where}{mark}"


def _ignore(entry: IgnoredFinding) -> str:
    finding = entry.finding
    where = f"{spelled(finding.id)} in {spelled(finding.package)}"
    return f"{where} until {entry.expires} ({entry.owner}: {entry.reason})"


def _image_document(change: ImageChange) -> dict[str, Any]:
    packages, findings = change.packages, change.findings
    return {
        "image": change.name,
        "change": change.change,
        "why": list(change.why),
        "old": _side(change.old),
        "new": _side(change.new),
        "bases": [asdict(base) for base in change.bases],
        "packages": None if packages is None else [asdict(package) for package in packages],
        "findings": findings
        and {
            "sameImage": findings.same_image,
            "introduced": [finding_document(finding) for finding in findings.introduced],
            "fixed": [finding_document(finding) for finding in findings.fixed],
        },
        "ignores": {
            "added": [_ignore_document(entry) for entry in change.ignores_added],
            "lapsed": [_ignore_document(entry) for entry in change.ignores_lapsed],
        },
        "note": change.note,
    }


def _side(image: ReleaseImage | None) -> dict[str, str] | None:
    if image is None:
        return None
    return {
        "image": image.name,
        "ref": str(image.ref),
        "inputKey": image.input_key,
        "verdict": image.verdict,
        "policy": image.policy,
    }


def _ignore_document(entry: IgnoredFinding) -> dict[str, str]:
    return {
        "id": entry.finding.id,
        "package": entry.finding.package,
        "owner": entry.owner,
        "reason": entry.reason,
        "expires": entry.expires,
    }


def _service_document(change: ServiceChange) -> dict[str, Any]:
    return {
        "service": change.name,
        "change": change.change,
        "chart": {"old": _chart(change.old), "new": _chart(change.new)},
        "images": list(change.images),
        "schema": [asdict(one) for one in change.schema],
    }


def _chart(service: ReleaseService | None) -> dict[str, str] | None:
    if service is None:
        return None
    return {
        "ref": str(service.chart),
        "name": service.chart_name,
        "version": service.chart_version,
    }


COMPARISON_FORMATS: dict[str, Callable[[Comparison], str]] = {
    "text": comparison_text,
    "json": lambda comparison: safe_json(comparison_document(comparison)),
    "markdown": comparison_markdown,
}
