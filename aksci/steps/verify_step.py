"""The step ``verify``: is what is named, or what runs, what was signed? It changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import UsageError
from aksci.deploy.kubernetes.environment_audit import audit_environment
from aksci.deploy.kubernetes.running_containers import read_running
from aksci.supply.release.release import Release
from aksci.supply.verify.audit import Audit
from aksci.supply.verify.judge import Judge
from aksci.supply.verify.named_audit import audit_named, resolve_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aksci.deploy.kubernetes.running_containers import Running
    from aksci.environment import Environment
    from aksci.oci.references import ImageRef

__all__ = ["verify"]


def verify(env: Environment, *subjects: Release | ImageRef | str) -> Audit:
    """Verify what is named; or, where nothing is, all that runs in the environment.

    >>> audit = verify(env, release, "shop/web:latest")  # doctest: +SKIP
    >>> audit.counts  # doctest: +SKIP
    {'verified': 4, 'UNSIGNED': 1}
    >>> audit.require()  # raises TrustError, naming the one  # doctest: +SKIP

    Nothing is started for it.

    :param subjects: releases, images and charts of the environment's registry; a text is
        ``[registry/]repository``, with a digest or a tag, which is resolved once.
    :returns: a row for each thing; ``.require()`` raises TrustError unless all are verified.
    :raises UsageError: what is named is nothing that can be verified, or nothing runs.
    :raises RegistryError: the registry can't be asked; that never means "not signed".
    :raises ClusterError: the cluster can't be reached.
    """
    here = env.looking
    running = None if subjects else _running(here)
    judge = Judge(signer=here.signer, registry=here.registry)
    if running is None:
        rows = audit_named(_resolve(here, subjects), judge=judge)
    else:
        project, foreign = env.config.project.name, env.settings.foreign
        rows = audit_environment(running, judge=judge, project=project, foreign=foreign)
    audit = Audit(
        environment=env.name,
        registry=judge.registry.host,
        release=running.record.current if running else "",
        namespace=env.settings.namespace if running else "",
        rows=rows,
    )
    details = {"passed": audit.passed, "counts": audit.counts, "release": audit.release}
    env.note("verify", details)
    return audit


def _resolve(env: Environment, subjects: Iterable[Release | ImageRef | str]) -> list[ImageRef]:
    names = [str(each.ref if isinstance(each, Release) else each) for each in subjects]
    return [
        resolve_named(env.registry, name, environment=env.name, say=env.reporter.line)
        for name in names
    ]


def _running(env: Environment) -> Running:
    with env.cluster() as cluster:
        running = read_running(cluster)
    if running.empty:
        name, namespace = env.name, env.settings.namespace
        raise UsageError(
            f"Nothing runs in {name!r} (namespace {namespace}), so there is nothing to verify.",
            hint=f"nox -s deploy -- --env {name}; or name an image, a chart or a release.",
        )
    return running
