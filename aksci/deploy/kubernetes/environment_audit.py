"""Verify all that runs in an environment: its release, and every container by its digest."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.deploy.kubernetes.running_audit import (
    Evidence,
    audit_containers,
    images_to_open,
    refs_to_judge,
)
from aksci.deploy.kubernetes.running_containers import other_chart
from aksci.deploy.state.desired import hash_chart
from aksci.oci.references import ImageRef
from aksci.supply.release.chart import fetch_chart
from aksci.supply.release.release import release_repository
from aksci.supply.verify.audit import Row
from aksci.supply.verify.judge import Outcome, Subject
from aksci.supply.verify.release_audit import ReleaseAudit, audit_release, release_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from aksci.deploy.kubernetes.running_containers import Running
    from aksci.oci.registry import Registry
    from aksci.supply.verify.judge import Judge, Judgement

__all__ = ["audit_environment"]


def audit_environment(
    running: Running, *, judge: Judge, project: str, foreign: Collection[str] = ()
) -> tuple[Row, ...]:
    """Verify the release that is deployed, and all that runs, by the digests that run.

    :param project: whose releases may run here.
    :param foreign: globs of images that are allowed without a signature.
    :raises RegistryError: the registry can't be asked.
    """
    current = running.record.current
    wrong = _wrong_release(current, judge.registry.host, project)
    if wrong is not None:
        deployed, rows = None, [wrong]
    else:
        deployed = audit_release(ImageRef.parse(current), judge=judge)
        rows = _compare_charts(judge.registry, deployed, running)
    evidence = _gather(judge, running, deployed)
    return (*rows, *audit_containers(running.containers, evidence, foreign=foreign))


def _wrong_release(current: str, host: str, project: str) -> Row | None:
    """Return what is wrong with what the environment's record names; None: it can be verified."""
    reason = _why_wrong(current, host, project)
    if not reason:
        return None
    return Row(
        kind="release",
        where="what is deployed",
        image=current,
        outcome=Outcome.UNKNOWN,
        reason=reason,
    )


def _why_wrong(current: str, host: str, project: str) -> str:
    if not current:
        return "aksci has not deployed a release here completely"
    try:
        ref = ImageRef.parse(current)
    except ConfigError:
        return "the record of what is deployed names no release"
    if ref.registry != host:
        return f"the record of what is deployed names another registry than {host}"
    if ref.repository != release_repository(project):
        return f"the record of what is deployed names no release of {project!r}"
    return ""


def _compare_charts(registry: Registry, audit: ReleaseAudit, running: Running) -> list[Row]:
    """Return a release's rows; a chart's tells whether it is the one that is installed."""
    rows = release_rows(audit)
    changed = dict(_other_charts(registry, audit, running))
    return [
        replace(row, outcome=Outcome.CHANGED, reason=changed[row.where])
        if row.kind == "chart" and row.where in changed and not row.outcome.bad
        else row
        for row in rows
    ]


def _other_charts(
    registry: Registry, audit: ReleaseAudit, running: Running
) -> Iterator[tuple[str, str]]:
    services = audit.release.services if audit.release else {}
    with tempfile.TemporaryDirectory(prefix="aksci-charts-") as folder:
        for name, service in services.items():
            if not audit.charts[name].verified or not running.has(name):
                continue  # told by its own row, or as a service that does not run
            chart = fetch_chart(registry, service.chart, Path(folder) / name)
            reason = other_chart(name, hash_chart(chart), running)
            if reason:
                yield name, reason


def _gather(judge: Judge, running: Running, deployed: ReleaseAudit | None) -> Evidence:
    """Ask the registry for all that the comparison needs, each digest once."""
    release = deployed.release if deployed else None
    judged: list[Judgement] = list(deployed.images.values()) if deployed else []
    evidence = Evidence(
        registry=judge.registry.host,
        release=tuple(each.subject.ref for each in judged),
        services=tuple(release.services) if release else (),
    )
    opened = judge.all_contents(images_to_open(running.containers, evidence))
    evidence = replace(evidence, contents=opened)
    others = refs_to_judge(running.containers, evidence)
    judged += judge.judge_all(Subject(ref=ref) for ref in sorted(others)).values()
    return replace(evidence, judgements={each.subject.ref: each for each in judged})
