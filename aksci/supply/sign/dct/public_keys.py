"""Public keys as Notary writes them: their identifiers, and what they have signed."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aksci.supply.sign.dct.canonical_json import encode

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["KINDS", "Key"]

_CERTIFIED = {"ecdsa-x509": "ecdsa", "rsa-x509": "rsa"}
KINDS = frozenset({"ecdsa", "rsa", "ed25519", *_CERTIFIED})
"""The kinds of keys that Notary knows (its ``tuf/data/types.go``)."""
_METHODS = {"ecdsa": {"ecdsa"}, "rsa": {"rsapss", "rsapkcs1v15"}, "ed25519": {"eddsa"}}
_SMALLEST_RSA = 2048  # bits
_SALT = 32  # bytes, as long as SHA-256
_SKEW = dt.timedelta(minutes=5)  # between the clocks of who signs and of who verifies


@dataclass(frozen=True, kw_only=True)
class Key:
    """A public key: its kind, and DER (SubjectPublicKeyInfo), raw Ed25519, or a certificate."""

    kind: str
    public: bytes

    @cached_property
    def id(self) -> str:
        """The identifier in metadata: SHA-256 of the key's canonical JSON."""
        public = base64.b64encode(self.public).decode()
        value = {"keytype": self.kind, "keyval": {"private": None, "public": public}}
        return hashlib.sha256(encode(value)).hexdigest()

    @cached_property
    def canonical_id(self) -> str:
        """The identifier without the certificate: a private key's file has it as its name."""
        if self.kind not in _CERTIFIED:
            return self.id
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self._loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Key(kind=_CERTIFIED[self.kind], public=public).id

    def certifies(self, gun: str, now: dt.datetime | None) -> bool:
        """Tell whether this is a certificate for a repository, and valid.

        Notary's ``MatchCNToGun``: the common name is the repository's, or ends with ``*``.

        :param now: None where it may have expired since.
        """
        if self.kind not in _CERTIFIED:
            return False
        try:
            names, first, last = self._certified
        except ValueError:
            return False
        named = any(
            gun.startswith(name.rstrip("*")) if name.endswith("*") else gun == name
            for name in names
        )
        return named and (now is None or first - _SKEW <= now < last)

    @cached_property
    def _certified(self) -> tuple[tuple[str, ...], dt.datetime, dt.datetime]:
        """Read the common names and the validity of the certificate.

        :raises ValueError: it, or the key in it, can't be read.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.x509 import InvalidVersion
        from cryptography.x509.oid import NameOID

        try:
            found = self._certificate
            self._loaded  # noqa: B018 - read here, so that nobody fails on it later
            attributes = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            names = tuple(str(each.value) for each in attributes)
        except (InvalidVersion, UnsupportedAlgorithm) as error:
            raise ValueError(str(error)) from None
        return names, found.not_valid_before_utc, found.not_valid_after_utc

    def has_signed(self, message: bytes, signature: bytes, method: str) -> bool:
        """Tell whether a signature is this key's, by a method that fits it."""
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.x509 import InvalidVersion

        kind = _CERTIFIED.get(self.kind, self.kind)
        if method not in _METHODS[kind]:
            return False
        try:
            _CHECKS[kind](self._loaded, message, signature, method)
        except (InvalidSignature, UnsupportedAlgorithm, InvalidVersion, ValueError, TypeError):
            return False
        return True

    @cached_property
    def _loaded(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        if self.kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(self.public)
        if self.kind in _CERTIFIED:
            return self._certificate.public_key()
        return load_der_public_key(self.public)

    @cached_property
    def _certificate(self) -> Certificate:
        """The certificate; the first one where there is a chain."""
        from cryptography.x509 import load_pem_x509_certificates

        return load_pem_x509_certificates(self.public)[0]


def _ecdsa(key: Any, message: bytes, signature: bytes, _method: str) -> None:
    """Check r and s, each as long as the curve's order and one after the other."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError
    size = (key.curve.key_size + 7) // 8
    if len(signature) != 2 * size:
        raise ValueError
    pair = [int.from_bytes(half, "big") for half in (signature[:size], signature[size:])]
    key.verify(encode_dss_signature(*pair), message, ec.ECDSA(SHA256()))


def _rsa(key: Any, message: bytes, signature: bytes, method: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _SMALLEST_RSA:
        raise TypeError
    pss = padding.PSS(padding.MGF1(SHA256()), _SALT)
    how = pss if method == "rsapss" else padding.PKCS1v15()
    key.verify(signature, message, how, SHA256())


def _ed25519(key: Any, message: bytes, signature: bytes, _method: str) -> None:
    key.verify(signature, message)


_CHECKS = {"ecdsa": _ecdsa, "rsa": _rsa, "ed25519": _ed25519}
