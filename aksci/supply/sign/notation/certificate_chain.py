"""Certificate chains of Notary Project signatures, verified up to a pinned root.

Notary Project, "Certificate Requirements" and "Trusted identities constraints". Stricter where the
specification leaves a choice: what is refused here is ``notation``'s to judge.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from aksci.core.concurrency import import_first
from aksci.supply.sign.notation.cbor import DoubtError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from cryptography.x509 import Certificate

__all__ = [
    "ForeignSignatureError",
    "read_anchors",
    "read_identities",
    "read_roots",
    "require_chain",
    "require_identity",
    "require_issuers",
]

_ANY = "*"
_PREFIX = "x509.subject"
_REQUIRED = frozenset({"C", "ST", "O"})
_KNOWN = frozenset({"C", "ST", "L", "O", "OU", "CN"})
_SPECIAL = frozenset('\\"+;<>#=,')  # RFC 4514, "String Representation of Distinguished Names"
_NOT_FOR_SIGNERS = (
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


class ForeignSignatureError(DoubtError):
    """Surely not valid: by a key that no pinned certificate vouches for, or not on this digest."""


def read_anchors(texts: Sequence[bytes]) -> frozenset[bytes]:
    """Return all certificates (DER) of some PEM files, of whatever kind.

    :raises ValueError: a file holds none, or one that can't be read.
    """
    import_first("cryptography.x509")
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificates

    found = [one for text in texts for one in load_pem_x509_certificates(text)]
    return frozenset(one.public_bytes(Encoding.DER) for one in found)


def require_issuers(chain: Sequence[bytes], *, anchors: frozenset[bytes]) -> Certificate:
    """Refuse a chain that surely does not lead to a pinned certificate; return the signer's.

    Both certificates are public: anybody can append ours to a chain of theirs, or copy all of it.

    :param chain: DER; first the signer's, then each issuer's.
    :param anchors: certificates that are pinned: roots, or issuers below them.
    :raises ForeignSignatureError: surely it does not.
    :raises DoubtError: it can't be told.
    """
    end = next((number for number, each in enumerate(chain) if each in anchors), None)
    if end is None:
        raise ForeignSignatureError("another root")
    return _issued(tuple(chain[: end + 1]))


@lru_cache(maxsize=64)
def _issued(chain: tuple[bytes, ...]) -> Certificate:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.x509 import load_der_x509_certificate

    try:
        certificates = [load_der_x509_certificate(each) for each in chain]
    except ValueError:
        raise DoubtError("a certificate of unknown form") from None
    for certificate, issuer in pairwise(certificates):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError):
            raise ForeignSignatureError("not signed by its issuer") from None
        except (TypeError, UnsupportedAlgorithm):
            raise DoubtError("a key of unknown kind") from None
    return certificates[0]


def read_roots(texts: Sequence[bytes]) -> frozenset[bytes]:
    """Return the root certificates (DER) of some PEM files.

    :raises DoubtError: one of them is no root certificate.
    """
    import_first("cryptography.x509")  # several threads verify at once
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificates

    try:
        roots = [root for text in texts for root in load_pem_x509_certificates(text)]
        for root in roots:
            _require_issued(root, root)
    except (UnsupportedAlgorithm, InvalidVersion):
        raise DoubtError("a root of unknown kind") from None
    return frozenset(root.public_bytes(Encoding.DER) for root in roots)


def read_identities(identities: Sequence[str]) -> tuple[Mapping[str, str], ...]:
    """Return the names that ``trustedIdentities`` ask for; none where everybody is trusted.

    :raises DoubtError: they are not of the usual form, or one is part of another.
    """
    if tuple(identities) == (_ANY,):
        return ()
    names = [_read_identity(identity) for identity in identities]
    for number, name in enumerate(names):
        others = names[:number] + names[number + 1 :]
        if any(name.items() <= other.items() for other in others):
            raise DoubtError("identities that overlap")
    if not names:
        raise DoubtError("no identity")
    return tuple(names)


def require_chain(
    chain: Sequence[bytes], *, roots: frozenset[bytes], times: Sequence[dt.datetime]
) -> Certificate:
    """Require a chain that ends with a pinned root, and return the signer's certificate.

    :param chain: DER; first the signer's, then each issuer's, the root's last.
    :param times: when all of them must be valid.
    :raises DoubtError: it is not surely one.
    """
    certificates = _read_chain(tuple(chain), roots)
    if not all(_valid(certificate, time) for certificate in certificates for time in times):
        raise DoubtError("not valid at that time")
    return certificates[0]


@lru_cache(maxsize=64)
def _read_chain(chain: tuple[bytes, ...], roots: frozenset[bytes]) -> tuple[Certificate, ...]:
    """Require all of a chain that time does not change. Hundreds of images share one signer."""
    from cryptography.x509 import load_der_x509_certificate

    # By its bytes, and not by its name: anybody can make a root of the same name.
    if not chain or chain[-1] not in roots:
        raise DoubtError("another root")
    certificates = tuple(load_der_x509_certificate(each) for each in chain)
    for each, certificate in zip(chain, certificates, strict=True):
        # A BIT STRING tells how many bits of it are unused, which no signature is over: none here.
        if not each.endswith(b"\0" + certificate.signature):
            raise DoubtError("a signature of unusual form")
    issuers = [*certificates[1:], certificates[-1]]
    for depth, (certificate, issuer) in enumerate(zip(certificates, issuers, strict=True)):
        if certificate is not issuer and certificate.subject == certificate.issuer:
            raise DoubtError("a root in the middle")
        _require_usual(certificate)
        _require_issued(certificate, issuer)
        if depth:
            _require_authority(certificate, below=depth - 1)
    _require_signer(certificates[0])
    return certificates


def require_identity(certificate: Certificate, identities: Sequence[Mapping[str, str]]) -> None:
    """Require that a subject has all that one of the names has; no names: any subject will do.

    :raises ForeignSignatureError: it has not.
    :raises DoubtError: it is not of the usual form.
    """
    if not identities:
        return
    subject = _subject(certificate)
    if not any(name.items() <= subject.items() for name in identities):
        raise ForeignSignatureError("another identity")


def _read_identity(identity: str) -> dict[str, str]:
    prefix, _, text = identity.partition(":")
    if prefix != _PREFIX:
        raise DoubtError("another kind of identity")
    name: dict[str, str] = {}
    for part in text.split(","):
        kind, _, value = (word.strip() for word in part.partition("="))
        kind = "ST" if kind == "S" else kind
        if kind not in _KNOWN or kind in name or not value or _SPECIAL & set(value):
            raise DoubtError("an unusual name")
        name[kind] = value
    if not name.keys() >= _REQUIRED:
        raise DoubtError("a name without C, ST and O")
    return name


def _subject(certificate: Certificate) -> dict[str, str]:
    name: dict[str, str] = {}
    for relative in certificate.subject.rdns:
        attributes = list(relative)
        kind = attributes[0].rfc4514_attribute_name
        value = attributes[0].value
        if len(attributes) > 1 or kind not in _KNOWN or kind in name or not value:
            raise DoubtError("an unusual subject")
        if not isinstance(value, str):
            raise DoubtError("an unusual subject")
        name[kind] = value
    if not name.keys() >= _REQUIRED:
        raise DoubtError("a subject without C, ST and O")
    return name


def _require_usual(certificate: Certificate) -> None:
    """Require that nothing is in it that somebody else would have to look up or to understand.

    Addresses of revocation lists or of OCSP responders are, above all.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509 import Version
    from cryptography.x509.oid import ExtensionOID

    usual = {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
    strong = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
    if certificate.version is not Version.v3 or not isinstance(
        certificate.signature_hash_algorithm, strong
    ):
        raise DoubtError("an old certificate")
    if not {extension.oid for extension in certificate.extensions} <= usual:
        raise DoubtError("an unusual extension")


def _require_issued(certificate: Certificate, issuer: Certificate) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = issuer.public_key()
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048) or (  # noqa: PLR2004 - NIST
        isinstance(key, ec.EllipticCurvePublicKey)
        and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1))  # as Go knows
    )
    if not strong or certificate.issuer.public_bytes() != issuer.subject.public_bytes():
        raise DoubtError("another issuer")
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        raise DoubtError("not signed by its issuer") from None


