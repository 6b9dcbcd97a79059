"""Notary Project signatures, verified without a program: yes when it is sure, and no "no".

Whoever gets no proof here asks ``notation``, which knows all of the specification, and how to say
what is wrong. So only what every signature has is understood: anything else is a ``DoubtError``.

Notary Project, "Signing and verification workflow", "COSE Sign1 Signature Envelope"; RFC 9052,
"Signing and Verification Process"; RFC 9053, "ECDSA"; RFC 8230, "RSASSA-PSS".
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.strict_json import parse_json
from aksci.core.text import one_line
from aksci.supply.sign.notation.cbor import DoubtError, Tag, head, read
from aksci.supply.sign.notation.certificate_chain import (
    ForeignSignatureError,
    read_identities,
    read_roots,
    require_chain,
    require_identity,
    require_issuers,
)
from aksci.supply.sign.signer import Proof

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from cryptography.x509 import Certificate

    from aksci.oci.manifest import Manifest

__all__ = [
    "ALG",
    "CONTENT_TYPE",
    "CRIT",
    "EPOCH",
    "OWN_SCHEME",
    "PAYLOAD_TYPE",
    "SCHEME",
    "SIGN1",
    "TIME",
    "X5CHAIN",
    "Envelope",
    "SignedParts",
    "TrustedRoots",
    "algorithm_of",
    "hash_of",
    "prove",
    "read_envelope",
    "require_ours",
    "require_signature",
    "sig_structure",
]


@dataclass(frozen=True, kw_only=True)
class TrustedRoots:
    """Whose signatures count."""

    roots: frozenset[bytes]
    """Certificates, DER."""
    identities: tuple[Mapping[str, str], ...]
    """Parts of subjects, of which one must match; none: any."""

    @classmethod
    def read(cls, roots: Sequence[bytes], identities: Sequence[str]) -> TrustedRoots:
        """Read the trust store's PEM files and notation's ``trustedIdentities``.

        :raises DoubtError: they are not of the usual form.
        """
        return cls(roots=read_roots(roots), identities=read_identities(identities))


def require_ours(data: bytes, target: Manifest, *, anchors: frozenset[bytes]) -> None:
    """Refuse what is surely not a signature of this manifest by a key that is vouched for.

    Of what only notation understands, this is known all the same.

    :param anchors: pinned certificates, DER.
    :raises ForeignSignatureError: surely it is none.
    :raises DoubtError: it can't be told. Other exceptions mean the same.
    """
    raw, unprotected, payload, signature = _parts(data)
    protected = read(raw)
    chain = unprotected[X5CHAIN]
    _require(isinstance(chain, tuple) and len(chain) <= _MOST_CERTIFICATES, "its certificates")
    _require(all(isinstance(each, bytes) for each in chain), "its certificates")
    certificate = require_issuers(chain, anchors=anchors)
    _require(protected.get(ALG) in _BITS, "its algorithm")
    require_signature(
        SignedParts(
            algorithm=protected[ALG],
            chain=chain,
            payload=payload,
            signature=signature,
            signed=sig_structure(raw, payload),
        ),
        certificate,
    )
    if target.digest.encode() not in payload:
        raise ForeignSignatureError("signed is something else")


def prove(data: bytes, target: Manifest, *, trust: TrustedRoots, now: dt.datetime) -> Proof:
    """Return what an envelope proves of a manifest.

    :raises ForeignSignatureError: surely nothing.
    :raises DoubtError: nothing surely. Other exceptions mean the same.
    """
    envelope = read_envelope(data)
    # When it was signed is the envelope's own word: so the chain must be valid now, as well.
    times = (now, envelope.signed_at)
    certificate = require_chain(envelope.chain, roots=trust.roots, times=times)
    require_signature(envelope, certificate)
    require_identity(certificate, trust.identities)
    if envelope.expires and not envelope.signed_at < envelope.expires > now:
        raise DoubtError("it has expired")
    subject = one_line(certificate.subject.rfc4514_string())
    return Proof(
        signer="notation",
        identity=subject,
        claims=_claims(envelope, target),
        signed_at=envelope.signed_at,
    )


def _claims(envelope: Envelope, target: Manifest) -> dict[str, str]:
    """Return the payload's annotations, if it is on this manifest: "Payload" of the specification.

    :raises DoubtError: it is not.
    """
    payload = parse_json(envelope.payload, exact=True)
    signed = payload["targetArtifact"]
    size = signed["size"]
    if payload.keys() != {"targetArtifact"} or type(size) is not int:
        raise DoubtError("an unusual payload")
    told = (signed["mediaType"], signed["digest"], size)
    if told != (target.media_type, target.digest, len(target.content)):
        raise DoubtError("signed is something else")
    claims = signed.get("annotations", {})
    if not isinstance(claims, dict) or not all(isinstance(text, str) for text in claims.values()):
        raise DoubtError("unusual annotations")
    return claims


SIGN1 = 18
EPOCH = 1
ALG, CRIT, CONTENT_TYPE, X5CHAIN = 1, 2, 3, 33
SCHEME = "io.cncf.notary.signingScheme"
TIME = "io.cncf.notary.signingTime"
_EXPIRY = "io.cncf.notary.expiry"
_PROTECTED = frozenset({ALG, CRIT, CONTENT_TYPE, SCHEME, TIME, _EXPIRY})
# A timestamp is needed only once a certificate has expired, which is not ours to judge.
_UNPROTECTED = frozenset(
    {X5CHAIN, "io.cncf.notary.signingAgent", "io.cncf.notary.timestampSignature"}
)
PAYLOAD_TYPE = "application/vnd.cncf.notary.payload.v1+json"
OWN_SCHEME = "notary.x509"
_MOST_CERTIFICATES = 10
# "Supported alg header values": the key's kind and size decide.
_RSA = {2048: -37, 3072: -38, 4096: -39}
_ECDSA = {256: -7, 384: -35, 521: -36}
_BITS = {-37: 256, -38: 384, -39: 512, -7: 256, -35: 384, -36: 512}


@dataclass(frozen=True, kw_only=True)
class SignedParts:
    """What is signed, and by whom it says so; trust it once ``require_signature`` has passed."""

    algorithm: int
    """COSE's number."""
    chain: tuple[bytes, ...]
    """Certificates (DER), from the signer's to the root's."""
    payload: bytes
    signature: bytes
    signed: bytes
    """The bytes that the signature is over: RFC 9052's ``Sig_structure``."""


