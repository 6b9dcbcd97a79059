"""What belongs to a release among all that refers to its images: bound by it, or signed by us.

A user with push access can let anything refer to an image. What a promotion brings to the next
registry is what the release, the verdicts and our signatures vouch for; the rest stays behind.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry
from aksci.core.strict_json import MALFORMED
from aksci.images.keys import Source, input_key
from aksci.images.lineage import ARTIFACT_TYPE as LINEAGE
from aksci.images.lineage import load_records
from aksci.images.validate.result import ARTIFACT_TYPE as VALIDATION
from aksci.images.validate.result import read_validation
from aksci.oci.artifact import newest_first
from aksci.oci.references import is_digest
from aksci.supply.scan.stored_verdict import read_verdict
from aksci.supply.sign.signer import VALIDATED, VERDICT, image_claims, signatures_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aksci.oci.manifest import Descriptor
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release, ReleaseImage
    from aksci.supply.sign.signer import Signer

__all__ = ["ReleaseArtifacts"]

_READ = 20
"""Results of one image that are read; a user with push access can add any number."""
_MOST = 100
"""Artifacts of one further type that refer to one manifest."""


@dataclass(frozen=True, kw_only=True)
class ReleaseArtifacts:
    """Chooses what of all that refers to a release's manifests goes where the release goes.

    Images are asked for before the manifests that they list. It is called from several threads.
    """

    registry: Registry
    signer: Signer
    images: Mapping[ImageRef, Sequence[ReleaseImage]]
    kinds: frozenset[str] = frozenset()
    """Further types that aksci.toml lets through: nothing proves what is of these."""
    bound: set[ImageRef] = field(default_factory=set)
    """What signatures bind: verdicts, and the reports and bills of materials that these name."""

    @classmethod
    def of(
        cls, release: Release, *, registry: Registry, signer: Signer, kinds: Iterable[str] = ()
    ) -> ReleaseArtifacts:
        """Return what chooses for a verified release."""
        images: dict[ImageRef, list[ReleaseImage]] = defaultdict(list)
        for image in release.images.values():
            images[image.ref].append(image)
        return cls(registry=registry, signer=signer, images=images, kinds=frozenset(kinds))

    def __call__(self, subject: ImageRef, listed: tuple[Descriptor, ...]) -> frozenset[str]:
        """Return the digests of what belongs to the release.

        :param listed: what refers to the subject.
        :raises RegistryError: the registry can't be asked.
        """
        signed = signatures_of(self.signer, subject, listed)
        own: set[str] = set()
        for image in self.images.get(subject, ()):
            self._bind(image, {claims.get(VERDICT, "") for claims in signed.values()})
            results = self._results(image, listed, signed.values())
            own |= {*self._records(image, listed), *results}
        bound = {each.digest for each in listed if subject.beside(each.digest) in self.bound}
        further = {each.digest for kind in self.kinds for each in _newest(listed, kind)[:_MOST]}
        return frozenset(bound | signed.keys() | own | further)

    def _claims(self, image: ReleaseImage) -> Iterator[Mapping[str, str]]:
        """Yield what proves the image as the release says it."""
        claims = image_claims(image.ref, verdict=image.verdict, input_key=image.input_key)
        yield from (proof.claims for proof in self.signer.verify(image.ref, claims))

    def _bind(self, image: ReleaseImage, verdicts: set[str]) -> None:
        """Note verdicts, and what they name: scanned again, an image is signed with another one."""
        for digest in {image.verdict, *filter(is_digest, verdicts)}:
            self.bound.add(image.ref.beside(digest))
            try:
                verdict = read_verdict(self.registry, image.ref, digest)
            except (NotFoundInRegistry, DamagedInRegistry):
                continue  # it names nothing then; verifying the release reports it
            named = filter(is_digest, (*verdict.reports, *verdict.sboms))
            self.bound.update(image.ref.beside(each) for each in named)

    def _records(self, image: ReleaseImage, listed: tuple[Descriptor, ...]) -> Iterator[str]:
        """Yield the newest record that gives the key which the image's signature binds."""
        records = _newest(listed, LINEAGE)
        repository, key = image.ref.repository, image.input_key
        for one, record in load_records(self.registry, repository, records, key=key):
            with contextlib.suppress(*MALFORMED):
                if input_key(Source(**record.source), record.digests) == key:
                    yield one.digest
                    return

    def _results(
        self,
        image: ReleaseImage,
        listed: tuple[Descriptor, ...],
        signed: Iterable[Mapping[str, str]],
    ) -> Iterator[str]:
        """Yield the newest result of each check that a signature says the image has passed."""
        results = _newest(listed, VALIDATION)[:_READ]
        if not results:
            return
        told = [*signed, *self._claims(image)]
        left = {claims.get(VALIDATED, "") for claims in told}
        for one in results:
            found = read_validation(self.registry, image.ref, one)
            if found and found[1] and found[0] in left:
                left.discard(found[0])
                yield one.digest


def _newest(listed: Iterable[Descriptor], kind: str) -> list[Descriptor]:
    return newest_first(each for each in listed if each.artifact_type == kind)
