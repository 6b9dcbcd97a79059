"""Sign a build's images, and verify that they are signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.concurrency import gather
from aksci.core.errors import TrustError
from aksci.supply.sign.signer import Origin, sign_image, verify_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.images.build.build_record import Build
    from aksci.supply.project_trust import ProjectTrust
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.sign.signer import Signer

__all__ = ["build_origin", "require_signed", "require_trusted", "sign_build"]

_THREADS = 4


def sign_build(
    build: Build, verdicts: Mapping[str, Verdict], *, signer: Signer, trust: ProjectTrust
) -> tuple[str, ...]:
    """Sign each image with its verdict bound in; return the names of those that were not yet.

    :raises TrustError: somebody else may have put an image there, or it has no passing verdict.
    """
    _require_verdicts(build, verdicts)
    require_trusted(build, trust)
    origin = build_origin(build)

    def one(name: str) -> bool:
        image = build.images[name]
        return sign_image(
            image.ref,
            verdicts[name],
            input_key=image.input_key,
            signer=signer,
            origin=origin,
            validated=trust.validated(name, image.ref),
        )

    new = gather(one, build.images, limit=_THREADS, name="sign")
    return tuple(name for name, added in zip(build.images, new, strict=True) if added)


def build_origin(build: Build) -> Origin:
    """Return what signatures tell of where a build comes from."""
    return Origin(commit=build.commit, run=build.run_id)


def require_trusted(build: Build, trust: ProjectTrust) -> None:
    """Sign nothing that somebody else may have put where our build would be.

    :raises TrustError: naming each image; a build that signs would have built it again.
    """
    images = build.images.values()
    known = gather(
        lambda image: trust.trusts_build(image.ref, image.input_key),
        images,
        limit=_THREADS,
        name="trust",
    )
    strange = [str(image.ref) for image, good in zip(images, known, strict=True) if not good]
    if strange:
        raise TrustError(
            "Neither a trusted signature nor .aksci/built.json covers what the last build "
            "found in the registry:\n" + "\n".join(f"  - {ref}" for ref in strange),
            hint="hand .aksci of the job that built to the one that signs; or build them again: "
            "nox -s build -- --force IMAGE.",
        )


def require_signed(build: Build, verdicts: Mapping[str, Verdict], signer: Signer) -> None:
    """Verify every image; a verdict that is not stored has no signature.

    :raises TrustError: an image is not signed with this verdict bound in.
    """
    _require_verdicts(build, verdicts)

    def one(name: str) -> None:
        image, stored = build.images[name], verdicts[name].stored
        digest = stored.digest if stored else ""
        verify_image(image.ref, verdict=digest, input_key=image.input_key, signer=signer)

    gather(one, build.images, limit=_THREADS, name="verify")


def _require_verdicts(build: Build, verdicts: Mapping[str, Verdict]) -> None:
    for name, image in build.images.items():
        if name not in verdicts:
            raise TrustError(f"{image.ref} has no verdict.", hint="nox -s scan")
