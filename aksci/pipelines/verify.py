"""Verify references, or all that runs in an environment. It changes and starts nothing."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, DamagedInRegistry, NotFoundInRegistry, UsageError
from aksci.core.text import safe_json
from aksci.deploy.kubernetes.running_audit import (
    Evidence,
    audit_containers,
    images_to_open,
    refs_to_judge,
)
from aksci.deploy.kubernetes.running_containers import other_chart, read_running
from aksci.deploy.state.desired import hash_chart
from aksci.oci.manifest import INDEX_TYPES
from aksci.oci.references import ImageRef, parse_reference
from aksci.pipelines.output import deliver, renderer_of
from aksci.report.audit_report import audit_markdown, audit_text
from aksci.supply.release.chart import CONFIG_TYPE, fetch_chart
from aksci.supply.release.make_release import RELEASE_TYPE
from aksci.supply.release.release import release_repository
from aksci.supply.verify.audit import Audit, Row, row_of
from aksci.supply.verify.judge import Judge, Outcome, Subject
from aksci.supply.verify.release_audit import ReleaseAudit, audit_release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aksci.cli.options import Options
    from aksci.deploy.kubernetes.running_containers import Running
    from aksci.environment import Environment
    from aksci.oci.registry import Registry
    from aksci.supply.verify.judge import Judgement

__all__ = ["verify"]

_KINDS = {
    RELEASE_TYPE: "release",
    CONFIG_TYPE: "chart",
    "application/vnd.oci.image.config.v1+json": "image",
    "application/vnd.docker.container.image.v1+json": "image",
}
"""Artifact type, or else the configuration's media type -> what it is verified as."""


def _json(audit: Audit) -> str:
    return safe_json(audit.as_json())


_RENDERERS: dict[str, Callable[[Audit], str]] = {
    "text": audit_text,
    "markdown": audit_markdown,
    "json": _json,
}


def verify(env: Environment, options: Options) -> dict[str, Any]:
    """Verify what is named, or what runs in the environment, and show it before failing.

    :raises TrustError: something is not verified; each is named.
    :raises UsageError: what is named is nothing that can be verified, or nothing runs.
    """
    render = renderer_of("verify", options, _RENDERERS)
    here = env.looking
    audit = _named(here, options.words) if options.words else _environment(here)
    deliver(env, options, render(audit), code=options.format == "json")
    audit.require()
    return {"passed": audit.passed, "counts": audit.counts, "release": audit.release}


def _named(env: Environment, words: tuple[str, ...]) -> Audit:
    """Verify what the words name; of a release, also all that it is made of."""
    refs = dict.fromkeys(_resolve(env, word) for word in words)
    subjects = [Subject(ref=ref, kind=_kind(env.registry, ref)) for ref in refs]
    judge = _judge(env)
    rows: list[Row] = []
    for subject in subjects:
        if subject.kind == "release":
            rows += _release_rows(audit_release(subject.ref, judge=judge))
    judged = judge.judge_all(each for each in subjects if each.kind != "release")
    rows += [row_of(each, where=each.subject.ref.repository) for each in judged.values()]
    return _audit(env, rows)


def _judge(env: Environment) -> Judge:
    return Judge(signer=env.signer, registry=env.registry)


def _audit(env: Environment, rows: Iterable[Row], release: str = "") -> Audit:
    return Audit(
        environment=env.name, registry=env.registry.host, release=release, rows=tuple(rows)
    )


def _resolve(env: Environment, word: str) -> ImageRef:
    """Return the digest that a word means now; from here on only that counts.

    :raises UsageError: it is no reference, of another registry, or not there.
    """
    host = env.registry.host
    head, slash, _ = word.partition("/")
    with_host = bool(slash) and ("." in head or ":" in head or head == "localhost")
    try:
        reference = parse_reference(word if with_host else f"{host}/{word}")
    except ConfigError as error:
        raise UsageError(error.message, hint="registry/repository@sha256:…") from None
    if reference.registry != host:
        raise UsageError(
            f"{word} is not in {host}, the registry of {env.name!r}.",
            hint="name the environment whose registry it is in: nox -s verify -- --env NAME …",
        )
    named = reference.digest or reference.tag
    digest = env.registry.resolve(reference.repository, named)
    if digest is None:
        raise NotFoundInRegistry(f"{reference} is not there.")
    if reference.digest is None:
        env.reporter.line(f"{reference} is {digest}")
    return ImageRef(host, reference.repository, digest)


def _kind(registry: Registry, ref: ImageRef) -> str:
    """Tell by its manifest what a digest is to be verified as."""
    manifest = registry.manifest(ref.repository, ref.digest)
    try:
        known = manifest.artifact_type
    except DamagedInRegistry:
        known = ""
    if not known and manifest.media_type in INDEX_TYPES:
        return "image"
    if known not in _KINDS:
        raise UsageError(
            f"{ref} is neither an image, nor a chart or a release: {known or 'of no known type'}.",
            hint="verify what it belongs to.",
        )
    return _KINDS[known]


def _environment(env: Environment) -> Audit:
    """Verify the release that is deployed, and all that runs, by the digests that run."""
    with env.cluster() as cluster:
        running = read_running(cluster)
    if running.empty:
        name, namespace = env.name, env.settings.namespace
        raise UsageError(
            f"Nothing runs in {name!r} (namespace {namespace}), so there is nothing to verify.",
            hint=f"nox -s deploy -- --env {name}; or name an image, a chart or a release.",
        )
    judge = _judge(env)
    wrong = _wrong_release(env, running.record.current)
    if wrong is not None:
        deployed, rows = None, [wrong]
    else:
        ref = ImageRef.parse(running.record.current)
        deployed = audit_release(ref, judge=judge)
        rows = _compare_charts(env.registry, deployed, running)
    evidence = _gather(judge, running, deployed)
    rows += audit_containers(running.containers, evidence, foreign=env.settings.foreign)
    return _audit(env, rows, running.record.current)


def _wrong_release(env: Environment, current: str) -> Row | None:
    """Return what is wrong with what the environment's record names; None: it may be asked."""
    host, project = env.registry.host, env.config.project.name
    reason = ""
    try:
        ref = ImageRef.parse(current) if current else None
    except ConfigError:
        ref, reason = None, "the record of what is deployed names no release"
    if not current:
        reason = "aksci has not deployed a release here completely"
    elif ref is not None and ref.registry != host:
        reason = f"the record of what is deployed names another registry than {host}"
    elif ref is not None and ref.repository != release_repository(project):
        reason = f"the record of what is deployed names no release of {project!r}"
    if not reason:
        return None
    return Row(
        kind="release",
        where="what is deployed",
        image=current,
        outcome=Outcome.UNKNOWN,
        reason=reason,
    )


def _release_rows(audit: ReleaseAudit) -> list[Row]:
    tag = audit.release.tag if audit.release else audit.judgement.subject.ref.repository
    return [
        row_of(audit.judgement, where=tag),
        *(row_of(judgement, where=name) for name, judgement in sorted(audit.charts.items())),
        *(row_of(judgement, where=name) for name, judgement in sorted(audit.images.items())),
    ]


def _compare_charts(registry: Registry, audit: ReleaseAudit, running: Running) -> list[Row]:
    """Return a release's rows; a chart's tells whether it is the one that is installed."""
    rows = _release_rows(audit)
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
