"""Compare what runs with what is signed. Pure: all that is asked of others is in ``Evidence``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.oci.references import ImageRef, is_digest, parse_reference
from aksci.supply.verify.audit import Row, origin_of
from aksci.supply.verify.judge import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from aksci.deploy.kubernetes.running_containers import Container
    from aksci.oci.references import Reference
    from aksci.supply.verify.judge import Judgement

__all__ = ["Evidence", "audit_containers", "images_to_open", "refs_to_judge", "running_digest"]

_BARE = re.compile(r"(?:docker://)?(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What registry and signatures say, asked beforehand."""

    registry: str
    """``host[:port]`` of the registry that the signatures are in."""
    release: Collection[ImageRef] = ()
    """The images of the release that is deployed; none where it is not verified."""
    services: Collection[str] = ()
    """Its services."""
    judgements: Mapping[ImageRef, Judgement] = field(default_factory=dict)
    contents: Mapping[ImageRef, Collection[str]] = field(default_factory=dict)
    """What is inside each image: the digests that may be reported in place of its own."""


def images_to_open(containers: Iterable[Container], evidence: Evidence) -> set[ImageRef]:
    """Return the images whose contents must be known to recognise what runs.

    Where specification and kubelet name different digests, either may be inside the other: of
    content that it knows as an index and as a platform, containerd reports whichever it has first.
    """
    found: set[ImageRef] = set()
    direct = {ref.digest for ref in evidence.release}
    for container in containers:
        digests = _digests(container, evidence)
        if not direct.issuperset(digests):
            found |= set(evidence.release)
        if len(digests) > 1:
            found |= {ref for each in digests for ref in _named(container, each, evidence)}
    return found


def refs_to_judge(containers: Iterable[Container], evidence: Evidence) -> set[ImageRef]:
    """Return the references that must be judged by themselves, the release's aside."""
    return {
        ref
        for container in containers
        for digest in _digests(container, evidence)
        for ref in _candidates(container, digest, evidence)
    } - set(evidence.release)


def audit_containers(
    containers: Collection[Container], evidence: Evidence, *, foreign: Collection[str] = ()
) -> tuple[Row, ...]:
    """Judge every container, pods first: what a tag means is known from the pods that run it.

    :param foreign: globs of images that are allowed without a signature.
    """
    pods = [_row(each, evidence, foreign) for each in containers if each.pod]
    by_image: dict[str, list[Row]] = {}
    for container, row in zip((each for each in containers if each.pod), pods, strict=True):
        by_image.setdefault(container.image, []).append(row)
    workloads = [
        _by_tag(_row(each, evidence, foreign), by_image.get(each.image, []))
        for each in containers
        if not each.pod
    ]
    return (*workloads, *pods, *_absent(containers, evidence))


def running_digest(image_id: str) -> str:
    """Return the digest in an image ID as the kubelet reports it; empty when there is none.

    containerd and CRI-O report ``repository@sha256:…``, of any repository in which they know the
    content; for an image that was never pulled, the digest of its configuration, CRI-O without
    ``sha256:``. cri-dockerd puts ``docker-pullable://`` or ``docker://`` in front.
    """
    name, at, digest = image_id.rpartition("@")
    if at:
        return digest if name and is_digest(digest) else ""
    bare = _BARE.fullmatch(image_id)
    return f"sha256:{bare[1]}" if bare else ""


def _row(container: Container, evidence: Evidence, foreign: Collection[str]) -> Row:
    spec = _parse(container.image)
    row = Row(
        kind="pod" if container.pod else "workload",
        where=f"{container.place}, {container.name}",
        image=container.image,
        outcome=Outcome.UNKNOWN,
        reason=_unknown(container, spec),
    )
    digests = _digests(container, evidence)
    if digests:
        rows = [_judged(row, container, digest, evidence) for digest in digests]
        row = next((each for each in rows if each.outcome.bad), rows[0])
    if row.outcome.bad and spec is not None and _allowed(spec, foreign):
        return replace(row, outcome=Outcome.FOREIGN, reason="")
    if row.outcome is Outcome.VERIFIED:
        row = replace(row, warnings=tuple(_warnings(container, spec, row, evidence)))
    return row


