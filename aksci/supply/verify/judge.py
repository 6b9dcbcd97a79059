"""Judge digests: who signed each, and whether the verdict that the signature binds passed.

A judgement is always returned, with what is wrong where something is. Only a registry that can't be
asked is an error: it never means "verified", and never "not signed".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from aksci.core.concurrency import gather
from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry, TrustError
from aksci.oci.manifest import CONFIG_TYPES
from aksci.oci.references import is_digest
from aksci.oci.registry import read_child
from aksci.supply.scan.stored_verdict import read_verdict
from aksci.supply.sign.signer import (
    COMMIT,
    INPUT_KEY,
    REPOSITORY,
    RUN,
    VERDICT,
    BindingError,
    NotSignedError,
    UntrustedError,
    image_claims,
    kind_claims,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aksci.oci.manifest import Descriptor, Manifest
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.sign.signer import Proof, Signer

__all__ = ["Judge", "Judgement", "Outcome", "RefusedVerdictError", "Subject"]

_THREADS = 8


class Outcome(StrEnum):
    """What is known of one thing. Whatever is in capitals fails ``verify``."""

    VERIFIED = "verified"
    FOREIGN = "foreign"
    """Not ours, and allowed by name."""
    ABSENT = "absent"
    """A service of the release that does not run: drift, and no danger."""
    UNSIGNED = "UNSIGNED"
    UNTRUSTED = "UNTRUSTED"
    """Signed, but not validly by somebody whom we trust."""
    UNBOUND = "UNBOUND"
    """Validly signed, but not as what it is used for here."""
    REFUSED = "REFUSED"
    """The verdict that its signature binds did not pass, or is not to be had."""
    CHANGED = "CHANGED"
    """Something else is installed than what was deployed."""
    UNKNOWN = "UNKNOWN"
    """It can't be told, which is the same as not verified."""

    @property
    def bad(self) -> bool:
        """Whether it fails ``verify``."""
        return self.isupper()


class RefusedVerdictError(TrustError):
    """The verdict that a signature binds did not pass, or can't be read."""

    code = "trust-refused"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A digest, and as what it is to be verified."""

    ref: ImageRef
    kind: str = "image"
    """``image``, ``chart`` or ``release``."""
    verdict: str = ""
    input_key: str = ""
    """What a release says of its image: both, or neither."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is known of one digest."""

    subject: Subject
    outcome: Outcome
    reason: str = ""
    """What is wrong; empty when it is verified."""
    by: tuple[str, ...] = ()
    """Signer and identity of each proof."""
    commit: str = ""
    run: str = ""
    verdict: str = ""
    """Digest of the stored verdict."""
    policy: str = ""

    @property
    def verified(self) -> bool:
        """Whether it is proved."""
        return self.outcome is Outcome.VERIFIED


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Judges what is in one registry."""

    signer: Signer
    registry: Registry

    def judge_all(self, subjects: Iterable[Subject]) -> dict[Subject, Judgement]:
        """Judge several at the same time, each once."""
        distinct = list(dict.fromkeys(subjects))
        judgements = gather(self.judge, distinct, limit=_THREADS, name="verify")
        return dict(zip(distinct, judgements, strict=True))

    def judge(self, subject: Subject) -> Judgement:
        """Verify one digest's signature, and the verdict that it binds.

        :raises RegistryError: the registry can't be asked.
        """
        ref = subject.ref
        # Asked first: a signer would say "not signed" of what is not there at all.
        if self.registry.resolve(ref.repository, ref.digest) is None:
            return _bad(subject, Outcome.UNKNOWN, f"it is not in {ref.registry}, nor its signature")
        try:
            if subject.kind != "image":
                return _good(subject, self.signer.verify(ref, kind_claims(ref, subject.kind)))
            proofs = self._prove_image(subject)
            verdict = _verdict(self.registry, ref, proofs[0].claims[VERDICT])
        except TrustError as error:
            return _bad(subject, _outcome(error), error.message)
        return _good(subject, proofs, verdict)

    def _prove_image(self, subject: Subject) -> tuple[Proof, ...]:
        """Let every signer prove the same verdict and input key: the release's, or any."""
        ref, verdict, input_key = subject.ref, subject.verdict, subject.input_key
        # Nobody has named a verdict: one signer does, and all have to prove the same.
        if not verdict:
            claims = self.signer.verify(ref, {REPOSITORY: ref.repository})[0].claims
            verdict, input_key = claims.get(VERDICT, ""), claims.get(INPUT_KEY, "")
        if not is_digest(verdict) or not input_key:  # whatever else names one can be moved
            raise BindingError(f"{ref} is signed, but its signature binds no verdict of the gate.")
        return self.signer.verify(ref, image_claims(ref, verdict=verdict, input_key=input_key))

    def contents_of(self, ref: ImageRef) -> frozenset[str]:
        """Return all digests by which a container runtime may report this image.

        An index, the manifests in it and the configurations of these: each is named, by its digest,
        in what names it. So whoever has verified the first knows the others.

        Image specification 1.1, "Image Index", "Image Manifest"; "Image ID" in its "Image
        Configuration".
        """
        try:
            manifest = self.registry.manifest(ref.repository, ref.digest)
        except NotFoundInRegistry:
            return frozenset({ref.digest})
        try:
            found = {ref.digest, *_config_of(manifest)}
            for entry in manifest.images:  # nothing has scanned what an attestation would run
                found |= {entry.digest, *self._config(ref, entry)}
        except DamagedInRegistry:  # a digest that is none, or of another algorithm
            return frozenset({ref.digest})
        return frozenset(found)

    def _config(self, ref: ImageRef, entry: Descriptor) -> frozenset[str]:
        try:
            return _config_of(read_child(self.registry, ref.repository, entry))
        except NotFoundInRegistry:  # an index may name platforms that were not copied
            return frozenset()

    def all_contents(self, refs: Iterable[ImageRef]) -> dict[ImageRef, frozenset[str]]:
        """Return ``contents_of`` for several, asked for at the same time."""
        distinct = sorted(set(refs))
        contents = gather(self.contents_of, distinct, limit=_THREADS, name="verify")
        return dict(zip(distinct, contents, strict=True))


