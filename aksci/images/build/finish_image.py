"""Finish an image that was pushed: store what it was made of, then set the tag of its input key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import BuildError, NotFoundInRegistry
from aksci.images.build.finished import Finished, content_identity
from aksci.images.build.materials import require_known_bases
from aksci.images.keys import in_tag
from aksci.images.lineage import write_lineage
from aksci.images.reasons import files_of, lineage_of
from aksci.oci.references import ImageRef, is_digest, parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from aksci.images.engines.builder import BuildOutput
    from aksci.images.inputs import Inputs
    from aksci.images.lookup import Lookup
    from aksci.oci.manifest import Manifest

__all__ = ["PushedImage", "finish_image", "read_back"]


@dataclass(frozen=True, kw_only=True)
class PushedImage:
    """An image that was built and pushed. Nothing in the registry says so, so nothing finds it."""

    name: str
    inputs: Inputs
    key: str
    ref: ImageRef
    manifest: Manifest
    provenance: Mapping[str, Any] | None
    identity: str
    """What it counts as in the keys of what needs it: see ``content_identity``."""


def read_back(
    lookup: Lookup, name: str, inputs: Inputs, key: str, output: BuildOutput
) -> PushedImage:
    """Return what a builder has pushed: the registry has it, and its bases are those of its key.

    :raises BuildError: the builder pushed nothing, or used an image that is in no key.
    """
    if not is_digest(output.digest):  # whoever the builder is
        raise BuildError(f"{name}: its builder says that it pushed {output.digest!r}, no digest.")
    spec = lookup.graph.images[name].spec
    ref = ImageRef(lookup.registry.host, spec.repository, output.digest)
    # What works on an image, and is no part of it.
    sbom = spec.attestations.sbom
    helpers = frozenset({parse_reference(sbom).name}) if sbom else frozenset[str]()
    require_known_bases(name, inputs, output.provenance, allowed=helpers)
    try:
        manifest = lookup.registry.manifest(ref.repository, ref.digest)
    except NotFoundInRegistry:
        raise BuildError(
            f"{name}: its builder says that it pushed {ref}: it is not there."
        ) from None
    attested = bool(spec.attestations.words)
    return PushedImage(
        name=name,
        inputs=inputs,
        key=key,
        ref=ref,
        manifest=manifest,
        provenance=output.provenance,
        identity=content_identity(manifest) if attested else ref.digest,
    )


def finish_image(
    lookup: Lookup, pushed: PushedImage, *, revision: str, run: str, now: datetime
) -> Finished:
    """Mark an image as finished, and return what then counts as it.

    To be called once it and all that it is based on have passed: whoever finds the tag relies on
    that, in every run.

    :param run: that has built it, at a commit of the sources.
    """
    if earlier := lookup.find(pushed.name, pushed.inputs):
        return earlier  # another run's, and the first one counts: its dependents may be built
    lineage = lineage_of(lookup.graph, pushed.name, pushed.inputs, revision=revision, run=run)
    write_lineage(
        lookup.registry,
        pushed.ref,
        lineage,
        provenance=pushed.provenance,
        now=now,
        files=files_of(pushed.inputs.image, lookup.hasher),
        manifest=pushed.manifest,
    )
    return _tag(lookup, pushed)


def _tag(lookup: Lookup, pushed: PushedImage) -> Finished:
    name, key, ref = pushed.name, pushed.key, pushed.ref
    lookup.registry.put_manifest(
        ref.repository, pushed.manifest.content, pushed.manifest.media_type, tag=in_tag(key)
    )
    # Another run may have set it at the same moment: what the registry says holds for both.
    tagged = lookup.finished(name, key)
    if tagged is None:
        raise BuildError(
            f"{name}: the registry took the tag {in_tag(key)} and does not have it: something "
            "else deletes tags.",
            hint="nox -s build",
        )
    if tagged.digest != ref.digest and not lookup.trusts(name, key, tagged):
        raise BuildError(
            f"{name}: somebody else has set the tag {in_tag(key)} to {tagged.digest}, which no "
            "trusted signature covers.",
            hint="find out who may push there; then nox -s build.",
        )
    return tagged
