"""A signer whose signatures are artifacts beside the image: ``MemorySigner``."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry, RegistryError
from aksci.oci.artifact import (
    CREATED,
    Content,
    canonical_json,
    find_artifacts,
    push_artifact,
    read_artifact,
)
from aksci.supply.sign.signer import BindingError, NotSignedError, Proof, Signer, UntrustedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from aksci.oci.manifest import Descriptor
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["MemorySigner"]

SIGNATURE_TYPE = "application/vnd.in-memory.signature.v1+json"


class MemorySigner(Signer):
    """Signs and verifies as strictly as notation does, with a key that is only a name.

    A signature covers a digest and the claims, is stored as a referrer of the digest, and so is
    promoted with it. Verifying tells apart what every signer must: nothing is signed; it is signed
    by a key that is not trusted here, or for another digest; it is signed without what is
    required. It keeps nothing secret: whoever knows a key's name can sign. It is called from
    several threads.

    >>> from aksci.testing import MemoryWorld, push_sample
    >>> world = MemoryWorld()
    >>> ref = push_sample(world.connect("shop.test"), "shop/web")
    >>> world.signer.with_key("mallory").sign(ref, {})
    >>> world.signer.verify(ref, {})
    Traceback (most recent call last):
    aksci.supply.sign.signer.UntrustedError: ... is signed by 'mallory', who is not trusted.

    :param connect: returns the registry of a host.
    :param now: the clock that dates signatures.
    :param key: the name of the key that signs.
    :param trusted: the keys that count; by default the one that signs.
    """

    name = "memory"

    def __init__(
        self,
        connect: Callable[[str], Registry],
        *,
        now: Callable[[], datetime],
        key: str = "team",
        trusted: Collection[str] = (),
    ) -> None:
        self._connect = connect
        self._now = now
        self.key = key
        self.trusted = frozenset(trusted or {key})
        self.signed: list[ImageRef] = []
        """All that it signed, in order."""

    def with_key(self, key: str) -> MemorySigner:
        """Return another signer, which signs with another key and trusts that one."""
        return MemorySigner(self._connect, now=self._now, key=key)

    def sign(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        """Store a signature over the digest and the claims, and verify it."""
        now = self._now()
        statement = {
            "digest": ref.digest,
            "claims": dict(claims),
            "key": self.key,
            "time": now.isoformat(),
        }
        signed = {"statement": statement, "mac": _mac(statement)}
        push_artifact(
            self._connect(ref.registry),
            ref.repository,
            artifact_type=SIGNATURE_TYPE,
            layers=[Content(media_type=SIGNATURE_TYPE, content=canonical_json(signed))],
            annotations={CREATED: f"{now:%Y-%m-%dT%H:%M:%SZ}"},
            subject=ref,
        )
        self.verify(ref, claims)
        self.signed.append(ref)

    def verify(self, ref: ImageRef, claims: Mapping[str, str]) -> tuple[Proof, ...]:
        """Require one valid signature by a trusted key that has all of the claims."""
        found = self._signatures(ref)
        if not found:
            raise NotSignedError(f"{ref} is not signed.", hint="nox -s sign")
        wrong = [why for one in found if (why := self._wrong(one, ref))]
        good = [one["statement"] for one in found if not self._wrong(one, ref)]
        if not good:
            raise UntrustedError(f"{ref} {wrong[0]}.")
        fitting = [one for one in good if claims.items() <= one["claims"].items()]
        if not fitting:
            has = good[0]["claims"]
            lacks = ", ".join(
                f"{name} {value!r} (signed: {has.get(name)!r})"
                for name, value in claims.items()
                if has.get(name) != value
            )
            raise BindingError(f"{ref} is signed, but not with {lacks}.")
        best = max(fitting, key=lambda one: (one["time"], len(one["claims"])))
        proof = Proof(
            signer=self.name,
            identity=best["key"],
            claims=best["claims"],
            signed_at=datetime.fromisoformat(best["time"]),
        )
        return (proof,)

    def stored_signatures(
        self, ref: ImageRef, listed: tuple[Descriptor, ...]
    ) -> dict[str, Mapping[str, str]]:
        """Return the valid signatures by trusted keys, with their claims: a promotion's."""
        registry = self._connect(ref.registry)
        found = {}
        for entry in listed:
            if entry.artifact_type == SIGNATURE_TYPE:
                one = _read(registry, ref, entry)
                if one is not None and not self._wrong(one, ref):
                    found[entry.digest] = one["statement"]["claims"]
        return found

    def _signatures(self, ref: ImageRef) -> list[dict[str, Any]]:
        registry = self._connect(ref.registry)
        if registry.resolve(ref.repository, ref.digest) is None:
            raise RegistryError(f"{ref} is not in the registry, so nothing can be signed there.")
        found = [_read(registry, ref, one) for one in find_artifacts(registry, ref, SIGNATURE_TYPE)]
        return [one for one in found if one is not None]

    def _wrong(self, signature: Mapping[str, Any], ref: ImageRef) -> str:
        """Return what is wrong with a signature; empty if it is valid."""
        statement = signature["statement"]
        if signature["mac"] != _mac(statement):
            return "has a signature that was changed"
        if statement["digest"] != ref.digest:
            return f"has a signature of {statement['digest']}"
        if statement["key"] not in self.trusted:
            return f"is signed by {statement['key']!r}, who is not trusted"
        return ""


def _read(registry: Registry, ref: ImageRef, entry: Descriptor) -> dict[str, Any] | None:
    """Return what is stored, whoever has signed it; None: it is damaged or gone."""
    try:
        found = read_artifact(
            registry, ref.repository, entry.digest, artifact_type=SIGNATURE_TYPE
        ).read_json()
        statement = found["statement"]
        shaped = {"mac", "statement"} <= found.keys() and {"digest", "claims", "key", "time"} <= {
            *statement
        }
    except (NotFoundInRegistry, DamagedInRegistry, KeyError, TypeError, AttributeError):
        return None
    return dict(found) if shaped else None


def _mac(statement: Mapping[str, Any]) -> str:
    key = str(statement["key"]).encode()
    return hmac.new(key, canonical_json(statement), hashlib.sha256).hexdigest()