@dataclass(frozen=True, kw_only=True)
class Envelope(SignedParts):
    """What an envelope says."""

    signed_at: dt.datetime
    expires: dt.datetime | None


def read_envelope(data: bytes) -> Envelope:
    """Read a ``COSE_Sign1_Tagged`` envelope of the signing scheme ``notary.x509``.

    :raises DoubtError: it is not surely one, or has something that is not known here.
    """
    raw, unprotected, payload, signature = _parts(data)
    protected = read(raw)
    _require_headers(protected, unprotected)
    return Envelope(
        algorithm=protected[ALG],
        signed_at=_time(protected[TIME]),
        expires=_time(protected[_EXPIRY]) if _EXPIRY in protected else None,
        chain=unprotected[X5CHAIN],
        payload=payload,
        signature=signature,
        signed=sig_structure(raw, payload),
    )


def _parts(data: bytes) -> tuple[bytes, Any, bytes, bytes]:
    outer = read(data)
    _require(isinstance(outer, Tag) and outer.number == SIGN1, "no COSE_Sign1_Tagged")
    _require(isinstance(outer.value, tuple) and len(outer.value) == 4, "not four parts")  # noqa: PLR2004 - RFC 9052
    raw, unprotected, payload, signature = outer.value
    _require(all(isinstance(part, bytes) and part for part in (raw, payload, signature)), "parts")
    return raw, unprotected, payload, signature


