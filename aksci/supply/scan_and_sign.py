"""The gate of one image: scanned and signed before anything is built on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.core.once import once

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from aksci.config.supply_models import ScanConfig
    from aksci.images.build.build_record import BuiltImage
    from aksci.oci.references import ImageRef
    from aksci.supply.project_trust import ProjectTrust
    from aksci.supply.scan.scan_images import ImageScans
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.sign.signer import Origin, Signer

__all__ = ["ScanAndSign"]


@dataclass(frozen=True, kw_only=True)
class ScanAndSign:
    """Takes images through scan and signature; implements ``ImageGate``. Safe in several threads.

    Scanner and signer are made when the first image comes.
    """

    make_gate: Callable[[Callable[[Verdict], bool]], ImageScans]
    """Makes the scan gate, which is handed what tells whether a remembered verdict is trusted."""
    signer: Callable[[], Signer]
    trust: ProjectTrust
    policy: ScanConfig
    now: Callable[[], dt.datetime]
    origin: Origin
    """What signatures tell of where the images come from."""
    base_of: Callable[[BuiltImage], ImageRef | None]
    """Tells what an image is based on."""
    check: Callable[[str, BuiltImage], None] | None = None
    """A team's own: called with the name of each image that passed the scan; refuses by raising."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By image, whether they pass or not."""
    _keys: dict[ImageRef, str] = field(default_factory=dict, repr=False)

    def admit(self, image: BuiltImage) -> None:
        """Scan and sign an image.

        :raises GateError: the policy refuses it, or it can't be scanned.
        :raises AksciError: the team's own check refuses it.
        :raises TrustError: it can't be signed.
        """
        from aksci.supply.scan.gate import require_pass
        from aksci.supply.sign.signer import sign_image

        ref, key = image.ref, image.input_key
        self._keys[ref] = key
        verdict = self.verdicts[image.name] = self._gate.scan(ref, self.base_of(image))
        require_pass([verdict], policy=self.policy, now=self.now(), complete=False)
        if self.check:  # before the signature, so that one says that it passed this, too
            self.check(image.name, image)
        sign_image(
            ref,
            verdict,
            input_key=key,
            signer=self.signer(),
            origin=self.origin,
            validated=self.trust.validated(image.name, ref),
        )

    @once
    def _gate(self) -> ImageScans:
        return self.make_gate(
            lambda verdict: self.trust.trusts_verdict(verdict, {self._keys[verdict.image]})
        )
