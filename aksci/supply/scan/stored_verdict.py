"""Verdicts in the registry: written once, read in one way by all who decide by them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aksci.core.errors import DamagedInRegistry
from aksci.core.strict_json import parse_json
from aksci.core.text import short_line
from aksci.oci.artifact import Content, canonical_json, push_artifact, read_artifact
from aksci.oci.references import digest_of
from aksci.supply.scan.verdict import Verdict

if TYPE_CHECKING:
    from aksci.oci.artifact import Artifact
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["VERDICT_TYPE", "read_verdict", "store_verdict"]

VERDICT_TYPE = "application/vnd.aksci.verdict.v1+json"
_ANNOTATION = "dev.aksci.verdict"
_SHORT = 2048
"""Bytes of a document that also fits an annotation, so that one GET answers."""


def store_verdict(registry: Registry, verdict: Verdict, *, tag: str) -> Verdict:
    """Store a verdict beside its image, and return it with the place where it is."""
    document = canonical_json(verdict.document())
    stored = push_artifact(
        registry,
        verdict.image.repository,
        artifact_type=VERDICT_TYPE,
        layers=[Content(media_type=VERDICT_TYPE, content=document)],
        annotations={_ANNOTATION: document.decode()} if len(document) <= _SHORT else {},
        subject=verdict.image,
        tag=tag,
    )
    return replace(verdict, stored=stored)


def read_verdict(registry: Registry, image: ImageRef, reference: str) -> Verdict:
    """Return the verdict on an image that a digest or a tag names.

    It is as trusted as that name: a digest that a signature binds, for example. A tag is nobody's
    word.

    :raises NotFoundInRegistry: it, or its content, is not there.
    :raises DamagedInRegistry: it is none, or one on another image.
    """
    artifact = read_artifact(
        registry, image.repository, reference, artifact_type=VERDICT_TYPE, subject=image.digest
    )
    try:
        verdict = Verdict.load(parse_json(_content(artifact)), image)
    except ValueError as error:
        raise DamagedInRegistry(f"The verdict {reference} on {image}", short_line(error)) from None
    return replace(verdict, stored=artifact.ref)


def _content(artifact: Artifact) -> bytes:
    short = artifact.annotations.get(_ANNOTATION, "").encode("utf-8", "replace")
    if not short:
        return artifact.read()
    if digest_of(short) != artifact.layer().digest:  # two texts, and which one was signed?
        raise artifact.manifest.damaged("its digests do not agree")
    return short
