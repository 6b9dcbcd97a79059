"""A signer that asks once: what it has verified in this run, it does not verify again."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.oci.references import ImageRef
    from aksci.supply.sign.signer import Proof, Signer

__all__ = ["RememberingSigner"]


class RememberingSigner:
    """Wrap a signer. Only successes are remembered, for as long as this object lives.

    Within one run, the build, the scan, the signing and the release ask of the same digest. A proof
    that covers more than was asked for answers the next question too. Safe in several threads.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._lock = threading.Lock()
        self._proofs: dict[ImageRef, list[tuple[Proof, ...]]] = defaultdict(list)

    @property
    def name(self) -> str:
        """The wrapped signer's."""
        return self._signer.name

    def sign(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        """Pass on."""
        self._signer.sign(ref, claims)

    def verify(self, ref: ImageRef, claims: Mapping[str, str]) -> tuple[Proof, ...]:
        """Pass on what is not proved yet."""
        with self._lock:
            known = tuple(self._proofs[ref])
        for proofs in known:
            if all(claims.items() <= proof.claims.items() for proof in proofs):
                return proofs
        found = self._signer.verify(ref, claims)
        with self._lock:
            self._proofs[ref].append(found)
        return found