def require_signature(envelope: SignedParts, certificate: Certificate) -> None:
    """Require that the certificate's key has signed, by the algorithm that belongs to the key.

    :raises ForeignSignatureError: it has not.
    :raises DoubtError: the algorithm or the key is not known here.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import rsa

    key: Any = certificate.public_key()
    _require(algorithm_of(key) == envelope.algorithm, "another algorithm")
    try:
        if isinstance(key, rsa.RSAPublicKey):
            _verify_pss(key, envelope)
        else:
            _verify_ecdsa(key, envelope)
    except InvalidSignature:
        raise ForeignSignatureError("not signed by this key") from None


def algorithm_of(key: Any) -> int:
    """Return COSE's number of the algorithm that belongs to a key: its kind and size decide.

    :param key: public or private.
    :raises DoubtError: it is not known here.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        found = _RSA.get(key.key_size)
    elif isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        curves = ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1
        found = _ECDSA.get(key.key_size) if isinstance(key.curve, curves) else None
    else:
        found = None
    if found is None:
        raise DoubtError("a key of unknown kind")
    return found


def _verify_pss(key: Any, envelope: SignedParts) -> None:
    from cryptography.hazmat.primitives.asymmetric import padding

    digest = hash_of(envelope.algorithm)
    pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
    key.verify(envelope.signature, envelope.signed, pss, digest)


def _verify_ecdsa(key: Any, envelope: SignedParts) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    size = (key.key_size + 7) // 8
    _require(len(envelope.signature) == 2 * size, "a signature of another length")
    r, s = envelope.signature[:size], envelope.signature[size:]
    der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
    key.verify(der, envelope.signed, ec.ECDSA(hash_of(envelope.algorithm)))


def hash_of(algorithm: int) -> HashAlgorithm:
    """Return the hash that belongs to an algorithm."""
    from cryptography.hazmat.primitives import hashes

    kinds: dict[int, HashAlgorithm] = {
        256: hashes.SHA256(),
        384: hashes.SHA384(),
        512: hashes.SHA512(),
    }
    return kinds[_BITS[algorithm]]


def _require_headers(protected: Any, unprotected: Any) -> None:
    """Require that all headers are known, and that the critical ones are marked so."""
    _require(isinstance(protected, dict) and isinstance(unprotected, dict), "headers")
    _require(protected.keys() <= _PROTECTED, "an unknown signed header")
    _require(unprotected.keys() <= _UNPROTECTED, "an unknown header")
    _require(isinstance(protected.get(ALG), int) and protected[ALG] in _BITS, "its algorithm")
    _require(protected.get(CONTENT_TYPE) == PAYLOAD_TYPE, "its content type")
    _require(protected.get(SCHEME) == OWN_SCHEME, "its signing scheme")
    _require(TIME in protected, "no signing time")
    critical = [SCHEME, *([_EXPIRY] if _EXPIRY in protected else [])]
    marked = protected.get(CRIT)
    _require(isinstance(marked, tuple) and len(marked) == len(critical), "critical headers")
    _require(set(marked) == set(critical), "critical headers")
    chain = unprotected.get(X5CHAIN)
    _require(isinstance(chain, tuple) and 0 < len(chain) <= _MOST_CERTIFICATES, "its certificates")
    _require(all(isinstance(each, bytes) for each in chain), "its certificates")


def _time(value: Any) -> dt.datetime:
    """Return an "Epoch-Based Date/Time" (RFC 8949, 3.4.2) of whole seconds."""
    _require(isinstance(value, Tag) and value.number == EPOCH, "a time without its tag")
    _require(isinstance(value.value, int), "a time that is no number of seconds")
    try:
        return dt.datetime.fromtimestamp(value.value, tz=dt.UTC)
    except (ValueError, OverflowError, OSError):
        raise DoubtError("a time out of range") from None


def sig_structure(protected: bytes, payload: bytes) -> bytes:
    """Encode RFC 9052's ``Sig_structure`` of a COSE_Sign1 without external data."""
    context = b"Signature1"
    parts = [head(4, 4), head(3, len(context)), context]
    for part in (protected, b"", payload):
        parts += [head(2, len(part)), part]
    return b"".join(parts)


def _require(condition: object, what: str) -> None:
    if not condition:
        raise DoubtError(what)
