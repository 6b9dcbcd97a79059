"""Notary Project signatures, verified without a program: yes when it is sure, and no "no".

Notary Project, "Signing and verification workflow". Whoever gets no proof here asks ``notation``,
which knows all of the specification, and how to say what is wrong.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import RegistryError
from aksci.core.text import one_line
from aksci.oci.referrers import list_referrers
from aksci.supply.sign.notation.cbor import DoubtError
from aksci.supply.sign.notation.certificate_chain import (
    read_identities,
    read_roots,
    require_chain,
    require_identity,
)
from aksci.supply.sign.notation.cose import Envelope, read_envelope, require_signature
from aksci.supply.sign.signer import Proof

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Manifest, Registry

__all__ = ["SIGNATURE", "TrustedRoots", "find_proof", "prove"]

SIGNATURE = "application/vnd.cncf.notary.signature"
"""The artifact type of signatures."""
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_ENVELOPE = "application/cose"
_CREATED = "org.opencontainers.image.created"
_LARGEST = 1 << 20  # bytes of a manifest or of an envelope
_MOST = 50  # signatures of one digest that are looked at


@dataclass(frozen=True, kw_only=True)
class TrustedRoots:
    """Whom to believe."""

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


def find_proof(
    registry: Registry,
    ref: ImageRef,
    claims: Mapping[str, str],
    *,
    trust: TrustedRoots,
    now: dt.datetime,
) -> Proof | None:
    """Return the newest signature that surely proves the claims; None where none surely does.

    :param now: when certificates must be valid and the signature not expired.
    """
    try:
        target = registry.manifest(ref.repository, ref.digest)
        listed = _newest_first(list_referrers(registry, ref, artifact_type=SIGNATURE))
    except (RegistryError, ValueError, TypeError, AttributeError, KeyError):
        return None
    for entry in listed[:_MOST]:
        # A stranger may have written all of it: whatever it makes a library raise, it is no proof.
        try:
            data = _fetch(registry, ref, entry)
            proof = prove(data, target, trust=trust, now=now)
        except Exception:  # noqa: BLE001, S112
            continue
        if claims.items() <= proof.claims.items():
            return proof
    return None


def prove(data: bytes, target: Manifest, *, trust: TrustedRoots, now: dt.datetime) -> Proof:
    """Return what an envelope proves of a manifest.

    :raises DoubtError: nothing surely. Other exceptions mean the same.
    """
    envelope = read_envelope(data)
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


def _newest_first(listed: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Put first what was signed last: each new verdict adds a signature, and the last one counts.

    Nobody vouches for the times, so that they are good for nothing else.
    """

    def created(entry: Mapping[str, Any]) -> str:
        told = entry.get("annotations")
        return str(told.get(_CREATED, "")) if isinstance(told, dict) else ""

    newest_last = sorted(listed, key=created)
    return newest_last[::-1]


def _fetch(registry: Registry, ref: ImageRef, entry: Mapping[str, Any]) -> bytes:
    """Return the envelope of a listed signature: "OCI Signatures" of the specification."""
    if entry["mediaType"] != _MANIFEST or not 0 < entry["size"] <= _LARGEST:
        raise DoubtError("no manifest of a usual size")
    manifest = registry.manifest(ref.repository, str(entry["digest"]))
    content = _read_json(manifest.content)
    (layer,) = content["layers"]
    if len(manifest.content) != entry["size"] or content["subject"]["digest"] != ref.digest:
        raise DoubtError("a manifest of something else")
    if SIGNATURE not in {content.get("artifactType"), content["config"]["mediaType"]}:
        raise DoubtError("no signature")
    if layer["mediaType"] != _ENVELOPE or not 0 < layer["size"] <= _LARGEST:
        raise DoubtError("no COSE envelope of a usual size")
    data = registry.blob(ref.repository, str(layer["digest"]))
    if len(data) != layer["size"]:
        raise DoubtError("another size")
    return data


def _claims(envelope: Envelope, target: Manifest) -> dict[str, str]:
    """Return the payload's annotations, if it is on this manifest: "Payload" of the specification.

    :raises DoubtError: it is not.
    """
    payload = _read_json(envelope.payload)
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


def _read_json(content: bytes) -> Any:
    """Read JSON of which no other program reads something else.

    Go's decoder takes keys whatever their case, and of two the last one; it replaces what is no
    text.
    """
    document = json.loads(content.decode(), object_pairs_hook=_unique)
    json.dumps(document, ensure_ascii=False, allow_nan=False).encode()  # no half of a surrogate
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key.casefold() for key, _ in pairs}) != len(pairs):
        raise DoubtError("a key that is twice there")
    return dict(pairs)
