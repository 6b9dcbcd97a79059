"""Base images of the embedded platform: what is missing may come with its repair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import RegistryError
from aksci.images.bases import BaseResolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["RepairingBases"]


@dataclass(frozen=True, kw_only=True)
class RepairingBases(BaseResolver):
    """Ask another resolver; where a base is missing, a repair of the platform may bring it."""

    resolver: BaseResolver
    repaired: Callable[[], bool]
    """Tells whether the platform is known to be well: then nothing more can come."""
    repair: Callable[[], object]

    def digest(self, reference: str) -> str:
        """Return the digest that a full reference means."""
        # Asked first: another thread may repair the platform between our question and its answer.
        repaired = self.repaired()
        try:
            return self.resolver.digest(reference)
        except RegistryError:
            if repaired:
                raise
            self.repair()
        return self.resolver.digest(reference)

    def onbuild(self, reference: str, digest: str, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the ONBUILD instructions of the digest that a full reference means."""
        return self.resolver.onbuild(reference, digest, platforms)

    def only_platform(self, reference: str, digest: str) -> str:
        """Return what an image is for that is one manifest and no index."""
        return self.resolver.only_platform(reference, digest)
