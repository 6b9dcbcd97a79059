"""What is published of an image, and what that was built from: the baseline of a cascade.

The record beside the image (docs/adr/0003-lineage.md) says it. Whoever may push can write one, so
it must agree with itself, with the image's annotations and with what BuildKit says that it used.
That its key is the one that was signed is for the caller to check. A record that can't be trusted
means more work, never less.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from aksci.core.errors import ConfigError, DamagedInRegistry, NotFoundInRegistry
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.images.annotations import BASE_DIGEST, BASE_NAME
from aksci.images.build.finished import content_identity
from aksci.images.build.materials import used_images
from aksci.images.dockerfile.recipe import EdgeType
from aksci.images.keys import KEY_SCHEMA, Source, input_key
from aksci.images.lineage import ARTIFACT_TYPE, load_records
from aksci.oci.artifact import find_artifacts
from aksci.oci.references import ImageRef, is_digest, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aksci.images.discovery.specs import ImageSpec
    from aksci.images.lineage import Lineage
    from aksci.oci.manifest import Descriptor
    from aksci.oci.registry import Registry

__all__ = ["Published", "read_published"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the registry has under an image's first stable tag, and what that was made of."""

    image: str
    ref: ImageRef
    lineage: Lineage | None
    """None: nothing is recorded, or a record that can't be trusted."""
    problem: str = ""
    """Why the record can't be trusted, as a clause; empty: it can, or there is none."""
    identity: str = ""
    """What it counts as in the keys of what needs it: see ``content_identity``."""


_TYPES = frozenset(get_args(EdgeType))


def read_published(
    registry: Registry, spec: ImageSpec, key_of: Callable[[ImageRef], str] | None = None
) -> Published | None:
    """Return what an image's first stable tag means, with what it was built from.

    The tag is resolved once: it may move meanwhile.

    :param key_of: returns the input key of a digest's build, or nothing. Called where several
        records fit: a user with push access can add records that agree with themselves.
    :returns: None where the tag does not exist.
    :raises RegistryError: the registry can't be asked: that never means "not published".
    """
    if not spec.tags:
        return None
    try:
        manifest = registry.manifest(spec.repository, spec.tags[0])
    except NotFoundInRegistry:
        return None
    ref = ImageRef(registry.host, spec.repository, manifest.digest)
    try:
        annotations = manifest.annotations
    except DamagedInRegistry:
        annotations = {}
    lineage, problem = _consistent(registry, ref, spec.name, annotations, key_of)
    return Published(
        image=spec.name,
        ref=ref,
        lineage=lineage,
        problem=problem,
        identity=content_identity(manifest),
    )


def _consistent(
    registry: Registry,
    ref: ImageRef,
    image: str,
    annotations: Mapping[str, str],
    key_of: Callable[[ImageRef], str] | None,
) -> tuple[Lineage | None, str]:
    """Return what is recorded, or why it can't be trusted; neither: nothing is recorded."""
    try:
        records = find_artifacts(registry, ref, ARTIFACT_TYPE)
        if not records:
            return None, ""
        key = key_of(ref) if key_of and len(records) > 1 else ""
        lineage = _record_of(registry, ref, image, records, key)
        if lineage is None:
            return None, "the record of what it was built from is damaged"
        # Whoever may push could have written it, so it must agree with what others have written:
        # the annotations came with the image, the materials from BuildKit.
        problem = _contradiction(lineage) or _other_base(lineage, annotations)
        if not problem:
            problem = _other_materials(lineage, _used(registry, ref, lineage))
    except NotFoundInRegistry:
        problem = "a part of the record of what it was built from is missing"
    except (DamagedInRegistry, *MALFORMED):
        problem = "the record of what it was built from is damaged"
    return (None, problem) if problem else (lineage, "")


# The record


