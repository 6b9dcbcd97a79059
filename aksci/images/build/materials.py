"""The images that BuildKit says it used, against those that a key was made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from aksci.core.errors import BuildError, ConfigError
from aksci.oci.references import Reference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.images.inputs import Inputs

__all__ = ["require_known_bases", "used_images"]

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


def _rename(reference: str) -> str:
    familiar = parse_reference(reference).familiar
    return f"give the stage another name, so that the base is pinned: FROM … AS {familiar}-stage"
