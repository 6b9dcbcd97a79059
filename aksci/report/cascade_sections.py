"""A cascade's report as sections of lines and tables, which each format draws in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.text import one_line, spelled
from aksci.images.reason_wording import explain
from aksci.report.cascade_wording import (
    by_severity,
    chain,
    counted,
    listed,
    move,
    policy_text,
    worst_first,
)
from aksci.report.critical_path import critical_path
from aksci.report.shared_causes import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aksci.cascade.cascade_report import (
        Cascade,
        Dependent,
        EnvironmentOutcome,
        FindingMove,
        ImageOutcome,
    )
    from aksci.cascade.drift import EdgeDrift

__all__ = ["Section", "finding_table", "sections_of"]

_NAME = 1
"""The column of the names."""
_IDS = 3
"""Vulnerabilities named in a row."""
_MANY = 20
"""Images named for one cause that they share."""
_ERROR = 200
"""Characters of an error, so that what it blocks stays in sight."""
_STATES = {"drifted": "moved", "batched": "batched", "ignored": "ignored"}
_PLANS = {"rebuild": "would be rebuilt"}
_ENVIRONMENTS = {"would deploy": "would be deployed", "left": "left alone"}
_DEPENDENTS = {
    "ask": "would be asked for",
    "asked": "asked for",
    "known": "asked for already",
    "loop": "not asked for: that would go in a circle",
    "none": "nobody sees to it",
}


@dataclass(frozen=True, kw_only=True)
class Section:
    """Lines, a table, or both. Texts are as they came: whoever draws them makes them harmless."""

    title: str
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    more: int = 0
    """Things that are neither in a line nor in a row."""


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One thing of a table, which may share its row with others where there are too many."""

    name: str
    own: str = ""
    """What no other has, such as a digest; left out of a row that several share."""
    shared: tuple[str, ...]
    """What others may have as well: the first column, and those after ``own``."""
    count: int = 1
    """Things that it stands for."""


def sections_of(report: Cascade, limit: int) -> tuple[Section, ...]:
    """Return what there is to tell beyond the answer, in the order of a reader's questions.

    :param limit: rows or lines of one section.
    """
    found = (
        _drift(report, limit),
        _images(report, limit),
        _failures(report, limit),
        _findings(report, limit),
        _tags(report, limit),
        Section(title="Release", lines=tuple(_release(report))),
        _environments(report, limit),
        _dependents(report, limit),
        Section(title="Time", lines=tuple(_time(report))),
    )
    return tuple(one for one in found if one.lines or one.rows)


def finding_table(report: Cascade, limit: int) -> Section:
    """Return every vulnerability that came or went, with its title, the worst first."""
    entries = [
        _Entry(
            name=one.image,
            shared=(
                *(one.change, one.severity.lower(), spelled(one.id), spelled(one.package)),
                one.title,
            ),
        )
        for one in worst_first(report.findings)
    ]
    columns = ("", "image", "", "severity", "id", "package", "title")
    return _table("Vulnerabilities, one by one", columns, entries, limit)


def _drift(report: Cascade, limit: int) -> Section:
    alike: dict[tuple[str, ...], list[EdgeDrift]] = {}
    for one in report.drift:
        if one.state in _STATES:
            told = (_STATES[one.state], move(one.recorded, one.current), _remarks(one))
            alike.setdefault((one.reference, *told), []).append(one)
    entries = [
        _Entry(name=reference, own=digests, shared=(state, _uses(edges), remarks))
        for (reference, state, digests, remarks), edges in alike.items()
    ]
    same = sum(one.state == "same" for one in report.drift)
    verb = "is" if same == 1 else "are"
    lines = (f"{counted(same, 'edge')} {verb} as recorded",) if same else ()
    columns = ("", "reference", "digest", "used by", "policy")
    return _table("Bases", columns, entries, limit, lines)


def _remarks(one: EdgeDrift) -> str:
    told = ["an image of this project"] if one.parent else []
    told += [f"now the tag {one.tag}"] if one.tag else []
    return "; ".join([*told, *filter(None, (policy_text(one.policy), one.note))])