def _record_of(
    registry: Registry, ref: ImageRef, image: str, records: Sequence[Descriptor], key: str
) -> Lineage | None:
    """Return the latest record of an image's own build; else, of those that agree; else, of any.

    Two images of one repository may be the same bytes, and so the same digest.

    :param key: the build's; empty: it is not known.
    """
    agreeing: Lineage | None = None
    own: Lineage | None = None
    first: Lineage | None = None
    for _, lineage in load_records(registry, ref.repository, records, key=key):
        first = first or lineage
        if lineage.image != image:
            continue
        own = own or lineage
        if (agreeing is None or lineage.input_key == key) and _agrees(lineage):
            if key in {"", lineage.input_key}:
                return lineage
            agreeing = lineage
    return agreeing or own or first


def _agrees(lineage: Lineage) -> bool:
    try:
        return not _contradiction(lineage)
    except MALFORMED:
        return False


def _contradiction(lineage: Lineage) -> str:
    """Say what is wrong with a record by itself."""
    if lineage.key_schema != KEY_SCHEMA:
        return "it was built by another version of aksci"
    edges = lineage.edges
    parents = {name: digest for name, digest in lineage.parents.items() if digest is not None}
    # A parent without a digest is one of a plan: no finished build has recorded it.
    if len(parents) < len(lineage.parents) or not all(
        _is_edge(reference, digest, edges.get(reference)) for reference, digest in parents.items()
    ):
        return "the record of what it was built from is not complete"
    # A signature covers the key alone: computed again, it covers the recorded parents, too.
    if input_key(Source(**lineage.source), parents) != lineage.input_key:
        return "the record of what it was built from does not give the key that it names"
    return ""


def _is_edge(reference: str, digest: str, edge: Mapping[str, str] | None) -> bool:
    try:
        in_full = str(parse_reference(reference)) == reference
    except ConfigError:
        return False
    return (
        in_full
        and is_digest(digest)
        and edge is not None
        and edge.get("type") in _TYPES
        and isinstance(edge.get("image", ""), str)
    )


# What else says what it was built from


def _other_base(lineage: Lineage, annotations: Mapping[str, str]) -> str:
    """Say where an image's annotations name another base than its record.

    An image of this project may be recorded as something else than its digest
    (``content_identity``), and by a name without this registry: only its tag is compared.
    """
    name, digest = annotations.get(BASE_NAME), annotations.get(BASE_DIGEST)
    if name is None or digest is None:
        return ""
    try:
        tag = parse_reference(name).tag
    except ConfigError:
        return "its annotations name a base that can't be one"
    if name in lineage.parents and not lineage.edges[name].get("image"):
        if digest == lineage.parents[name]:
            return ""
        return f"its annotations name another digest of {name} as its base than its record"
    ours = (reference for reference, edge in lineage.edges.items() if edge.get("image"))
    if any(parse_reference(reference).tag == tag for reference in ours):
        return ""
    return f"its annotations name {name} as its base, and its record does not"


def _used(registry: Registry, ref: ImageRef, lineage: Lineage) -> dict[str, set[str]]:
    """Return the images that BuildKit says it used: ``registry/repository`` -> digests."""
    used: dict[str, set[str]] = defaultdict(set)
    if lineage.provenance:
        provenance = parse_json(registry.blob(ref.repository, lineage.provenance))
        for image, digest in used_images(provenance):
            used[image.name].add(digest)
    return used


def _other_materials(lineage: Lineage, used: Mapping[str, set[str]]) -> str:
    """Say where BuildKit used an image from outside, and never in the version that is recorded.

    It may have used further versions of it: those that the Dockerfile pins by digest. A named
    context counts though nothing may use it.
    """
    for reference, digest in sorted(lineage.parents.items()):
        edge = lineage.edges[reference]
        digests = used.get(parse_reference(reference).name)
        # Ours may be recorded by a ``content_identity``, which BuildKit does not know.
        if edge.get("image") or edge["type"] == "context" or not digests:
            continue
        if digest not in digests:
            return f"BuildKit says that it used another digest of {reference} than its record does"
    return ""
