"""Judge a release and all that it is made of, each part by itself, to tell of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.supply.release.make_release import load_release
from aksci.supply.verify.audit import row_of
from aksci.supply.verify.judge import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.oci.references import ImageRef
    from aksci.supply.release.release import Release
    from aksci.supply.verify.audit import Row
    from aksci.supply.verify.judge import Judge, Judgement

__all__ = ["ReleaseAudit", "audit_release", "release_rows"]


@dataclass(frozen=True, kw_only=True)
class ReleaseAudit:
    """What is known of a release."""

    judgement: Judgement
    release: Release | None = None
    """None unless it is verified: what an unsigned release names says nothing."""
    images: Mapping[str, Judgement] = field(default_factory=dict)
    """Image's name -> what is known of it."""
    charts: Mapping[str, Judgement] = field(default_factory=dict)
    """Service's name -> what is known of its chart."""


def audit_release(ref: ImageRef, *, judge: Judge) -> ReleaseAudit:
    """Verify a release, then each image with the verdict and key that it names, and each chart.

    :raises RegistryError: the registry can't be asked, or what is signed as a release is none.
    """
    judgement = judge.judge(Subject(ref=ref, kind="release"))
    if not judgement.verified:
        return ReleaseAudit(judgement=judgement)
    release = load_release(judge.registry, ref)
    images = {
        name: Subject(ref=image.ref, verdict=image.verdict, input_key=image.input_key)
        for name, image in release.images.items()
    }
    charts = {
        name: Subject(ref=service.chart, kind="chart") for name, service in release.services.items()
    }
    known = judge.judge_all([*images.values(), *charts.values()])
    return ReleaseAudit(
        judgement=judgement,
        release=release,
        images={name: known[subject] for name, subject in images.items()},
        charts={name: known[subject] for name, subject in charts.items()},
    )


def release_rows(audit: ReleaseAudit) -> list[Row]:
    """Return the rows of a release, of its charts and of its images."""
    tag = audit.release.tag if audit.release else audit.judgement.subject.ref.repository
    return [
        row_of(audit.judgement, where=tag),
        *(row_of(judgement, where=name) for name, judgement in sorted(audit.charts.items())),
        *(row_of(judgement, where=name) for name, judgement in sorted(audit.images.items())),
    ]