def _judged(row: Row, container: Container, digest: str, evidence: Evidence) -> Row:
    refs = _candidates(container, digest, evidence)
    found = [evidence.judgements[ref] for ref in refs if ref in evidence.judgements]
    if not found:
        if refs:
            reason = "nobody has judged it"
        else:
            reason = f"it is not from {evidence.registry}, where the signatures are"
        outcome = Outcome.UNKNOWN if refs else Outcome.UNSIGNED
        return replace(row, digest=digest, outcome=outcome, reason=reason)
    # One is enough: what an index contains is signed by the index's signature, too.
    best = next((each for each in found if each.verified), found[0])
    reason = best.reason
    if reason and container.running and digest == running_digest(container.running):
        reason = f"what runs is {digest}: {reason}"
    return replace(row, digest=digest, outcome=best.outcome, reason=reason, **origin_of(best))


def _digests(container: Container, evidence: Evidence) -> list[str]:
    """Return all that must be verified: what runs, and what would run at the next start."""
    spec, running = _parse(container.image), running_digest(container.running)
    specified = spec.digest if spec is not None else None
    # What can't be read is not verified by what the specification says: that is not what runs.
    if container.running and not running:
        return []
    if not running:
        return [specified] if specified else []
    ref = _spec_ref(container, evidence.registry)
    same = specified is None or specified == running
    inside = ref is not None and running in evidence.contents.get(ref, ())
    return [running] if same or inside else [running, str(specified)]


def _candidates(container: Container, digest: str, evidence: Evidence) -> list[ImageRef]:
    """Return what may be signed so that it covers a digest: whatever contains it, and itself.

    It is the content that is signed: which name a runtime pulled it by, or reports it by, does not
    matter.
    """
    known = sorted({*evidence.release, *evidence.contents})
    # Sorted above, so that the same evidence gives the same row.
    found = [ref for ref in known if _is_in(digest, ref, evidence)]
    return list(dict.fromkeys([*found, *_named(container, digest, evidence)]))


def _named(container: Container, digest: str, evidence: Evidence) -> Iterator[ImageRef]:
    """Yield a digest in the repositories that the container names.

    One in another registry is not looked for: its signatures would be there.
    """
    for text in (container.image, container.running.removeprefix("docker-pullable://")):
        name = _parse(text)
        if name is not None and name.registry == evidence.registry and is_digest(digest):
            yield name.at(digest)


def _is_in(digest: str, ref: ImageRef, evidence: Evidence) -> bool:
    return digest == ref.digest or digest in evidence.contents.get(ref, ())


def _spec_ref(container: Container, registry: str) -> ImageRef | None:
    spec = _parse(container.image)
    return spec.pinned if spec is not None and spec.registry == registry else None


def _parse(text: str) -> Reference | None:
    try:
        return parse_reference(text)
    except ConfigError:
        return None


def _allowed(spec: Reference, foreign: Collection[str]) -> bool:
    """Match the full name, such as ``docker.io/library/nginx``, without and with its tag."""
    names = (spec.name, f"{spec.name}:{spec.tag}")
    # The case counts on every system: fnmatch itself would ask the operating system's habit.
    return any(fnmatchcase(name, pattern) for name in names for pattern in foreign)


def _unknown(container: Container, spec: Reference | None) -> str:
    if container.running and not running_digest(container.running):
        return f"the kubelet reports no digest: {container.running}"
    if spec is None:
        return "this is not the name of an image"
    return "named by a tag, so nobody knows what would run"


def _warnings(
    container: Container, spec: Reference | None, row: Row, evidence: Evidence
) -> Iterator[str]:
    if spec is None or spec.digest is None:
        yield "named by a tag: at its next start it may be another image"
    if evidence.release and not any(_is_in(row.digest, ref, evidence) for ref in evidence.release):
        yield "not in the release that is deployed here"
    if evidence.services and container.service not in evidence.services:
        yield "belongs to no service of the release"


def _by_tag(row: Row, pods: list[Row]) -> Row:
    """Take a workload's tag for what all the pods that name it run."""
    if row.outcome is not Outcome.UNKNOWN or row.digest or not pods:
        return row
    # One pod with another image, and nobody knows which of them the next one is.
    if any(pod.outcome is not Outcome.VERIFIED for pod in pods):
        return row
    pod = pods[0]
    return replace(row, outcome=pod.outcome, reason="", warnings=pod.warnings, by=pod.by)


def _absent(containers: Collection[Container], evidence: Evidence) -> Iterator[Row]:
    running = {each.service for each in containers if each.pod}
    for name in sorted(set(evidence.services) - running):
        yield Row(
            kind="service",
            where=name,
            outcome=Outcome.ABSENT,
            reason="no pod of it runs",
        )
