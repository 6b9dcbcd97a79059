"""The cluster's keys and certificates: one authority, and a certificate for each part."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aksci.core.concurrency import import_first
from aksci.core.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from aksci.local.layout import Network

__all__ = ["ensure_pki", "is_complete", "subjects"]

_YEAR = timedelta(days=365)
_CA_LIFE = 10 * _YEAR
_LIFE = 2 * _YEAR
# Only `up` renews: a month is enough to meet one.
_RENEW_BEFORE = timedelta(days=30)
_STAMP = "complete.json"
_VERSION = 1  # of the set of certificates below


@dataclass(frozen=True, kw_only=True)
class CertificateSubject:
    """Whom a certificate names: the common name is Kubernetes' user, the organisation its group."""

    common_name: str
    organisation: str = ""
    names: tuple[str, ...] = ()
    """DNS names and IP addresses."""


def subjects(network: Network, node: str) -> dict[str, CertificateSubject]:
    """Return every certificate that the cluster needs, by file name."""
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    return {
        "apiserver": CertificateSubject(
            common_name="kube-apiserver",
            names=(
                "localhost",
                *service,
                f"kubernetes.default.svc.{network.domain}",
                "127.0.0.1",
                network.apiserver_service,
                network.node,
            ),
        ),
        "etcd": CertificateSubject(common_name="etcd", names=("localhost", "127.0.0.1")),
        "kubelet": CertificateSubject(
            common_name=f"system:node:{node}",
            organisation="system:nodes",
            names=(node, "localhost", "127.0.0.1", network.node),
        ),
        "admin": CertificateSubject(common_name="aksci-admin", organisation="system:masters"),
        "controller-manager": CertificateSubject(common_name="system:kube-controller-manager"),
        "scheduler": CertificateSubject(common_name="system:kube-scheduler"),
        "proxy": CertificateSubject(common_name="system:kube-proxy"),
    }


def ensure_pki(
    folder: Path, subjects: dict[str, CertificateSubject], *, now: datetime | None = None
) -> str:
    """Make the keys and certificates unless they are complete, as requested, and valid for 30 days.

    Return a hash of them. All are made together; the stamp that makes them count is written last,
    so a kill in between leaves nothing half-made.
    """
    now = now or datetime.now(UTC)
    request = repr((_VERSION, sorted(subjects.items())))
    stamp = _read_stamp(folder)
    # All of them, or none: the old authority's certificates count for nothing beside a new one's.
    if stamp is None or stamp["request"] != request or _expired(stamp["renew"], now):
        # First: from here to the new stamp, a kill leaves files that count for nothing.
        (folder / _STAMP).unlink(missing_ok=True)
        _make_all(folder, subjects, now)
        stamp = {
            "request": request,
            "renew": (now + _LIFE - _RENEW_BEFORE).isoformat(),
            "files": _hashes(folder),
        }
        write_atomically(folder / _STAMP, json.dumps(stamp, indent=2) + "\n")
    return hashlib.sha256(json.dumps(stamp["files"], sort_keys=True).encode()).hexdigest()


def is_complete(folder: Path) -> bool:
    """Tell whether the keys and certificates are all there, as they were made."""
    return _read_stamp(folder) is not None


def _read_stamp(folder: Path) -> dict[str, Any] | None:
    """Return the stamp if the files are those that it was written for."""
    try:
        stamp: dict[str, Any] = json.loads((folder / _STAMP).read_text())
        # By content: a file that somebody replaced belongs to another key.
        return stamp if stamp["files"] == _hashes(folder) and stamp["request"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _expired(renew: str, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(renew) <= now
    except ValueError:
        return True


def _hashes(folder: Path) -> dict[str, str]:
    # Not the stamp itself, nor what others may put there.
    files = sorted(path for path in folder.iterdir() if path.suffix in {".key", ".crt", ".pub"})
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _make_all(folder: Path, subjects: dict[str, CertificateSubject], now: datetime) -> None:
    import_first("cryptography.x509")  # another part of the platform may make its own meanwhile
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certify(
        CertificateSubject(common_name="aksci-local-ca"), authority_key, None, authority_key, now
    )
    _store(folder, "ca", authority_key, authority)
    for name, subject in subjects.items():
        key = ec.generate_private_key(ec.SECP256R1())
        _store(folder, name, key, _certify(subject, key, authority, authority_key, now))
    # A key of its own, without a certificate: it signs tokens, and no TLS.
    signer = ec.generate_private_key(ec.SECP256R1())
    _store(folder, "service-accounts", signer, None)
    public = signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_atomically(folder / "service-accounts.pub", public)


def _certify(
    subject: CertificateSubject,
    key: EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    """Sign a certificate; without an issuer it is the authority's own."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)]
    if subject.organisation:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.organisation))
    name = x509.Name(attributes)
    is_authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A clock that is set back a little must not make it a certificate of the future.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + (_CA_LIFE if is_authority else _LIFE))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(_key_usage(is_authority=is_authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    # Both: the API server's is etcd's client too, and kubelet's the API server's.
    if not is_authority:
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    # Clients look at these only; Go has not read the common name since 1.15.
    if subject.names:
        names = x509.SubjectAlternativeName([_general_name(text) for text in subject.names])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        # All that ECDSA needs in TLS; to encipher keys is RSA's.
        digital_signature=True,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(text: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _store(
    folder: Path, name: str, key: EllipticCurvePrivateKey, certificate: x509.Certificate | None
) -> None:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_atomically(folder / f"{name}.key", pem)
    if certificate is not None:
        write_atomically(folder / f"{name}.crt", certificate.public_bytes(Encoding.PEM))
