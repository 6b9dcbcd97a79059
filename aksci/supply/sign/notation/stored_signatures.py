"""The signatures that are stored beside a digest, read until one proves what is asked.

A user with push access can store any number there, each under the date of its choice. So none is
judged by how many there are: what is surely not by a key of ours costs two requests and no more,
however many there are; and ``notation``, which reads them one after the other, gets only the rest.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from aksci.core.concurrency import gather
from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry, RegistryError
from aksci.core.strict_json import parse_json
from aksci.oci.artifact import CREATED, find_artifacts, newest_first, read_artifact
from aksci.oci.manifest import OCI_MANIFEST
from aksci.supply.sign.notation.cbor import DoubtError
from aksci.supply.sign.notation.certificate_chain import ForeignSignatureError
from aksci.supply.sign.notation.verify_in_process import prove, require_ours
from aksci.supply.sign.signer import MOST_READ, require_readable

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from aksci.oci.manifest import Descriptor, Manifest
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.sign.notation.verify_in_process import TrustedRoots
    from aksci.supply.sign.signer import Proof

__all__ = ["SIGNATURE", "Found", "SignatureSearch", "StoredSignature"]

SIGNATURE = "application/vnd.cncf.notary.signature"
"""The artifact type of signatures."""
_COSE = "application/cose"
_THUMBPRINTS = "io.cncf.notary.x509chain.thumbprint#S256"
"""Annotation: the SHA-256 of each certificate, which notation writes ("OCI Signatures")."""
_LARGEST = 1 << 20  # bytes of a manifest or of an envelope
_MANY = 200  # from here on, a person is told
_AT_ONCE = 64
_THREADS = 8
_ASKED = 1000  # of those, as many are for notation to judge
_SHOWN = 20  # and so many foreign ones for it to name
_KEPT = 64 << 20  # bytes of all of these


@dataclass(frozen=True, kw_only=True)
class StoredSignature:
    """One signature as the registry has it."""

    manifest: Manifest
    layer: Descriptor
    data: bytes = field(repr=False)


@dataclass(kw_only=True)
class Found:
    """What is stored beside one digest, as far as it was read."""

    target: Manifest
    listed: int
    proof: Proof | None = None
    """It has all of the claims."""
    proved: list[StoredSignature] = field(default_factory=list)
    """Surely valid, with other claims."""
    possible: list[StoredSignature] = field(default_factory=list)
    """By a key of ours, and with something that only notation understands."""
    unsure: list[StoredSignature] = field(default_factory=list)
    """A certificate that is pinned is in it; whether it has signed, only notation can tell."""
    foreign: list[StoredSignature] = field(default_factory=list)
    """The first of those that surely prove nothing here."""
    unread: int = 0
    """Which are damaged, or gone."""
    skipped: int = 0
    """Those that were not read, since there are too many."""
    _envelopes: set[str] = field(default_factory=set, repr=False)
    _bytes: int = 0

    def for_notation(self) -> tuple[StoredSignature, ...]:
        """Return those to ask about, the surest first."""
        asked = [*self.proved, *self.possible, *self.unsure]
        return (*asked[:_ASKED], *self.foreign)

    def keep(self, kind: list[StoredSignature], one: StoredSignature, *, most: int) -> None:
        """Keep a signature, if it is not there already and there is room."""
        size = len(one.data) + len(one.manifest.content)
        # One envelope may lie in any number of manifests.
        new = one.layer.digest not in self._envelopes
        if new and len(kind) < most and self._bytes + size <= _KEPT:
            self._envelopes.add(one.layer.digest)
            self._bytes += size
            kind.append(one)


@dataclass(frozen=True, kw_only=True)
class SignatureSearch:
    """Looks through the signatures of digests."""

    registry: Registry
    trust: TrustedRoots | None
    """None: no signature is sure here."""
    anchors: frozenset[bytes]
    """Pinned certificates, DER. None at all: any signature may be one of ours."""
    now: dt.datetime
    """When certificates must be valid and the signature not expired."""
    say: Callable[[str], None] = lambda _: None
    """Is told when it takes long."""

    def find(self, ref: ImageRef, claims: Mapping[str, str]) -> Found:
        """Find the newest signature that surely proves the claims.

        Of those of one second, which may be listed in any order, it is the one that tells the most.

        :raises RegistryError: the registry can't be asked.
        """
        target = self.registry.manifest(ref.repository, ref.digest)
        # Each new verdict adds a signature, and the last one counts. Dates and thumbprints are
        # not signed: good for the order, and for nothing else.
        listed = sorted(find_artifacts(self.registry, ref, SIGNATURE), key=self._hinted)
        if len(listed) > _MANY:
            self.say(f"{ref} has {len(listed):,} signatures; looking for ours")
        found = Found(target=target, listed=len(listed), skipped=max(0, len(listed) - MOST_READ))
        lost: RegistryError | None = None
        for batch in _batches(listed[:MOST_READ]):
            results = gather(
                lambda entry: self._read(ref, entry, target),
                batch,
                limit=_THREADS,
                name="signatures",
            )
            proofs: list[Proof] = []
            second: str | None = None
            for entry, result in zip(batch, results, strict=True):
                created = entry.annotations.get(CREATED, "")
                if proofs and created != second:
                    break
                second = created
                if isinstance(result, RegistryError):
                    lost = result
                elif (
                    proof := self._sort(found, result)
                ) and claims.items() <= proof.claims.items():
                    proofs.append(proof)
            if proofs:
                found.proof = max(proofs, key=lambda proof: len(proof.claims))
                return found
        if lost is not None:  # what could not be read may be the one
            raise lost
        return found

    def ours(self, ref: ImageRef, listed: Sequence[Descriptor]) -> dict[str, Mapping[str, str]]:
        """Return the signatures that a key of ours has made; where that can't be told, the newest.

        By digest, each with its claims.

        :param listed: signatures of the digest.
        :raises RegistryError: the registry can't be asked, or there are too many.
        """
        target = self.registry.manifest(ref.repository, ref.digest)
        found = Found(target=target, listed=len(listed))
        require_readable(ref, listed)
        results = gather(
            lambda entry: self._read(ref, entry, target),
            sorted(newest_first(listed), key=self._hinted),
            limit=_THREADS,
            name="signatures",
        )
        claims: dict[str, Mapping[str, str]] = {}
        for result in results:
            if isinstance(result, RegistryError):
                raise result
            proof = self._sort(found, result)
            if result and proof:
                claims[result[0].manifest.digest] = proof.claims
        sure = [*found.proved, *found.possible] or found.unsure[:_SHOWN]
        return {one.manifest.digest: claims.get(one.manifest.digest, {}) for one in sure}

    def _hinted(self, entry: Descriptor) -> bool:
        """Sort those first that say to be ours; the newest stay the first of each kind."""
        told = entry.annotations.get(_THUMBPRINTS, "").lower()
        return not any(hashlib.sha256(der).hexdigest() in told for der in self.anchors)

    def _read(
        self, ref: ImageRef, entry: Descriptor, target: Manifest
    ) -> tuple[StoredSignature, Proof | Exception] | RegistryError | None:
        """Read one, and what it proves; None: it is damaged or gone."""
        try:
            one = _fetch(self.registry, ref, entry)
        except (NotFoundInRegistry, DamagedInRegistry, DoubtError, ValueError):
            return None
        except RegistryError as error:
            return error
        try:
            return one, self._judge(one, target)
        except Exception as error:  # noqa: BLE001 - whatever an attacker makes a library raise
            return one, error

    def _judge(self, one: StoredSignature, target: Manifest) -> Proof:
        """Return what a signature surely proves.

        :raises ForeignSignatureError: surely nothing.
        :raises DoubtError: notation must tell; other exceptions mean the same.
        """
        data = one.data
        cose = one.layer.media_type == _COSE
        # A signature without any pinned certificate in its chain proves nothing ("Signature
        # verification details": authenticity). COSE holds them as they are, JWS in base64.
        held = (der if cose else base64.b64encode(der) for der in self.anchors)
        if self.anchors and not any(each in data for each in held):
            raise ForeignSignatureError("no certificate of it is pinned")
        if not cose:
            raise DoubtError("no COSE envelope")
        if self.trust is not None:
            try:
                return prove(data, target, trust=self.trust, now=self.now)
            except ForeignSignatureError:
                raise
            except Exception:  # noqa: BLE001, S110 - whatever an attacker makes a library raise
                pass
        if not self.anchors:
            raise DoubtError("no certificate is pinned")
        require_ours(data, target, anchors=self.anchors)
        raise _PossibleError

    def _sort(
        self, found: Found, result: tuple[StoredSignature, Proof | Exception] | None
    ) -> Proof | None:
        """Keep what was read where it belongs; return what it proves."""
        if result is None:
            found.unread += 1
            return None
        one, outcome = result
        if not isinstance(outcome, Exception):
            found.keep(found.proved, one, most=_ASKED)
            return outcome
        if isinstance(outcome, ForeignSignatureError):
            found.keep(found.foreign, one, most=_SHOWN)
        elif isinstance(outcome, _PossibleError):
            found.keep(found.possible, one, most=_ASKED)
        else:
            found.keep(found.unsure, one, most=_ASKED)
        return None


class _PossibleError(DoubtError):
    """It is by a key of ours, and not surely valid."""


def _batches(entries: Sequence[Descriptor]) -> Iterator[list[Descriptor]]:
    """Yield what is read at once: first what is the newest, then more; never a part of a second."""
    batch: list[Descriptor] = []
    least = 1
    for _, same in groupby(entries, key=lambda entry: entry.annotations.get(CREATED)):
        batch += same
        if len(batch) >= least:
            yield batch
            batch, least = [], _AT_ONCE
    if batch:
        yield batch


def _fetch(registry: Registry, ref: ImageRef, entry: Descriptor) -> StoredSignature:
    """Read a listed signature: "OCI Signatures" of the specification."""
    if entry.media_type != OCI_MANIFEST or not 0 < (entry.size or 0) <= _LARGEST:
        raise DoubtError("no manifest of a usual size")
    artifact = read_artifact(
        registry, ref.repository, entry.digest, artifact_type=SIGNATURE, subject=ref.digest
    )
    manifest = artifact.manifest
    parse_json(manifest.content, exact=True)  # notation has to read the same
    if len(manifest.layers) != 1 or len(manifest.content) != entry.size:
        raise DoubtError("a manifest of another size, or not of one envelope")
    (layer,) = manifest.layers
    if not 0 < (layer.size or 0) <= _LARGEST:
        raise DoubtError("no envelope of a usual size")
    data = artifact.read(layer, largest=_LARGEST)
    if len(data) != layer.size:
        raise DoubtError("another size")
    return StoredSignature(manifest=manifest, layer=layer, data=data)