def _config_of(manifest: Manifest) -> frozenset[str]:
    """Return the digest of an image's configuration; an artifact's is no image's."""
    config = manifest.config
    return frozenset({config.digest} if config and config.media_type in CONFIG_TYPES else ())


def _verdict(registry: Registry, ref: ImageRef, digest: str) -> Verdict:
    """Read the verdict that a signature binds, by the digest that it binds.

    :raises RefusedVerdictError: it is gone, damaged, on another image, or did not pass.
    """
    place = f"{ref.repository}@{digest}"
    try:
        verdict = read_verdict(registry, ref, digest)
    except NotFoundInRegistry:
        raise RefusedVerdictError(f"The verdict {place} is not in the registry any more.") from None
    except DamagedInRegistry as error:
        raise RefusedVerdictError(f"The verdict {place} can't be read ({error.why}).") from None
    if not verdict.passed:
        raise RefusedVerdictError(f"{ref} is signed, but its verdict {place} did not pass.")
    return verdict


def _good(subject: Subject, proofs: tuple[Proof, ...], verdict: Verdict | None = None) -> Judgement:
    if not proofs:  # the protocol says never; a signer that breaks it proves nothing
        return _bad(subject, Outcome.UNKNOWN, "nothing proves it")
    return Judgement(
        subject=subject,
        outcome=Outcome.VERIFIED,
        by=tuple(f"{proof.signer}: {proof.identity}" for proof in proofs),
        commit=_common(proofs, COMMIT),
        run=_common(proofs, RUN),
        verdict=_common(proofs, VERDICT) if verdict else "",
        policy=verdict.policy if verdict else "",
    )


def _bad(subject: Subject, outcome: Outcome, reason: str) -> Judgement:
    return Judgement(subject=subject, outcome=outcome, reason=reason)


def _common(proofs: tuple[Proof, ...], claim: str) -> str:
    """Return what the proofs claim, where they don't contradict each other."""
    told = {proof.claims[claim] for proof in proofs if claim in proof.claims}
    return told.pop() if len(told) == 1 else ""


_OUTCOMES: tuple[tuple[type[TrustError], Outcome], ...] = (
    (NotSignedError, Outcome.UNSIGNED),
    (BindingError, Outcome.UNBOUND),
    (UntrustedError, Outcome.UNTRUSTED),
    (RefusedVerdictError, Outcome.REFUSED),
)


def _outcome(error: TrustError) -> Outcome:

    return next(
        (outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), Outcome.UNKNOWN
    )
