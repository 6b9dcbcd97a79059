"""The local test certificate: signs and verifies where nobody has configured a key.

It satisfies the Notary Project's certificate requirements ("Certificate Requirements" of the
signature specification): ECDSA P-256, key usage digitalSignature only and critical, extended key
usage codeSigning, not a CA. It is its own root, which is right for a test and for nothing else.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509 import Certificate, Name

__all__ = ["TEST_KEY", "TestKey", "ensure_test_key"]

TEST_KEY = "aksci-local-test"
_LIFE = dt.timedelta(days=730)
_SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class TestKey:
    """A private key (PEM, mode 0600) and its self-signed certificate (PEM)."""

    __test__ = False  # pytest: this is no test

    key: Path
    certificate: Path


def ensure_test_key(folder: Path, *, now: dt.datetime) -> TestKey:
    """Return the local test key, made on first use and again once it has expired.

    Safe in several processes at once.

    :param folder: ``<state>/signing``; created with mode 0700.
    """
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    pair = TestKey(key=folder / "key.pem", certificate=folder / "certificate.pem")
    with FileLock(folder / "lock"):
        if not _usable(pair, now):
            _make(pair, now)
    return pair


def _usable(pair: TestKey, now: dt.datetime) -> bool:
    """Tell whether both files are there, belong together and are valid now."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificate

    try:
        certificate = load_pem_x509_certificate(pair.certificate.read_bytes())
        key = load_pem_private_key(pair.key.read_bytes(), password=None)
    except (OSError, ValueError):
        return False
    pair.key.chmod(0o600)
    valid = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
    return valid and certificate.public_key() == key.public_key()


def _make(pair: TestKey, now: dt.datetime) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = _certificate(key, now).public_bytes(serialization.Encoding.PEM)
    for path, content in ((pair.key, private), (pair.certificate, public)):
        write_atomically(path, content)


def _certificate(key: object, now: dt.datetime) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(key)
    name = _subject()
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CODE_SIGNING]), critical=True
        )
    )
    return builder.sign(key, hashes.SHA256())


def _subject() -> Name:
    """Return a name with C, ST and O, which notation's trustedIdentities ask for."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "ZZ"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "local"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "aksci local test"),
            x509.NameAttribute(NameOID.COMMON_NAME, TEST_KEY),
        ]
    )
