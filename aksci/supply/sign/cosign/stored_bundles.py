"""Sigstore bundles beside an image, told from worthless ones without a program.

It decides nothing about trust, which is cosign's: only what goes along where an image is promoted.
"DSSE: Dead Simple Signing Envelope", "Signature Definition"; in-toto, "Statement".
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.oci.artifact import read_artifact

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from aksci.oci.manifest import Descriptor
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["BUNDLE", "claims_of", "read_bundle", "read_key"]

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""The artifact type of signatures, and of attestations."""
_LARGEST = 4 << 20  # bytes of a bundle; it may hold an attestation


def read_bundle(registry: Registry, ref: ImageRef, entry: Descriptor) -> Any:
    """Return a listed bundle; None: it is damaged, gone, or about something else.

    :raises RegistryError: the registry can't be asked.
    """
    try:
        artifact = read_artifact(
            registry, ref.repository, entry.digest, artifact_type=BUNDLE, subject=ref.digest
        )
        return artifact.read_json(largest=_LARGEST)
    except (NotFoundInRegistry, DamagedInRegistry):
        return None


def read_key(public: str) -> EllipticCurvePublicKey | None:
    """Return a public key as cosign makes them; None: it is another, or in a key service."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(Path(public).read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        return None
    # Other kinds sign in several ways: a good signature must not be taken for a bad one.
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    return None


def claims_of(
    bundle: Any, ref: ImageRef, *, key: EllipticCurvePublicKey | None
) -> dict[str, str] | None:
    """Return what a bundle says of an image; None: it is on another one, or not by the key.

    :param key: None: the key is not known here, so any key may have signed it.
    """
    try:
        envelope = bundle["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]]
        if key is not None and not any(
            _verified(key, one, _encoded(envelope["payloadType"], payload)) for one in signatures
        ):
            return None
        for subject in parse_json(payload)["subject"]:
            if f"sha256:{subject['digest'].get('sha256')}" == ref.digest:
                told = subject.get("annotations") or {}
                return {name: text for name, text in told.items() if isinstance(text, str)}
    except MALFORMED:
        pass
    return None


def _encoded(kind: str, payload: bytes) -> bytes:
    """Encode what is signed: ``PAE``, "Pre-Authentication Encoding"."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def _verified(key: EllipticCurvePublicKey, signature: bytes, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
