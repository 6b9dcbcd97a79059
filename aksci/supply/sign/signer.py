"""Sign a digest with what is known of it bound in, and verify it again: what every signer must do.

What a signature binds are its *claims*, short texts by name. Those that verification requires tell
what the digest is and why it may run; the others tell where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aksci.core.errors import RegistryError, TrustError
from aksci.oci.artifact import newest_first

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from aksci.oci.manifest import Descriptor
    from aksci.oci.references import ImageRef
    from aksci.supply.scan.verdict import Verdict

__all__ = [
    "MOST_READ",
    "AllSigners",
    "BindingError",
    "NotSignedError",
    "Origin",
    "Proof",
    "Signer",
    "UntrustedError",
    "build_claims",
    "ensure_signed",
    "image_claims",
    "kind_claims",
    "require_proofs",
    "require_readable",
    "sign_image",
    "signatures_of",
    "validation_claims",
    "verify_image",
]

MOST_READ = 20_000
"""Signatures of one digest that are read."""
_MOST = 100
"""Signatures of one digest, of a kind that only their signer understands."""
PREFIX = "dev.aksci."
"""How the names of our own claims begin."""
REPOSITORY = f"{PREFIX}repository"
"""Without the registry: a signature copied beside another repository's image is worth nothing
there, and a promotion to another registry keeps it."""
KIND = f"{PREFIX}kind"
VERDICT = f"{PREFIX}verdict"
INPUT_KEY = f"{PREFIX}input-key"
VALIDATED = f"{PREFIX}validated"
"""Of an image: ``spec_hash`` of the check that it passed when it was run."""
POLICY = f"{PREFIX}policy"
COMMIT = f"{PREFIX}commit"
RUN = f"{PREFIX}run"
CONTINUES = f"{PREFIX}continues"
"""Of a release: the digest of the release that a cascade has made it from."""


class NotSignedError(TrustError):
    """Nothing has signed the digest."""

    code = "trust-not-signed"


class UntrustedError(TrustError):
    """It is signed, but not validly by somebody whom we trust."""

    code = "trust-untrusted"


class BindingError(TrustError):
    """It is validly signed, but not with the claims that are required."""

    code = "trust-binding"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One valid signature by a trusted identity."""

    signer: str
    """``notation``, ``cosign``, ``dct``, or the name of one's own."""
    identity: str
    """Who signed: a certificate's subject, or a key's identifier; one harmless line."""
    claims: Mapping[str, str]
    """All that the signature covers beside the digest."""
    signed_at: dt.datetime | None = None
    """The time that the signature itself claims; None where its format has none."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where something that is signed comes from: told by its signature, required by nobody."""

    commit: str = ""
    run: str = ""
    """The pipeline run."""
    continues: str = ""
    """Digest of the release that this release continues."""

    def claims(self) -> dict[str, str]:
        """Return what is known of it."""
        told = {COMMIT: self.commit, RUN: self.run, CONTINUES: self.continues}
        return {name: text for name, text in told.items() if text}


