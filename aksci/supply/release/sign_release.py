"""Sign a release with its charts, and verify it with all that it names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aksci.core.concurrency import gather
from aksci.core.errors import TrustError
from aksci.supply.release.make_release import load_release, point
from aksci.supply.sign.signer import CONTINUES, Origin, ensure_signed, kind_claims, verify_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release, ReleaseImage
    from aksci.supply.sign.signer import Proof, Signer

__all__ = ["LATEST", "prove_release", "publish_release", "sign_release", "verify_release"]

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
        lambda ref: one(ref, "chart", of_charts), _charts(release), limit=_THREADS, name="sign"
    )
    return any([*added, one(release.ref, "release", whole)])


def publish_release(
    release: Release, *, registry: Registry, signer: Signer, origin: Origin | None = None
) -> bool:
    """Sign a release, then move the tag ``latest`` to it; return whether a signature was added."""
    added = sign_release(release, signer=signer, origin=origin)
    point(registry, release.ref, LATEST)
    return added


def prove_release(ref: ImageRef, *, signer: Signer) -> tuple[Proof, ...]:
    """Require a valid signature over a release itself; what it names is not looked at.

    The claim of the repository refuses a release that was copied from another project.
    """
    return signer.verify(ref, kind_claims(ref, "release"))


def verify_release(
    release: Release, *, signer: Signer, registry: Registry | None = None
) -> tuple[Proof, ...]:
    """Verify the release's signature, then every chart's and image's, each with what it binds.

    :param registry: also read the release from there again, so that what is deployed is what the
        digest says and not what somebody made of it since.
    :returns: what proves the release itself.
    :raises TrustError: naming each offender.
    """
    proofs = prove_release(release.ref, signer=signer)
    if registry is not None and load_release(registry, release.ref) != release:
        raise TrustError(f"The release in hand is not the one that {release.ref} holds.")

    def image_check(image: ReleaseImage) -> Callable[[], object]:
        return lambda: verify_image(
            image.ref, verdict=image.verdict, input_key=image.input_key, signer=signer
        )

    def chart_check(chart: ImageRef) -> Callable[[], object]:
        return lambda: signer.verify(chart, kind_claims(chart, "chart"))

    checks = [
        *(image_check(image) for image in release.images.values()),
        *(chart_check(chart) for chart in _charts(release)),
    ]
    errors = [error for error in gather(_caught, checks, limit=_THREADS, name="verify") if error]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise TrustError(
            f"{len(errors)} images or charts of {release.ref} are not trusted:\n"
            + "\n".join(f"  - {error.message}" for error in errors)
        )
    return proofs


def _caught(check: Callable[[], object]) -> TrustError | None:
    try:
        check()
    except TrustError as error:
        return error
    return None


def _charts(release: Release) -> list[ImageRef]:
    """Return each chart once: services may share one."""
    return sorted({service.chart for service in release.services.values()})
