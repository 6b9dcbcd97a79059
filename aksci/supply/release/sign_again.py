"""Sign a release where it has come to: Docker Content Trust names the registry in what it signs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aksci.supply.sign.signer import ensure_signed, image_claims, kind_claims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aksci.oci.references import ImageRef
    from aksci.supply.release.release import Release
    from aksci.supply.sign.signer import Signer

__all__ = ["sign_again"]


def sign_again(
    release: Release,
    host: str,
    *,
    verified_by: Signer,
    signer: Signer,
    tell: Callable[[ImageRef], None],
) -> None:
    """Sign a release and all that it names in another registry, where they are not signed yet.

    Each with the claims of the signature that verifies where it comes from. Other signers'
    signatures have been copied, and don't sign again: what they signed must be trusted there as it
    is.

    :param release: in the registry that it comes from.
    :param host: the registry that it has come to, ``host[:port]``.
    :param verified_by: all signers of the registry that it comes from.
    :param signer: the one that signs.
    :param tell: is told what was signed, at once.
    :raises TrustError: something is not trusted where it comes from, or can't be signed.
    """
    for ref, required in _claims(release).items():
        proofs = verified_by.verify(ref, required)
        claims = {**_common(proof.claims for proof in proofs), **required}
        there = replace(ref, registry=host)
        if ensure_signed(there, claims, required=required, signer=signer):
            tell(there)


def _claims(release: Release) -> dict[ImageRef, dict[str, str]]:
    """Return what the signature of each part of a release must bind."""
    images = {
        image.ref: image_claims(image.ref, verdict=image.verdict, input_key=image.input_key)
        for image in release.images.values()
    }
    charts = {chart: kind_claims(chart, "chart") for chart in release.charts}
    return {**images, **charts, release.ref: kind_claims(release.ref, "release")}


def _common(claims: Iterator[Mapping[str, str]]) -> dict[str, str]:
    """Return what all of several signatures claim alike."""
    first, *others = claims
    return {key: text for key, text in first.items() if all(o.get(key) == text for o in others)}
