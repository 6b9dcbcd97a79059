"""Sign a release with its charts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aksci.core.concurrency import gather
from aksci.supply.release.make_release import point
from aksci.supply.sign.signer import CONTINUES, Origin, ensure_signed, kind_claims

if TYPE_CHECKING:
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release
    from aksci.supply.sign.signer import Signer

__all__ = ["LATEST", "publish_release", "sign_release"]

LATEST = "latest"
"""The tag that the last release gets. It is a hint for people; nothing trusts it."""
_THREADS = 8


def sign_release(release: Release, *, signer: Signer, origin: Origin | None = None) -> bool:
    """Sign every chart of a release, then the release; return whether a signature was added.

    What a release continues is decided by, so that a signature that does not tell it is not enough.
    """
    whole = origin or Origin()
    of_charts = replace(whole, continues="")

    def one(ref: ImageRef, kind: str, origin: Origin) -> bool:
        required = kind_claims(ref, kind)
        if origin.continues:
            required[CONTINUES] = origin.continues
        claims = {**origin.claims(), **required}
        return ensure_signed(ref, claims, required=required, signer=signer)

    added = gather(
        lambda ref: one(ref, "chart", of_charts), release.charts, limit=_THREADS, name="sign"
    )
    return any([*added, one(release.ref, "release", whole)])


def publish_release(
    release: Release, *, registry: Registry, signer: Signer, origin: Origin | None = None
) -> bool:
    """Sign a release, then move the tag ``latest`` to it; return whether a signature was added."""
    added = sign_release(release, signer=signer, origin=origin)
    point(registry, release.ref, LATEST)
    return added
