"""A signer of one's own, under the name that aksci.toml gives it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aksci.core.text import short_line
from aksci.supply.sign.signer import require_proofs, signatures_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.oci.manifest import Descriptor
    from aksci.oci.references import ImageRef
    from aksci.supply.sign.signer import Proof, Signer

__all__ = ["OwnSigner"]


@dataclass(frozen=True, kw_only=True)
class OwnSigner:
    """Wrap a signer: what it has signed must verify at once, and its proofs bear its name."""

    signer: Signer
    name: str
    """Under which aksci.toml asks for it."""

    def sign(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        """Let it sign, and verify what it has signed."""
        self.signer.sign(ref, claims)
        self.verify(ref, claims)

    def stored_signatures(
        self, ref: ImageRef, listed: tuple[Descriptor, ...]
    ) -> dict[str, Mapping[str, str]]:
        """Return those that a promotion takes along; see ``signatures_of``."""
        return signatures_of(self.signer, ref, listed)

    def verify(self, ref: ImageRef, claims: Mapping[str, str]) -> tuple[Proof, ...]:
        """Let it verify, and require that it shows what it has verified."""
        proofs = require_proofs(self.signer.verify(ref, claims), ref, claims, signer=self.name)
        return tuple(
            # Reports tell who signed: nobody is taken for another signer, and each text is a line.
            replace(proof, signer=self.name, identity=short_line(proof.identity))
            for proof in proofs
        )
