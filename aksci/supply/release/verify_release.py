"""Verify a release with all that it names, or refuse it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.concurrency import gather
from aksci.core.errors import TrustError
from aksci.supply.release.make_release import load_release
from aksci.supply.sign.signer import kind_claims, verify_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release, ReleaseImage
    from aksci.supply.sign.signer import Proof, Signer

__all__ = [
    "CheckedRelease",
    "check_release",
    "load_verified",
    "prove_release",
    "verify_release",
]

_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class CheckedRelease:
    """A release, and whether it is verified with all that it names."""

    release: Release
    proofs: tuple[Proof, ...]
    """What proves the release itself; empty where it is not verified."""
    problem: str
    """Why it is not verified; empty where it is."""

    def require(self) -> Release:
        """Return the release.

        :raises TrustError: it is not verified.
        """
        if self.problem:
            raise TrustError(f"{self.release.ref} is not verified: {self.problem}")
        return self.release


def check_release(release: Release, *, signer: Signer) -> CheckedRelease:
    """Verify a release as ``verify_release`` does, and tell what is wrong instead of raising it."""
    try:
        proofs = verify_release(release, signer=signer)
    except TrustError as error:
        return CheckedRelease(release=release, proofs=(), problem=error.message)
    return CheckedRelease(release=release, proofs=proofs, problem="")


def prove_release(ref: ImageRef, *, signer: Signer) -> tuple[Proof, ...]:
    """Require a valid signature over a release itself; what it names is not looked at.

    The claim of the repository refuses a release that was copied from another project.
    """
    return signer.verify(ref, kind_claims(ref, "release"))


def load_verified(registry: Registry, ref: ImageRef, *, project: str, signer: Signer) -> Release:
    """Read a release of a project by its digest, and verify it with all that it names.

    :raises TrustError: it is another project's, or something of it is not trusted.
    :raises RegistryError: it is not there, or the registry can't be asked.
    """
    release = load_release(registry, ref)
    if release.project != project:
        raise TrustError(f"{ref} is a release of {release.project!r}, not of {project!r}.")
    # Without `registry`: it was read by its digest a moment ago, and need not be read again.
    verify_release(release, signer=signer)
    return release


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
        *(chart_check(chart) for chart in release.charts),
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
