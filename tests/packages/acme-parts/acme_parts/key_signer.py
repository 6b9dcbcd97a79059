"""A signer with one Ed25519 key; a signature is kept beside the image that it is for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from aksci.parts import BindingError, NotSignedError, Proof, UntrustedError, attach, attached

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from aksci.parts import ImageRef, PartContext, Registry

SIGNATURE = "application/vnd.acme.signature.v1"


@dataclass(frozen=True)
class KeySigner:
    registry: Registry
    key: Ed25519PrivateKey
    name: str = "acme"
    artifact_types: tuple[str, ...] = (SIGNATURE,)

    def sign(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        signed = json.dumps({"digest": ref.digest, "claims": dict(claims)}, sort_keys=True).encode()
        attach(self.registry, ref, SIGNATURE, self.key.sign(signed) + signed)

    def verify(self, ref: ImageRef, claims: Mapping[str, str]) -> tuple[Proof, ...]:
        found = attached(self.registry, ref, SIGNATURE)
        if not found:
            raise NotSignedError(f"Acme has not signed {ref}.")
        valid = [told for each in found if (told := self._read(ref, each)) is not None]
        if not valid:
            raise UntrustedError(f"No signature of {ref} is by Acme's key.")
        for told in valid:
            if claims.items() <= told.items():
                return (Proof(signer=self.name, identity="Acme's key", claims=told),)
        raise BindingError(f"Acme has signed {ref} for something else.")

    def _read(self, ref: ImageRef, content: bytes) -> dict[str, str] | None:
        """Return what a valid signature over this digest claims."""
        signature, signed = content[:64], content[64:]
        try:
            self.key.public_key().verify(signature, signed)
        except InvalidSignature:
            return None
        document = json.loads(signed)
        return document["claims"] if document["digest"] == ref.digest else None


def make(given: PartContext) -> KeySigner:
    key = load_pem_private_key((given.root / given.options["key"]).read_bytes(), password=None)
    return KeySigner(given.registry, key)
