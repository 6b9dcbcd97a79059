"""The gate of one image: scanned and signed before anything is built on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.core.errors import UsageError
from aksci.core.once import once

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from aksci.config.supply_models import ScanConfig
    from aksci.images.build.build_record import BuiltImage
    from aksci.oci.references import ImageRef
    from aksci.supply.project_trust import ProjectTrust
    from aksci.supply.scan.scan_images import ImageScans
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.scan.verdicts import Verdicts
    from aksci.supply.sign.signer import Origin, Signer

__all__ = ["ScanAndSign"]


@dataclass(frozen=True, kw_only=True)
class ScanAndSign:
    """Takes images through scan and signature; implements ``ImageGate``. Safe in several threads.

    ``build`` and ``cascade`` call it for each image before anything is built on it. Scanner and
    signer are made when the first image comes.
    """

    make_gate: Callable[[Callable[[Verdict], bool]], ImageScans]
    """Makes the scan gate, which is handed what tells whether a remembered verdict is trusted."""
    signer: Callable[[], Signer]
    trust: ProjectTrust
    policy: ScanConfig
    environment: str
    """Whose scanner and signer they are."""
    now: Callable[[], dt.datetime]
    origin: Origin
    """What signatures tell of where the images come from."""
    base_of: Callable[[BuiltImage], ImageRef | None]
    """Tells what an image is based on."""
    check: Callable[[str, BuiltImage], object] | None = None
    """A team's own: called with the name of each image that passed the scan; refuses by raising."""
    _found: dict[str, Verdict] = field(default_factory=dict, repr=False)
    _keys: dict[ImageRef, str] = field(default_factory=dict, repr=False)

    def __call__(self, _name: str, image: BuiltImage) -> None:
        """Scan and sign an image, as ``admit`` does."""
        self.admit(image)

    def require_environment(self, name: str) -> None:
        """Refuse to be the gate of another environment's build.

        :raises UsageError: its images would pass by another scanner and another signer.
        """
        if self.environment != name:
            raise UsageError(
                f"The gate is of {self.environment!r}, not {name!r}.",
                hint="steps.gate(env) makes one for the environment that is built for.",
            )

    @property
    def verdicts(self) -> Verdicts:
        """On the images so far, whether they pass or not."""
        return self._verdicts(dict(self._found))

    def admit(self, image: BuiltImage) -> None:
        """Scan and sign an image.

        :raises GateError: the policy refuses it, or it can't be scanned.
        :raises AksciError: the team's own check refuses it.
        :raises TrustError: it can't be signed.
        """
        from aksci.supply.sign.signer import sign_image

        ref, key = image.ref, image.input_key
        self._keys[ref] = key
        verdict = self._found[image.name] = self._gate.scan(ref, self.base_of(image))
        self._verdicts({image.name: verdict}).require()
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

    def _verdicts(self, found: Mapping[str, Verdict]) -> Verdicts:
        from aksci.supply.scan.verdicts import Verdicts

        # Never all images of a project: no ignore can be told to be a leftover yet.
        return Verdicts(
            found=found,
            policy=self.policy,
            environment=self.environment,
            now=self.now(),
            complete=False,
        )

    @once
    def _gate(self) -> ImageScans:
        return self.make_gate(
            lambda verdict: self.trust.trusts_verdict(verdict, {self._keys[verdict.image]})
        )
