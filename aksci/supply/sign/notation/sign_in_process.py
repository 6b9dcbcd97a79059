"""Notary Project signatures, made without a program where the key is a file.

For each image of a cascade, notation's start, its own requests and its list of what is there
already cost more than the signature. A key of a plugin, one with a passphrase, and a certificate
that notation could refuse stay notation's: see ``verify_in_process``, whose rules these are, too.

Notary Project, "COSE Sign1 Signature Envelope", "Payload" and "OCI Signatures"; RFC 9052, "Signing
and Verification Process"; notation's ``signingkeys.json``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.concurrency import import_first
from aksci.core.errors import ConfigError
from aksci.core.inside import read_file
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.oci.artifact import CREATED, Content, push_artifact
from aksci.supply.sign.notation.cbor import DoubtError, Tag, write
from aksci.supply.sign.notation.certificate_chain import require_chain
from aksci.supply.sign.notation.stored_signatures import SIGNATURE
from aksci.supply.sign.notation.verify_in_process import (
    ALG,
    CONTENT_TYPE,
    CRIT,
    EPOCH,
    OWN_SCHEME,
    PAYLOAD_TYPE,
    SCHEME,
    SIGN1,
    TIME,
    X5CHAIN,
    algorithm_of,
    hash_of,
    sig_structure,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.oci.manifest import Manifest
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["FileKey", "make_envelope", "read_file_key", "store_signature"]

_AGENT = "io.cncf.notary.signingAgent"
_THUMBPRINTS = "io.cncf.notary.x509chain.thumbprint#S256"
_COSE = "application/cose"
_LARGEST = 1 << 20  # bytes of a key, or of its certificates


@dataclass(frozen=True, kw_only=True)
class FileKey:
    """A private key and the certificates that go with it."""

    private: Any = field(repr=False)
    """Of ``cryptography``: RSA or elliptic curve."""
    chain: tuple[bytes, ...]
    """Certificates (DER), from the signer's to the root's."""

    @property
    def algorithm(self) -> int:
        """COSE's number."""
        return algorithm_of(self.private)


def read_file_key(config_home: Path, name: str) -> FileKey | None:
    """Return a key that notation's configuration knows by name, if it is a file that we can use.

    :param config_home: ``notation/signingkeys.json`` is in it.
    :returns: None: it is a plugin's, or something about it is unusual. Then notation signs, and
        says what is wrong.
    """
    try:
        keys = parse_json(_read(config_home / "notation" / "signingkeys.json"))
        (found,) = [each for each in keys["keys"] if each["name"] == name]
        return _load(_read(found["keyPath"]), _read(found["certPath"]))
    except (OSError, ConfigError, DoubtError, *MALFORMED):
        return None


def _read(path: str | Path) -> bytes:
    return read_file(path, shown=str(path), largest=_LARGEST)


def make_envelope(
    key: FileKey, target: Manifest, claims: Mapping[str, str], *, now: dt.datetime
) -> bytes:
    """Return the signature over a manifest and the claims, as notation's ``sign`` makes it.

    :raises DoubtError: the certificates are not valid now, or notation might refuse them.
    """
    moment = now.replace(microsecond=0)
    require_chain(key.chain, roots=frozenset(key.chain[-1:]), times=(moment, now))
    protected = write(
        {
            ALG: key.algorithm,
            CRIT: (SCHEME,),
            CONTENT_TYPE: PAYLOAD_TYPE,
            SCHEME: OWN_SCHEME,
            TIME: Tag(EPOCH, int(moment.timestamp())),
        }
    )
    payload = _payload(target, claims)
    signature = _sign(key, sig_structure(protected, payload))
    unprotected = {X5CHAIN: key.chain, _AGENT: "aksci"}
    return write(Tag(SIGN1, (protected, unprotected, payload, signature)))


def store_signature(
    registry: Registry,
    ref: ImageRef,
    envelope: bytes,
    key: FileKey,
    *,
    about: Manifest,
    now: dt.datetime,
) -> None:
    """Store a signature beside what it is on, where notation and we find it.

    :param about: the manifest that it is on.
    """
    thumbprints = [hashlib.sha256(each).hexdigest() for each in key.chain]
    push_artifact(
        registry,
        ref.repository,
        artifact_type=SIGNATURE,
        config=Content(media_type=SIGNATURE, content=b"{}"),
        layers=[Content(media_type=_COSE, content=envelope)],
        annotations={
            _THUMBPRINTS: json.dumps(thumbprints, separators=(",", ":")),
            CREATED: f"{now:%Y-%m-%dT%H:%M:%SZ}",
        },
        subject=ref,
        about=about,
    )


def _payload(target: Manifest, claims: Mapping[str, str]) -> bytes:
    signed = {
        "mediaType": target.media_type,
        "digest": target.digest,
        "size": len(target.content),
        **({"annotations": dict(sorted(claims.items()))} if claims else {}),
    }
    document = {"targetArtifact": signed}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _load(private: bytes, certificates: bytes) -> FileKey:
    """Read PEM files.

    :raises DoubtError: they are not of the usual form, or do not belong together.
    """
    import_first("cryptography.x509")  # several threads sign at once
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    try:
        key = load_pem_private_key(private, password=None)
        chain = load_pem_x509_certificates(certificates)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a passphrase
        raise DoubtError("a key or a certificate of unknown form") from None
    if key.public_key() != chain[0].public_key():
        raise DoubtError("another key's certificate")
    algorithm_of(key)
    return FileKey(private=key, chain=tuple(one.public_bytes(Encoding.DER) for one in chain))


def _sign(key: FileKey, signed: bytes) -> bytes:
    """Sign as RFC 8230 (RSASSA-PSS) and RFC 9053 (ECDSA) say."""
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    digest = hash_of(key.algorithm)
    if isinstance(key.private, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return key.private.sign(signed, pss, digest)
    r, s = decode_dss_signature(key.private.sign(signed, ec.ECDSA(digest)))
    size = (key.private.key_size + 7) // 8
    return bytes(r.to_bytes(size) + s.to_bytes(size))
