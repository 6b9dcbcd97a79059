"""A promotion: what a release needs to come to the next environment, and what is copied for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DamagedInRegistry, GateError, NotFoundInRegistry
from aksci.oci.copy_plan import plan_transfer
from aksci.supply.release.promotion_gates import ReleaseFacts, RunningRelease
from aksci.supply.release.release_artifacts import ReleaseArtifacts
from aksci.supply.release.sign_release import LATEST
from aksci.supply.release.verify_release import prove_release
from aksci.supply.scan.stored_verdict import read_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aksci.config.deploy_models import GatesConfig
    from aksci.core.reporting import Reporter
    from aksci.oci.copy_plan import TransferPlan
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release, ReleaseImage
    from aksci.supply.sign.signer import Signer

__all__ = ["PromotionPlan", "plan_release_transfer", "read_facts"]


@dataclass(frozen=True, kw_only=True)
class PromotionPlan:
    """What bringing a release from one environment to the next would take."""

    source: str
    """The environment before."""
    target: str
    release: Release
    """It is verified, and in the registry of ``source``."""
    refusals: tuple[str, ...]
    """Why the gates of ``target`` refuse it, one sentence each; none: all are open."""
    transfer: TransferPlan
    """What the registry of ``target`` lacks."""

    def require(self) -> None:
        """Raise what the gates say.

        :raises GateError: one of them is closed.
        """
        if self.refusals:
            lines = "\n".join(f"  - {refusal}" for refusal in self.refusals)
            raise GateError(
                f"{self.release.ref} may not come to {self.target!r}:\n{lines}",
                hint=f"nox -s promote -- --env {self.target} --plan shows the gates; they are set "
                f"under [environments.{self.target}.gates] in aksci.toml.",
            )

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "schema": 1,
            "release": str(self.release.ref),
            "from": self.source,
            "to": self.target,
            "gates": list(self.refusals),
            "transfer": self.transfer.as_json(),
        }

    def text(self) -> str:
        """Return it for people."""
        lines = [f"{self.release.tag}, {self.source} → {self.target}"]
        lines += [f"  refused  {refusal}" for refusal in self.refusals] or [
            "  gates    all are open"
        ]
        return "\n".join([*lines, f"  copy     {self.transfer.text()}"])


def plan_release_transfer(
    release: Release,
    source: Registry,
    target: Registry,
    *,
    reporter: Reporter,
    signer: Signer,
    kinds: Iterable[str] = (),
) -> TransferPlan:
    """Find out what a registry lacks of a release, of all that belongs to it, and of its tags.

    :param release: it is verified.
    :param signer: whose signatures go along.
    :param kinds: types of artifacts that go along though nothing proves whose they are.
    :raises RegistryError: something is not at the source, or a registry can't be asked.
    """
    return plan_transfer(
        source,
        target,
        _parts(release),
        reporter=reporter,
        wanted=ReleaseArtifacts.of(release, registry=source, signer=signer, kinds=kinds),
        tags=dict.fromkeys((release.tag, LATEST), release.ref),
    )


def read_facts(
    release: Release,
    gates: GatesConfig,
    *,
    signer: Signer,
    registry: Registry,
    look: Callable[[], RunningRelease],
) -> ReleaseFacts:
    """Read what gates ask about; what none asks about is not looked up.

    :param look: tells how the release does in the environment that it comes from.
    """
    proofs = prove_release(release.ref, signer=signer)
    return ReleaseFacts(
        signed_at=[proof.signed_at for proof in proofs],
        databases={} if gates.verdict_max_age is None else _databases(registry, release),
        running=look() if gates.soak else RunningRelease(),
    )


def _parts(release: Release) -> Iterator[ImageRef]:
    """Yield all that a release is made of."""
    yield release.ref
    yield from (image.ref for image in release.images.values())
    yield from release.charts


def _databases(registry: Registry, release: Release) -> dict[str, str]:
    """Return image -> the database of the verdict that its signature binds."""
    return {name: _database(registry, image) for name, image in release.images.items()}


def _database(registry: Registry, image: ReleaseImage) -> str:
    """Return the identity of a verdict's database; nothing where the verdict does not tell it."""
    try:
        return read_verdict(registry, image.ref, image.verdict).database
    except (NotFoundInRegistry, DamagedInRegistry):
        return ""
