"""The gate of one image: scanned and signed before anything is built on it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from aksci.oci.references import ImageRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.images.build.build_record import Base, BuiltImage
    from aksci.supply.scan.gate import Gate
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.sign.signer import Origin
    from pipelines.bench import Bench

__all__ = ["Gatekeeper"]


@dataclass(kw_only=True)
class Gatekeeper:
    """Takes images through scan and signature; implements ``ImageGate``."""

    bench: Bench
    origin: Origin
    """What signatures tell of where the images come from."""
    repository_of: Callable[[str], str]
    """Name of an image of the project -> its repository."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By image, whether they pass or not."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _keys: dict[ImageRef, str] = field(default_factory=dict, repr=False)

    def admit(self, image: BuiltImage) -> None:
        """Scan and sign an image.

        :raises GateError: the policy refuses it, or it can't be scanned.
        :raises TrustError: it can't be signed.
        """
        from aksci.supply.scan.scan_policy import require_pass
        from aksci.supply.sign.signer import sign_image

        base = next((one for one in image.bases if one.runtime), None)
        bench, ref = self.bench, image.ref
        self._keys[ref] = image.input_key
        with self._lock:
            gate = self._gate
        verdict = self.verdicts[image.name] = gate.scan(ref, self._ref_of(base) if base else None)
        policy, now = bench.context.config.scan, bench.context.now()
        require_pass([verdict], policy=policy, now=now, complete=False)
        sign_image(
            ref,
            verdict,
            input_key=image.input_key,
            signer=bench.signer,
            origin=self.origin,
            validated=bench.validated(image.name, ref),
        )

    @cached_property
    def _gate(self) -> Gate:
        from aksci.supply.scan.gate import Gate

        context = self.bench.context
        return Gate.make(
            self.bench.scanner,
            context.config.scan,
            self.bench.registry,
            context.reporter,
            context.now(),
            context.root,
            self.bench.resolver.client,
            self._vouched,
        )

    def _vouched(self, verdict: Verdict) -> bool:
        return self.bench.vouches_for_verdict(verdict, {self._keys[verdict.image]})

    def _ref_of(self, base: Base) -> ImageRef:
        if base.image:
            host = self.bench.registry.host
            return ImageRef(host, self.repository_of(base.image), base.digest)
        registry, repository = self.bench.resolver.where(base.reference)
        return ImageRef(registry.host, repository, base.digest)
