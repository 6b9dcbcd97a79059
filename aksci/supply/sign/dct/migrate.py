"""Sign by other signers what Docker Content Trust has signed, digest by digest.

ACR removes Docker Content Trust on 2028-03-31; what was signed with it then has no signature any
more. What is signed here is only what the verified metadata says, and only what the registry has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aksci.core.errors import ConfigError
from aksci.core.inside import Inside
from aksci.oci.references import ImageRef, is_repository
from aksci.supply.release.chart import read_chart
from aksci.supply.release.release import chart_repository, release_repository
from aksci.supply.sign.signer import (
    PREFIX,
    REPOSITORY,
    BindingError,
    NotSignedError,
    UntrustedError,
    ensure_signed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Any, Protocol

    from aksci.config.models import Config
    from aksci.images.graph import Graph
    from aksci.oci.registry import Registry
    from aksci.supply.sign.dct.trust_chain import VerifiedMetadata
    from aksci.supply.sign.signer import Signer

    class Reader(Protocol):
        """Who verifies Docker Content Trust's metadata: ``DctSigner``."""

        @property
        def role(self) -> str:
            """The role whose claims are trusted."""

        def read(
            self, gun: str, repository: str, *, every_role: bool = False
        ) -> VerifiedMetadata | None:
            """Return all that is signed in a repository, verified."""


__all__ = [
    "MIGRATED_FROM",
    "TAGS",
    "TrustMigration",
    "migrate_repository",
    "signed_digests",
    "signed_repositories",
]

MIGRATED_FROM = "dev.aksci.migrated-from"
TAGS = "dev.aksci.dct-tag"
_OWN = "sha256-"  # how our own targets begin; others are named by a tag


@dataclass(frozen=True, kw_only=True)
class TrustMigration:
    """One signed digest, and what has become of it."""

    ref: ImageRef
    names: tuple[str, ...]
    """The tags that Docker Content Trust has it under; none for what aksci signed itself."""
    claims: Mapping[str, str]
    """What its new signature binds."""
    state: Literal["already", "due", "signed", "absent"]
    """``absent``: the registry does not have it any more."""

    def as_json(self) -> dict[str, Any]:
        """Return it for the run record."""
        return {
            "ref": str(self.ref),
            "tags": list(self.names),
            "claims": dict(self.claims),
            "state": self.state,
        }


def signed_repositories(config: Config, root: Path, graph: Graph) -> tuple[str, ...]:
    """Return all repositories that a deployment of the project verifies signatures in.

    :raises ConfigError: a chart can't be read.
    """
    project = config.project.name
    images = {image.spec.repository for image in graph.images.values()}
    inside = Inside(root)
    folders = {
        inside.find(service.chart, where=f"services.{name}.chart")
        for name, service in config.services.items()
    }
    charts = {chart_repository(project, read_chart(folder).name) for folder in folders}
    return tuple(sorted({*images, *charts, release_repository(project)}))


def migrate_repository(
    repository: str, *, reader: Reader, registry: Registry, signer: Signer, plan: bool
) -> tuple[TrustMigration, ...]:
    """Sign what is signed in a repository; what has been done already is left as it is.

    :param plan: only tell what would be signed.
    :raises ConfigError: it is no repository's name: one with a tag would just have no signatures.
    :raises TrustError: the metadata can't be trusted or fetched, or a signature can't be made.
    """
    if not is_repository(repository):
        raise ConfigError(
            f"{repository!r} is no repository's name.",
            hint="name it without registry, tag and digest, such as shop/catalog.",
        )
    trust = reader.read(f"{registry.host}/{repository}", repository, every_role=True)
    if trust is None:
        return ()
    return tuple(
        _migrate(each, registry=registry, signer=signer, plan=plan)
        for each in signed_digests(trust, registry.host, repository, role=reader.role)
    )


def signed_digests(
    trust: VerifiedMetadata, host: str, repository: str, *, role: str
) -> tuple[TrustMigration, ...]:
    """Return each digest with each set of claims that it was signed with, in a fixed order.

    What was signed for another repository is left out.

    :param role: who may claim what the gate asks for: it, and those who have delegated to it.
        Other roles have signed the digest; our signature must not say more than theirs did.
    """
    found: dict[tuple[str, tuple[tuple[str, str], ...]], set[str]] = {}
    for name, digest, claims in _targets(trust, role):
        if claims.get(REPOSITORY, repository) == repository:
            names = found.setdefault((digest, tuple(sorted(claims.items()))), set())
            names.update(() if name.startswith(_OWN) else (name,))
    return tuple(
        _due(ImageRef(host, repository, digest), dict(claims), names)
        for (digest, claims), names in sorted(found.items())
    )


def _targets(trust: VerifiedMetadata, role: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    from aksci.supply.sign.dct.target import read_claims

    for branch in trust.branches.values():
        trusted = f"{role}/".startswith(f"{branch.name}/")
        for name, file in branch.files():
            claims = {
                claim: text
                for claim, text in read_claims(file).items()
                if trusted or claim == REPOSITORY or not claim.startswith(PREFIX)
            }
            yield name, f"sha256:{file.hashes['sha256'].hex()}", claims


def _due(ref: ImageRef, claims: dict[str, str], names: Iterable[str]) -> TrustMigration:
    tags = tuple(sorted(names))
    told = {TAGS: ",".join(tags)} if tags else {}
    bound = {**claims, REPOSITORY: ref.repository, MIGRATED_FROM: "dct", **told}
    return TrustMigration(ref=ref, names=tags, claims=bound, state="due")


def _migrate(
    due: TrustMigration, *, registry: Registry, signer: Signer, plan: bool
) -> TrustMigration:
    if registry.resolve(due.ref.repository, due.ref.digest) is None:
        return _now(due, "absent")
    # Tags may be signed later, or removed: they tell where it comes from, and nobody requires them.
    required = {name: text for name, text in due.claims.items() if name != TAGS}
    if plan:
        return _now(due, "already" if _is_signed(due.ref, required, signer) else "due")
    added = ensure_signed(due.ref, due.claims, required=required, signer=signer)
    return _now(due, "signed" if added else "already")


def _is_signed(ref: ImageRef, required: Mapping[str, str], signer: Signer) -> bool:
    try:
        signer.verify(ref, required)
    except (NotSignedError, BindingError, UntrustedError):
        return False
    return True


def _now(
    due: TrustMigration, state: Literal["already", "due", "signed", "absent"]
) -> TrustMigration:
    return TrustMigration(ref=due.ref, names=due.names, claims=due.claims, state=state)