def _uses(edges: Sequence[EdgeDrift]) -> str:
    by_type: dict[str, list[str]] = {}
    for one in edges:
        by_type.setdefault(one.type, []).append(one.image)
    return "; ".join(f"{kind} of {listed(images)}" for kind, images in by_type.items())


def _images(report: Cascade, limit: int) -> Section:
    entries = [
        _Entry(
            name=one.image,
            own=move(one.before, one.after) if one.after else "",
            shared=(_PLANS.get(one.action, one.action), _why(one)),
        )
        for one in report.images
        if one.action != "kept"
    ]
    if kept := [one.image for one in report.images if one.action == "kept"]:
        entries.append(_Entry(name=listed(kept), shared=("kept", ""), count=len(kept)))
    return _table("Images", ("", "image", "digest", "why"), _said_once(entries), limit)


def _said_once(entries: Sequence[_Entry]) -> list[_Entry]:
    """Return one entry for all that share theirs, where no digest tells them apart."""
    alike: dict[tuple[str, ...], list[_Entry]] = {}
    for one in entries:
        alike.setdefault((one.own and one.name, *one.shared), []).append(one)
    found: list[_Entry] = []
    for group in alike.values():
        if len(group) < SHARED:
            found += group
            continue
        count = sum(one.count for one in group)
        name = f"{count} images: {listed([one.name for one in group], _MANY)}"
        found.append(_Entry(name=name, shared=group[0].shared, count=count))
    return found


def _why(one: ImageOutcome) -> str:
    told = [explain(dict(reason)) for reason in one.reasons]
    told += [f"{listed(one.blocked_by)} failed"] if one.action == "blocked" else []
    stays = "its stable tags stay, for another image of its group failed"
    return "; ".join([*told, *([stays] if one.withheld else [])])


def _failures(report: Cascade, limit: int) -> Section:
    failed = [one for one in report.images if one.action == "failed"]
    lines = tuple(_failure(one, report) for one in failed[:limit])
    return Section(title="Failures", lines=lines, more=len(failed) - len(lines))


def _failure(failed: ImageOutcome, report: Cascade) -> str:
    levels = _blocked_levels(failed.image, report.images)
    blocks = f"; blocks {chain([listed(names) for names in levels])}" if levels else ""
    return f"{failed.image} failed: {one_line(failed.error, _ERROR) or 'nobody knows why'}{blocks}"


def _blocked_levels(failed: str, images: Sequence[ImageOutcome]) -> list[list[str]]:
    """Return the images that a failure blocks: first those that need it itself, and so on."""
    depth = {failed: 0}
    levels: list[list[str]] = []
    for one in images:
        if failed not in one.blocked_by:
            continue
        depth[one.image] = 1 + max((depth[need] for need in one.needs if need in depth), default=0)
        levels += [[] for _ in range(depth[one.image] - len(levels))]
        levels[depth[one.image] - 1].append(one.image)
    return levels


def _findings(report: Cascade, limit: int) -> Section:
    by_image: dict[tuple[str, str], list[FindingMove]] = {}
    for one in report.findings:
        by_image.setdefault((one.image, one.change), []).append(one)
    entries = [
        _Entry(name=image, shared=(change, by_severity(_distinct(found)), _ids(found)))
        for (image, change), found in by_image.items()
    ]
    columns = ("", "image", "", "how many", "which")
    lines = tuple(_finding_totals(report))
    return _table("Vulnerabilities", columns, entries, limit, lines)


def _finding_totals(report: Cascade) -> Iterator[str]:
    for change in ("fixed", "introduced"):
        found = [one for one in report.findings if one.change == change]
        distinct = _distinct(found)
        images = len({one.image for one in found})
        if found:
            split = by_severity(distinct)
            yield f"{change}: {len(distinct)} in {counted(images, 'image')} ({split})"


def _distinct(found: Sequence[FindingMove]) -> list[FindingMove]:
    """Return each vulnerability once, on however many platforms and in however many images."""
    return list({(one.id, one.package): one for one in found}.values())


