"""Notary Project signatures, verified without a program: yes when it is sure, and no "no".

Notary Project, "Signing and verification workflow". Whoever gets no proof here asks ``notation``,
which knows all of the specification, and how to say what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import RegistryError
from aksci.core.strict_json import parse_json
from aksci.core.text import one_line
from aksci.oci.artifact import find_artifacts, read_artifact
from aksci.oci.manifest import OCI_MANIFEST
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

    from aksci.oci.manifest import Descriptor, Manifest
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["SIGNATURE", "TrustedRoots", "find_proof", "prove"]

SIGNATURE = "application/vnd.cncf.notary.signature"
"""The artifact type of signatures."""
_ENVELOPE = "application/cose"
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
        # Each new verdict adds a signature, and the last one counts. Their times are nobody's
        # word: good for the order, and for nothing else.
        listed = find_artifacts(registry, ref, SIGNATURE)
    except RegistryError:
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


def _fetch(registry: Registry, ref: ImageRef, entry: Descriptor) -> bytes:
    """Return the envelope of a listed signature: "OCI Signatures" of the specification."""
    if entry.media_type != OCI_MANIFEST or not 0 < (entry.size or 0) <= _LARGEST:
        raise DoubtError("no manifest of a usual size")
    artifact = read_artifact(
        registry, ref.repository, entry.digest, artifact_type=SIGNATURE, subject=ref.digest
    )
    manifest = artifact.manifest
    parse_json(manifest.content, exact=True)  # notation has to read the same
    (layer,) = manifest.layers
    if len(manifest.content) != entry.size:
        raise DoubtError("a manifest of another size")
    if layer.media_type != _ENVELOPE or not 0 < (layer.size or 0) <= _LARGEST:
        raise DoubtError("no COSE envelope of a usual size")
    data = artifact.read(layer, largest=_LARGEST)
    if len(data) != layer.size:
        raise DoubtError("another size")
    return data


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
