"""Sign a digest with its verdict bound in, and verify it again: what every signer must do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aksci.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.registry.refs import ImageRef
    from aksci.supply.verdict import Verdict

__all__ = [
    "BindingError",
    "NotSignedError",
    "Signer",
    "UntrustedError",
    "image_metadata",
    "sign_image",
    "verify_image",
]

_VERDICT = "dev.aksci.verdict"
_INPUT_KEY = "dev.aksci.input-key"


class NotSignedError(TrustError):
    """Nothing has signed the digest."""

    code = "trust-not-signed"


class UntrustedError(TrustError):
    """It is signed, but not validly by somebody whom we trust."""

    code = "trust-untrusted"


class BindingError(TrustError):
    """It is validly signed, but with another verdict or another input key."""

    code = "trust-binding"


class Signer(Protocol):
    """Signs digests and verifies signatures, with metadata that the signature covers."""

    def sign(self, ref: ImageRef, metadata: Mapping[str, str]) -> None:
        """Add a signature over the digest and the metadata, and make sure that it can be read.

        :raises TrustError: it could not be made.
        """

    def verify(self, ref: ImageRef, metadata: Mapping[str, str]) -> None:
        """Require one valid signature, by a trusted identity, that has all of the metadata.

        :raises TrustError: there is none; the class says what is wrong.
        """


def image_metadata(*, verdict: str, input_key: str) -> dict[str, str]:
    """Return what an image's signature binds.

    :param verdict: digest of the stored verdict.
    """
    return {_VERDICT: verdict, _INPUT_KEY: input_key}


def sign_image(ref: ImageRef, verdict: Verdict, *, input_key: str, signer: Signer) -> bool:
    """Sign an image that passed the gate, unless it is already signed just so.

    :returns: whether a signature was added.
    :raises TrustError: the verdict is on another image, did not pass or is not stored.
    """
    if verdict.image != ref:
        raise TrustError(f"{ref} is not signed: its verdict is on {verdict.image}.")
    if not verdict.passed:
        raise TrustError(f"{ref} is not signed: it did not pass the scan gate.", hint="nox -s scan")
    if verdict.stored is None:
        raise TrustError(f"{ref} is not signed: its verdict is not in the registry.")
    return ensure_signed(
        ref, image_metadata(verdict=verdict.stored.digest, input_key=input_key), signer=signer
    )


def ensure_signed(ref: ImageRef, metadata: Mapping[str, str], *, signer: Signer) -> bool:
    """Sign unless there is a valid signature with this metadata; return whether one was added."""
    try:
        signer.verify(ref, metadata)
    except (NotSignedError, BindingError, UntrustedError):
        signer.sign(ref, metadata)
        return True
    return False


def verify_image(ref: ImageRef, *, verdict: str, input_key: str, signer: Signer) -> None:
    """Require a valid signature over this digest, this verdict and this input key."""
    signer.verify(ref, image_metadata(verdict=verdict, input_key=input_key))
