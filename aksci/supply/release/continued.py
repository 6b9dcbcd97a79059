"""A release that continues another: other images, and all else as it was."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from aksci.core.errors import NotFoundInRegistry, TrustError, UsageError
from aksci.oci.references import ImageRef, is_digest
from aksci.supply.release.make_release import point, release_image, store_release
from aksci.supply.release.release_document import release_document
from aksci.supply.release.sign_release import LATEST, sign_release
from aksci.supply.release.verify_release import prove_release
from aksci.supply.sign.signer import CONTINUES, Origin, kind_claims

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aksci.images.build.build_record import BuiltImage
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.sign.signer import Proof, Signer

__all__ = ["chain_of", "continue_release", "continues", "publish_continued"]


def continue_release(
    before: Release,
    images: Mapping[str, BuiltImage],
    verdicts: Mapping[str, Verdict],
    *,
    registry: Registry,
) -> Release:
    """Store a release, with its ``r-…`` tag, that has these images in the place of its own.

    A cascade changes what images are built on. So charts, migrations, services, commit and source
    are those of the release before, whatever the checkout has become since. An image that the
    release before does not have is left out: no service of it uses that, and the next build
    releases it. The same inputs make the same release; where nothing differs, it is ``before``.

    :param before: verified by the caller.
    :raises UsageError: something is in another registry.
    :raises TrustError: an image has no stored, passing verdict.
    """
    known = {name: image for name, image in sorted(images.items()) if name in before.images}
    _require_here([before.ref, *(image.ref for image in known.values())], registry)
    new = {name: release_image(image, verdicts.get(name)) for name, image in known.items()}
    if all(before.images[name] == image for name, image in new.items()):
        return before
    document = release_document(
        project=before.project,
        source=before.source,
        commit=before.commit,
        images={**before.images, **new},
        services=before.services,
    )
    return store_release(document, registry=registry)


def publish_continued(
    release: Release, *, before: Release, registry: Registry, signer: Signer, run: str
) -> bool:
    """Sign a release with what it continues; return whether a signature was added.

    The tag ``latest`` moves to it from the release before only: whatever somebody has released
    meanwhile stays the last one. A release that is the one before is left as it is.

    :param run: the pipeline run, for the signature.
    """
    if release.ref == before.ref:
        return False
    origin = Origin(commit=before.commit, run=run, continues=before.id)
    added = sign_release(release, signer=signer, origin=origin)
    # Somebody may have released since we looked: theirs is newer than what we continue.
    if registry.resolve(release.ref.repository, LATEST) in {before.id, None}:
        point(registry, release.ref, LATEST)
    return added


def chain_of(ref: ImageRef, *, signer: Signer, most: int = 100) -> tuple[ImageRef, ...]:
    """Return the releases that a release continues, nearest first.

    Each is signed as a release, and every signer has signed that it is continued. Where that ends,
    the chain does. One release may continue several, since the same bytes can be made twice.

    :param signer: one that remembers should not have been asked of ``ref`` before it was signed.
    :param most: releases that are returned.
    :raises TrustError: ``ref`` itself is not signed as a release.
    """
    return tuple(islice(_walk(ref, signer), most))


def continues(ref: ImageRef, before: ImageRef, *, signer: Signer, most: int = 100) -> bool:
    """Tell whether a release continues another, directly or by way of others.

    A signer shows one of several signatures; so the direct way is also asked for by name.

    :raises TrustError: ``ref`` itself is not signed as a release.
    """
    if before.name != ref.name or before == ref:
        return False
    if before in islice(_walk(ref, signer), most):
        return True
    return _is_signed_link(ref, before, signer) and bool(_prove(before, signer))


def _walk(ref: ImageRef, signer: Signer) -> Iterator[ImageRef]:
    """Go back by breadth, each release once: a loop ends by itself."""
    seen = {ref}
    level = {ref: prove_release(ref, signer=signer)}
    while level:
        named = {link for one, proofs in level.items() for link in _links(one, proofs, signer)}
        proved = {link: _prove(link, signer) for link in sorted(named - seen)}
        seen |= named
        level = {link: proofs for link, proofs in proved.items() if proofs}
        yield from level


def _links(ref: ImageRef, proofs: Iterable[Proof], signer: Signer) -> Iterator[ImageRef]:
    """Yield what the proofs name; of several signers, each must have signed the same."""
    told = {proof.claims.get(CONTINUES, "") for proof in proofs}
    for digest in told:
        link = ref.beside(digest) if is_digest(digest) else None
        if link and _is_signed_link(ref, link, signer):
            yield link


def _is_signed_link(ref: ImageRef, before: ImageRef, signer: Signer) -> bool:
    claims = {**kind_claims(ref, "release"), CONTINUES: before.digest}
    try:
        return bool(signer.verify(ref, claims))
    except TrustError:
        return False


def _prove(ref: ImageRef, signer: Signer) -> tuple[Proof, ...]:
    """Return what proves a release; nothing where it is not proved, or not there any more."""
    try:
        return prove_release(ref, signer=signer)
    except (TrustError, NotFoundInRegistry):
        return ()


def _require_here(refs: Iterable[ImageRef], registry: Registry) -> None:
    for ref in refs:
        if ref.registry != registry.host:
            raise UsageError(
                f"{ref} is not in {registry.host}, where the release is to be continued.",
                hint="run the cascade in the environment whose registry has it: "
                "nox -s cascade -- --env NAME",
            )