def _require_authority(certificate: Certificate, *, below: int) -> None:
    """Require "Root and Intermediate CA Certificates".

    :param below: how many intermediate certificates there are under this one.
    """
    from cryptography.x509 import BasicConstraints

    constraints = certificate.extensions.get_extension_for_class(BasicConstraints)
    if not constraints.critical or not constraints.value.ca:
        raise DoubtError("an issuer that may not issue")
    longest = constraints.value.path_length
    if longest is not None and longest < below:
        raise DoubtError("too long a chain")
    if not _usage(certificate).key_cert_sign:
        raise DoubtError("an issuer whose key may not issue")


def _require_signer(certificate: Certificate) -> None:
    """Require "Leaf Certificates"."""
    from cryptography.x509 import BasicConstraints, ExtendedKeyUsage, ExtensionNotFound
    from cryptography.x509.oid import ExtendedKeyUsageOID

    extensions = certificate.extensions
    try:
        if extensions.get_extension_for_class(BasicConstraints).value.ca:
            raise DoubtError("an authority that signs")
    except ExtensionNotFound:  # it is optional, and so is the other one
        pass
    usage = _usage(certificate)
    if not usage.digital_signature or any(getattr(usage, name) for name in _NOT_FOR_SIGNERS):
        raise DoubtError("a key for something else")
    try:
        purposes = set(extensions.get_extension_for_class(ExtendedKeyUsage).value)
    except ExtensionNotFound:
        return
    if purposes != {ExtendedKeyUsageOID.CODE_SIGNING}:
        raise DoubtError("a certificate for something else")


def _usage(certificate: Certificate) -> Any:
    from cryptography.x509 import KeyUsage

    usage = certificate.extensions.get_extension_for_class(KeyUsage)
    if not usage.critical:
        raise DoubtError("a key usage that need not be obeyed")
    return usage.value


def _valid(certificate: Certificate, time: dt.datetime) -> bool:
    return certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc
