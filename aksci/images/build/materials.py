"""The images that a build is to use, and that BuildKit says it used, against what a key says."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from aksci.core.errors import BuildError, ConfigError
from aksci.images.dockerfile.contexts import DOCKER_IMAGE, OUR_IMAGE
from aksci.images.platforms import is_served
from aksci.oci.references import Reference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.images.bases import BaseResolver
    from aksci.images.inputs import Inputs

__all__ = ["require_known_bases", "require_platform", "used_images"]

_URI = re.compile(r"pkg:docker/([^@?]+)(?:@([^?]+))?(?:\?(.*))?")


def used_images(provenance: Mapping[str, Any]) -> Iterator[tuple[Reference, str]]:
    """Yield the images that a build used: each by its name, with the digest that this meant.

    SLSA provenance v0.2, "materials"; package-url specification, type "docker". BuildKit pins what
    it is given by digest, so a digest in a name is the one that was used.

    :param provenance: of one build, or those of several platforms by platform.
    """
    materials = provenance.get("materials")
    if materials is None:
        for one in provenance.values():
            if isinstance(one, dict):
                yield from used_images({"materials": one.get("materials") or []})
        return
    for one in materials:
        match = _URI.fullmatch(str(one.get("uri", "")))
        if match is None:
            continue
        name, tag, query = match.groups()
        digest = next(iter(parse_qs(query or "").get("digest", ())), None)
        if digest is None:
            digests = one.get("digest") or {}
            digest = next((f"{kind}:{value}" for kind, value in digests.items()), "")
        try:
            yield parse_reference(unquote(name) + (f":{unquote(tag)}" if tag else "")), digest
        except ConfigError:
            continue


def require_known_bases(
    name: str,
    inputs: Inputs,
    provenance: Mapping[str, Any] | None,
    *,
    allowed: frozenset[str] = frozenset(),
) -> None:
    """Refuse a build that used another image than its key says.

    :param allowed: ``registry/repository`` of images that may be used in any version.
    :raises BuildError: a base moved between our question and BuildKit's; BuildKit used an image
        that the key does not hold; or nobody knows, where BuildKit had to ask by itself.
    """
    if provenance is None:
        if inputs.unpinned:
            reference = min(inputs.unpinned)
            raise BuildError(
                f"{name}: nobody can tell which digest of {reference} was used: a stage has its "
                "name, and the builder does not say what it used.",
                hint=_rename(reference),
            )
        return
    for image, digest in used_images(provenance):
        expected = inputs.unpinned.get(str(image))
        if expected not in {None, digest}:
            raise BuildError(
                f"{image} moved while {name} was built: the key says {expected}, and BuildKit "
                f"used {digest}. What was pushed is not marked as finished.",
                hint=f"nox -s build, once more. Or {_rename(str(image))}",
            )
        # An opaque image is built each time, so no key of it can be wrong.
        known = digest in inputs.digests or image.name in allowed
        if inputs.reusable and not known:
            raise BuildError(
                f"BuildKit used {image} ({digest}) for {name}, which is in no key of it. What "
                "was pushed is not marked as finished.",
                hint="please report this with the Dockerfile: aksci reads it in another way.",
            )


def require_platform(name: str, inputs: Inputs, bases: BaseResolver) -> None:
    """Refuse to build on an image from outside that is one manifest, for another platform.

    BuildKit would take its layers, and call the result what it was asked for. Of an index it tells
    itself what is missing.

    :raises BuildError: the base is such an image.
    """
    base = inputs.runtime
    if base is None or base in inputs.internal:
        return
    reference = parse_reference(base)
    digest = reference.digest or inputs.parents.get(base)
    # By each name that the Dockerfile has for it.
    wanted = {
        platform
        for written, platform in inputs.image.recipe.platforms
        if platform and _means(written, base)
    }
    if not digest or not wanted:
        return
    only = bases.only_platform(base, digest)
    lacks = sorted(one for one in wanted if only and not is_served(one, {only}))
    if lacks:
        raise BuildError(
            f"{name} is to be for {', '.join(lacks)}, and its base {reference.familiar} is one "
            f"image for {only}: BuildKit would take its files all the same.",
            hint=f"FROM --platform={only}, or a base that has {lacks[0]}.",
        )


def _means(written: str, reference: str) -> bool:
    with contextlib.suppress(ConfigError):  # a folder, or a variable of a mount
        if not written.startswith(OUR_IMAGE):
            return str(parse_reference(written.removeprefix(DOCKER_IMAGE))) == reference
    return False


def _rename(reference: str) -> str:
    familiar = parse_reference(reference).familiar
    return f"give the stage another name, so that the base is pinned: FROM … AS {familiar}-stage"