def _ids(found: Sequence[FindingMove]) -> str:
    return listed(
        [f"{spelled(one.id)} ({spelled(one.package)})" for one in worst_first(_distinct(found))],
        _IDS,
    )


def _tags(report: Cascade, limit: int) -> Section:
    entries = [
        _Entry(name=f"{one.repository}:{one.tag}", own=move(one.old, one.new), shared=("",))
        for one in report.tags
    ]
    verb = "would move" if report.planned else "moved"
    lines = (f"{counted(len(entries), 'tag')} {verb}",) if entries else ()
    return _table("Tags", ("", "tag", "digest"), entries, limit, lines)


def _release(report: Cascade) -> Iterator[str]:
    before, after = report.release_before, report.release_after
    if before and after and before != after:
        yield f"{before} → {after}"
    elif before or after:
        yield f"{after}, the first" if after and not before else f"{before}, as before"


def _environments(report: Cascade, limit: int) -> Section:
    columns = ("", "environment", "", "services", "time", "detail")
    entries = [_environment(one) for one in report.environments]
    return _table("Environments", columns, entries, limit)


def _environment(one: EnvironmentOutcome) -> _Entry:
    word = _ENVIRONMENTS.get(one.outcome, one.outcome)
    seconds = f"{one.seconds:.1f} s" if one.seconds else ""
    return _Entry(name=one.name, shared=(word, listed(one.services), seconds, one.detail))


def _dependents(report: Cascade, limit: int) -> Section:
    columns = ("", "image", "digest of the base", "base", "asked", "detail")
    entries = [_dependent(one) for one in report.dependents]
    return _table("Other repositories", columns, entries, limit)


def _dependent(one: Dependent) -> _Entry:
    name = f"{one.repository}:{one.tag}" if one.tag else f"{one.repository}@{one.digest}"
    word = _DEPENDENTS.get(one.action, one.action)
    digests = move(one.recorded, one.current)
    return _Entry(name=name, own=digests, shared=(word, one.reference, one.target, one.detail))


def _time(report: Cascade) -> Iterator[str]:
    names, seconds = critical_path(report.images)
    steps = ", ".join(f"{name} {spent:.1f} s" for name, spent in report.steps.items())
    if report.seconds:
        yield f"{report.seconds:.1f} s" + (f": {steps}" if steps else "")
    making = report.steps.get("images", report.seconds)
    if names and making:
        ratio = f"{making / seconds:.2f}×"  # noqa: RUF001 - it is how many times as long
        path = f"critical path {chain(names)} {seconds:.1f} s ({ratio})"
        yield f"images in {making:.1f} s; {path}"


def _table(
    title: str,
    columns: tuple[str, ...],
    entries: Sequence[_Entry],
    limit: int,
    lines: tuple[str, ...] = (),
) -> Section:
    """Return a section with a row an entry or, beyond the limit, one for all that are alike.

    Columns in which there is nothing are left out, that of the names aside.

    :param columns: the first of ``shared``, ``name``, ``own``, then the others of ``shared``.
    """
    rows, more = _rows(entries, limit)
    used = [at for at in range(len(columns)) if at == _NAME or any(row[at] for row in rows)]
    return Section(
        title=title,
        lines=lines,
        columns=tuple(columns[at] for at in used),
        rows=tuple(tuple(row[at] for at in used) for row in rows),
        more=more,
    )


def _rows(entries: Sequence[_Entry], limit: int) -> tuple[list[tuple[str, ...]], int]:
    def row(name: str, own: str, shared: tuple[str, ...]) -> tuple[str, ...]:
        return (shared[0], name, own, *shared[1:])

    # As long as there is room, a row for each: only its own cell tells the digests.
    if len(entries) <= limit:
        return [row(one.name, one.own, one.shared) for one in entries], 0
    alike: dict[tuple[str, ...], list[_Entry]] = {}
    for one in entries:
        alike.setdefault(one.shared, []).append(one)
    groups = list(alike.items())
    shown = [row(listed([one.name for one in group]), "", cells) for cells, group in groups[:limit]]
    return shown, sum(one.count for _, group in groups[limit:] for one in group)
