"""Rebase an image of another repository by what its own build recorded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.images.annotations import BASE_DIGEST, BASE_NAME
from aksci.images.keys import Source, in_tag, input_key
from aksci.images.lineage import ARTIFACT_TYPE, read_files, write_lineage
from aksci.images.rebase.apply import apply_rebase
from aksci.images.rebase.conditions import BaseCache, RebaseCheck, check_rebase
from aksci.images.rebase.facts import facts_from
from aksci.images.rebase.model import Condition
from aksci.images.rebase.recorded import SEAL
from aksci.oci.names import parse_reference
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from aksci.cascade.dependents.survey_result import Found
    from aksci.images.lineage import Lineage
    from aksci.images.rebase.plan import RebasePlan
    from aksci.images.rebase.recorded import RebaseFacts
    from aksci.oci.client import RegistryClient
    from aksci.oci.registry import TransferRegistry

__all__ = ["Remade", "Remaker"]

_KEY = "dev.aksci.input-key"
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, ConfigError)


@dataclass(frozen=True, kw_only=True)
class Remade:
    """An image on its new base."""

    ref: ImageRef
    input_key: str
    base: ImageRef


@dataclass(frozen=True, kw_only=True)
class Remaker:
    """Rebases images of other repositories, in the order in which they were found."""

    registry: RegistryClient
    where: Callable[[str], tuple[TransferRegistry, str]]
    """Tells the registry and the repository of a full reference."""
    vouched: Callable[[ImageRef, str], bool]
    """Tells whether somebody trusted has signed a digest with its input key: what nobody has must
    not come out signed by us."""
    now: Callable[[], datetime]
    run: str
    cache: BaseCache = field(default_factory=BaseCache)

    def check(self, found: Found, moves: Mapping[str, str]) -> RebaseCheck:
        """Tell whether an image can be rebased.

        :param moves: reference -> the digest that it means now, as far as the image needs it.
        """
        lineage = found.lineage
        facts = facts_from(lineage.rebase) if lineage and lineage.rebase else None
        if lineage is None or facts is None:
            return _refused("recorded-facts", "its build did not record what a rebase must know")
        distrust = self._distrust(found, lineage, facts)
        if distrust:
            return _refused("believable-image", distrust)
        runtime, parents = _runtime(lineage), lineage.digests
        if not runtime:
            return _refused("one-base", "it stands on no image, or on several")
        if not self._stands_on(found, runtime):
            return _refused("believable-image", "its own manifest names another base")
        recorded = {**parents, runtime: found.annotations.get(BASE_DIGEST, parents[runtime])}
        new = {**recorded, **moves}
        check = check_rebase(
            facts,
            image=found.ref,
            runtime=runtime,
            recorded=recorded,
            now=new,
            registry=self.registry,
            where=self.where,
            platforms=tuple(map(str, lineage.source["platforms"])),
            annotations={BASE_DIGEST: new[runtime]} if BASE_DIGEST in found.annotations else {},
            cache=self.cache,
        )
        # A build of its own project would not stand on an image of it that nobody vouches for.
        signed = check.plan and self._trusted(runtime, recorded[runtime])
        if signed and not self._trusted(runtime, new[runtime]):
            why = f"somebody trusted has signed the old {runtime}, and nobody the new one"
            return _refused("believable-base", why)
        return check

    def _stands_on(self, found: Found, runtime: str) -> bool:
        """Tell whether the image's own manifest names the base: edges are in no key."""
        named = found.annotations.get(BASE_NAME, "")
        if named == runtime:
            return True
        try:
            tags = {parse_reference(one).tag for one in (named, runtime)}
            places = {
                (registry.host, repository)
                for registry, repository in map(self.where, (named, runtime))
            }
        except ConfigError:
            return False
        return len(tags) == len(places) == 1

    def _trusted(self, reference: str, digest: str) -> bool:
        """Tell whether somebody trusted has signed an image of this registry.

        Anybody who may push can add a record with another key: one of them that holds is enough.
        """
        registry, repository = self.where(reference)
        if registry.host != self.registry.host:
            return False
        ref = ImageRef(registry.host, repository, digest)
        records = list_referrers(self.registry, ref, artifact_type=ARTIFACT_TYPE)
        keys = {str((one.get("annotations") or {}).get(_KEY, "")) for one in records}
        return any(self.vouched(ref, key) for key in sorted(keys - {""}))

    def _distrust(self, found: Found, lineage: Lineage, facts: RebaseFacts) -> str:
        """Say why a record can't be believed; empty: a trusted signature covers all of it.

        It binds the input key, and the manifest, which holds the seal of the facts.
        """
        try:
            key = input_key(Source(**lineage.source), lineage.digests)
            if key != lineage.input_key or not isinstance(lineage.source["platforms"], list):
                return "its record does not give the key that it names"
        except _DAMAGE:
            return "its record is damaged"
        if facts.seal and found.annotations.get(SEAL) != facts.seal:
            return "its own manifest does not vouch for what is recorded"
        return "" if self.vouched(found.ref, key) else "nobody whom we trust has signed it"

    def remake(self, found: Found, moves: Mapping[str, str], plan: RebasePlan) -> Remade:
        """Rebase an image and finish it as its own project's build would: lineage, key, tag.

        :param plan: of ``check``.
        """
        lineage = found.lineage
        if lineage is None:  # pragma: no cover - there is no plan then
            raise AssertionError(found.ref)
        rebased = apply_rebase(plan, self.registry)
        ref = ImageRef(found.ref.registry, found.ref.repository, rebased.digest)
        parents = {**lineage.digests, **moves}
        key = input_key(Source(**lineage.source), parents)
        write_lineage(
            self.registry,
            ref,
            replace(lineage, parents=parents, input_key=key, run=self.run),
            provenance=rebased.provenance,
            now=self.now(),
            files=read_files(self.registry, ref.repository, lineage),
        )
        stored = self.registry.manifest(ref.repository, ref.digest)
        self.registry.put_manifest(
            ref.repository, stored.content, stored.media_type, tag=in_tag(key)
        )
        registry, repository = self.where(plan.runtime)
        base = ImageRef(registry.host, repository, plan.new_base)
        return Remade(ref=ref, input_key=key, base=base)


def _runtime(lineage: Lineage) -> str:
    """Return the one reference that the final stage stands on; empty: there is not one."""
    found = [name for name, edge in lineage.edges.items() if edge.get("type") == "runtime"]
    return found[0] if len(found) == 1 and found[0] in lineage.parents else ""


def _refused(name: str, detail: str) -> RebaseCheck:
    return RebaseCheck(conditions=(Condition(name=name, holds=False, detail=detail),), plan=None)