class Signer(Protocol):
    """Signs digests and verifies signatures, with claims that the signature covers."""

    @property
    def name(self) -> str:
        """``notation``, ``cosign`` or ``dct``; for several, their names."""

    def sign(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        """Add a signature over the digest and the claims, and make sure that it can be verified.

        It is verified from the pinned roots only, with nothing remembered from signing.

        :raises TrustError: it could not be made.
        """

    def verify(self, ref: ImageRef, claims: Mapping[str, str]) -> tuple[Proof, ...]:
        """Require one valid signature, by a trusted identity, that has all of the claims.

        :returns: what proves it, never empty. Of several signatures, one signer shows one; of
            those of the same time, the one that tells the most.
        :raises NotSignedError: nothing has signed the digest.
        :raises BindingError: it is signed, but not with these claims.
        :raises UntrustedError: it is signed, but not validly by somebody whom we trust.
        """


@dataclass(frozen=True)
class AllSigners:
    """Several signers as one: all of them sign, and all of them must verify."""

    signers: Sequence[Signer] = field(repr=False)

    @property
    def name(self) -> str:
        """Their names."""
        return "+".join(signer.name for signer in self.signers)

    def sign(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        """Let each sign that has not signed so."""
        for signer in self.signers:
            ensure_signed(ref, claims, required=claims, signer=signer)

    def verify(self, ref: ImageRef, claims: Mapping[str, str]) -> tuple[Proof, ...]:
        """Require that each verifies."""
        return tuple(
            proof
            for signer in self.signers
            for proof in require_proofs(signer.verify(ref, claims), ref, claims, signer=signer.name)
        )

    def stored_signatures(
        self, ref: ImageRef, listed: tuple[Descriptor, ...]
    ) -> dict[str, Mapping[str, str]]:
        """Return those of each; see ``signatures_of``."""
        found: dict[str, Mapping[str, str]] = {}
        for signer in self.signers:
            found |= signatures_of(signer, ref, listed)
        return found


def signatures_of(
    signer: object, ref: ImageRef, listed: tuple[Descriptor, ...]
) -> dict[str, Mapping[str, str]]:
    """Return which of the artifacts that refer to a digest are signatures that go along with it.

    By digest, each with the claims that it surely has; none where that is not known.

    A signer tells by ``stored_signatures(ref, listed)``, or by ``artifact_types``, the types of
    what it stores: then the newest 100 of these, without proof of who stored them.

    :raises RegistryError: the registry can't be asked.
    """
    tell = getattr(signer, "stored_signatures", None)
    if tell is not None:
        return dict(tell(ref, listed))
    kinds = frozenset(getattr(signer, "artifact_types", ()))
    own = newest_first(each for each in listed if each.artifact_type in kinds)
    return {each.digest: {} for each in own[:_MOST]}


def require_readable(ref: ImageRef, listed: Sequence[Descriptor]) -> None:
    """Refuse more signatures of a digest than are read.

    :raises RegistryError: there are more than 20,000.
    """
    if len(listed) > MOST_READ:
        raise RegistryError(
            f"{ref} has {len(listed):,} signatures, and no more than {MOST_READ:,} are read.",
            hint=f"delete those in {ref.repository} that are not yours.",
        )


def require_proofs(
    proofs: tuple[Proof, ...], ref: ImageRef, claims: Mapping[str, str], *, signer: str
) -> tuple[Proof, ...]:
    """Return what a signer shows, if it proves what was asked: of nothing, anything is true.

    :raises UntrustedError: it shows nothing, or a signature that has other claims.
    """
    # Whoever the signer is: a generator that holds nothing is true, and so is all that it holds.
    shown = isinstance(proofs, tuple) and all(isinstance(proof, Proof) for proof in proofs)
    if (
        not shown
        or not proofs
        or not all(claims.items() <= dict(proof.claims).items() for proof in proofs)
    ):
        raise UntrustedError(f"The signer {signer!r} shows no proof of what {ref} must be.")
    return proofs


def build_claims(ref: ImageRef, *, input_key: str) -> dict[str, str]:
    """Return what tells that somebody trusted has signed this build of these inputs."""
    return {REPOSITORY: ref.repository, INPUT_KEY: input_key}


def image_claims(ref: ImageRef, *, verdict: str, input_key: str) -> dict[str, str]:
    """Return what an image's signature must bind.

    :param verdict: digest of the stored verdict.
    """
    return {**build_claims(ref, input_key=input_key), VERDICT: verdict}


def validation_claims(ref: ImageRef, spec: str) -> dict[str, str]:
    """Return what tells that somebody trusted saw the image pass a check.

    :param spec: ``spec_hash`` of what was asked.
    """
    return {REPOSITORY: ref.repository, VALIDATED: spec}


def kind_claims(ref: ImageRef, kind: str) -> dict[str, str]:
    """Return what the signature of a release or of a chart must bind.

    :param kind: ``release`` or ``chart``.
    """
    return {REPOSITORY: ref.repository, KIND: kind}


def sign_image(
    ref: ImageRef,
    verdict: Verdict,
    *,
    input_key: str,
    signer: Signer,
    origin: Origin | None = None,
    validated: str = "",
) -> bool:
    """Sign an image that passed the gate, unless it is already signed just so.

    :param validated: ``spec_hash`` of the check that we know it to have passed; empty: of none.
    :returns: whether a signature was added.
    :raises TrustError: the verdict is on another image, did not pass or is not stored.
    """
    if verdict.image != ref:
        raise TrustError(f"{ref} is not signed: its verdict is on {verdict.image}.")
    if not verdict.passed:
        raise TrustError(f"{ref} is not signed: it did not pass the scan gate.", hint="nox -s scan")
    if verdict.stored is None:
        raise TrustError(f"{ref} is not signed: its verdict is not in the registry.")
    required = image_claims(ref, verdict=verdict.stored.digest, input_key=input_key)
    if validated:
        required |= validation_claims(ref, validated)
    told = {POLICY: verdict.policy, **(origin or Origin()).claims()}
    return ensure_signed(ref, {**told, **required}, required=required, signer=signer)


def ensure_signed(
    ref: ImageRef, claims: Mapping[str, str], *, required: Mapping[str, str], signer: Signer
) -> bool:
    """Sign unless a valid signature has what is required; return whether one was added."""
    try:
        signer.verify(ref, required)
    except (NotSignedError, BindingError, UntrustedError):
        signer.sign(ref, claims)
        return True
    return False


def verify_image(
    ref: ImageRef, *, verdict: str, input_key: str, signer: Signer
) -> tuple[Proof, ...]:
    """Require a valid signature over this digest, repository, verdict and input key."""
    return signer.verify(ref, image_claims(ref, verdict=verdict, input_key=input_key))
