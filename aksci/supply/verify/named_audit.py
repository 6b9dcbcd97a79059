"""Verify what somebody names: images, charts, and releases with all that they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError, NotFoundInRegistry, UsageError
from aksci.oci.references import ImageRef, parse_reference
from aksci.supply.release.chart import CONFIG_TYPE
from aksci.supply.release.make_release import RELEASE_TYPE
from aksci.supply.verify.audit import Row, row_of
from aksci.supply.verify.judge import Subject
from aksci.supply.verify.release_audit import audit_release, release_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aksci.oci.registry import Registry
    from aksci.supply.verify.judge import Judge

__all__ = ["audit_named", "resolve_named"]

_KINDS = {
    RELEASE_TYPE: "release",
    CONFIG_TYPE: "chart",
    "application/vnd.oci.image.config.v1+json": "image",
    "application/vnd.docker.container.image.v1+json": "image",
}
"""Artifact type, or else the configuration's media type -> what it is verified as."""


def audit_named(refs: Iterable[ImageRef], *, judge: Judge) -> tuple[Row, ...]:
    """Verify each digest once; of a release, also all that it is made of.

    :raises UsageError: one is nothing that can be verified.
    :raises DamagedInRegistry: the manifest of one is damaged.
    """
    subjects = [Subject(ref=ref, kind=_kind(judge.registry, ref)) for ref in dict.fromkeys(refs)]
    rows: list[Row] = []
    for subject in subjects:
        if subject.kind == "release":
            rows += release_rows(audit_release(subject.ref, judge=judge))
    judged = judge.judge_all(each for each in subjects if each.kind != "release")
    rows += [row_of(each, where=each.subject.ref.repository) for each in judged.values()]
    return tuple(rows)


def resolve_named(
    registry: Registry, name: str, *, environment: str, say: Callable[[str], None]
) -> ImageRef:
    """Return the digest that a name means now; from here on only that counts.

    :param name: ``[registry/]repository``, with a digest or a tag (default: ``latest``).
    :param environment: whose registry it is.
    :param say: is told which digest a tag means.
    :raises UsageError: it is no reference, or of another registry.
    :raises NotFoundInRegistry: it is not there.
    """
    host = registry.host
    head, slash, _ = name.partition("/")
    with_host = bool(slash) and ("." in head or ":" in head or head == "localhost")
    try:
        reference = parse_reference(name if with_host else f"{host}/{name}")
    except ConfigError as error:
        raise UsageError(error.message, hint="registry/repository@sha256:…") from None
    if reference.registry != host:
        raise UsageError(
            f"{name} is not in {host}, the registry of {environment!r}.",
            hint="name the environment whose registry it is in: nox -s verify -- --env NAME …",
        )
    digest = registry.resolve(reference.repository, reference.digest or reference.tag)
    if digest is None:
        raise NotFoundInRegistry(f"{reference} is not there.")
    if reference.digest is None:
        say(f"{reference} is {digest}")
    return ImageRef(host, reference.repository, digest)


def _kind(registry: Registry, ref: ImageRef) -> str:
    """Tell by its manifest what a digest is to be verified as.

    :raises DamagedInRegistry: it can be read in two ways, or in none.
    """
    manifest = registry.manifest(ref.repository, ref.digest)
    known = manifest.artifact_type
    if not known and manifest.is_index:
        return "image"
    if known not in _KINDS:
        raise UsageError(
            f"{ref} is neither an image, nor a chart or a release: {known or 'of no known type'}.",
            hint="verify what it belongs to.",
        )
    return _KINDS[known]
