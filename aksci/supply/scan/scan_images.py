"""Scan once per (digest, policy, database, scanner, base): the registry remembers the verdict."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aksci.core.concurrency import gather
from aksci.core.errors import DamagedInRegistry, GateError, NotFoundInRegistry
from aksci.core.text import short_line
from aksci.oci.artifact import canonical_json
from aksci.oci.manifest import parse_platform
from aksci.supply.scan.base_layers import platform_name, platforms_of, read_base
from aksci.supply.scan.gate import evaluate, hash_policy, needed_scanners
from aksci.supply.scan.ignores import check_ignores
from aksci.supply.scan.knowledge import load_knowledge
from aksci.supply.scan.same_digest import SameDigestScanner
from aksci.supply.scan.scan_evidence import store_report, store_sbom
from aksci.supply.scan.stored_verdict import read_verdict, store_verdict
from aksci.supply.scan.verdict import merge_verdicts

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aksci.config.supply_models import ScanConfig
    from aksci.core.reporting import Reporter
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.scan.base_layers import BaseLayers
    from aksci.supply.scan.knowledge import Knowledge
    from aksci.supply.scan.scanner import Scanner
    from aksci.supply.scan.verdict import Verdict

__all__ = ["ImageScans", "scan_image", "scan_images", "verdict_tag"]

_THREADS = 8


def scan_images(
    refs: Mapping[str, ImageRef],
    *,
    scanner: Scanner,
    policy: ScanConfig,
    registry: Registry,
    reporter: Reporter,
    now: dt.datetime,
    root: Path | None = None,
    bases: Mapping[str, ImageRef | None] | None = None,
    outside: Callable[[str], Registry] | None = None,
    trusted: Callable[[Verdict], bool] | None = None,
) -> dict[str, Verdict]:
    """Scan several images; remembered verdicts are fetched at the same time.

    :param root: the project's folder, where the policy names files.
    :param bases: the base of each image, by its name: it tells whose a finding is.
    :param outside: returns the client of another registry's host, for bases that are there.
    :param trusted: whether a remembered verdict is trusted, one that fails too: a user
        with push access can store any. Default: none is. It is called from several threads.
    :raises GateError: an image could not be scanned. A failing verdict is returned, not raised.
    :raises ConfigError: a file that the policy names is missing or damaged.
    """
    gate = ImageScans.make(scanner, policy, registry, reporter, now, root, outside, trusted)
    given = bases or {}
    # Those that are one digest, one after another: it is scanned once.
    order = sorted(refs, key=lambda name: (refs[name].digest, name))
    verdicts = gather(
        lambda name: gate.scan(refs[name], given.get(name)), order, limit=_THREADS, name="scan"
    )
    return dict(sorted(zip(order, verdicts, strict=True)))


def scan_image(
    ref: ImageRef,
    *,
    scanner: Scanner,
    policy: ScanConfig,
    registry: Registry,
    reporter: Reporter,
    now: dt.datetime,
    root: Path | None = None,
    base: ImageRef | None = None,
    outside: Callable[[str], Registry] | None = None,
    trusted: Callable[[Verdict], bool] | None = None,
) -> Verdict:
    """Return the verdict on a digest: the remembered one, or a new one that is then remembered.

    Clean and failing verdicts are both remembered; a damaged one is replaced. The parameters are
    those of ``scan_images``.
    """
    gate = ImageScans.make(scanner, policy, registry, reporter, now, root, outside, trusted)
    return gate.scan(ref, base)


def verdict_tag(
    ref: ImageRef, *, scanner: Scanner, policy: str, base: ImageRef | None = None
) -> str:
    """Return the tag under which this verdict is remembered, from all that it depends on.

    :param policy: its hash.
    """
    key = [
        # 3: raised when something else is hashed here, so that no verdict answers a newer question.
        *(3, ref.digest, policy, scanner.database.identity, scanner.version),
        base.digest if base else "",
    ]
    return "verdict-" + hashlib.sha256(canonical_json(key)).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class ImageScans:
    """What all scans of one run share."""

    scanner: Scanner
    policy: ScanConfig
    registry: Registry
    reporter: Reporter
    now: dt.datetime
    knowledge: Knowledge
    policy_hash: str
    outside: Callable[[str], Registry] | None
    trusted: Callable[[Verdict], bool] | None

    @classmethod
    def make(
        cls,
        scanner: Scanner,
        policy: ScanConfig,
        registry: Registry,
        reporter: Reporter,
        now: dt.datetime,
        root: Path | None,
        outside: Callable[[str], Registry] | None,
        trusted: Callable[[Verdict], bool] | None,
    ) -> ImageScans:
        """Read what the policy needs; the parameters are those of ``scan_images``."""
        check_ignores(policy)
        knowledge = load_knowledge(policy, root)
        return cls(
            scanner=SameDigestScanner(scanner),
            policy=policy,
            registry=registry,
            reporter=reporter,
            now=now,
            knowledge=knowledge,
            policy_hash=hash_policy(policy, now, knowledge),
            outside=outside,
            trusted=trusted,
        )

    def scan(self, ref: ImageRef, base: ImageRef | None) -> Verdict:
        """Return the verdict on a digest: the remembered one, or a new one."""
        tag = verdict_tag(ref, scanner=self.scanner, policy=self.policy_hash, base=base)
        known = self._remembered(ref, tag, base)
        if known is not None:
            return known
        self.reporter.line(f"scanning {ref}")
        return store_verdict(self.registry, self._judge(ref, base), tag=tag)

    def _remembered(self, ref: ImageRef, tag: str, base: ImageRef | None) -> Verdict | None:
        """Return a stored verdict that is trusted: a forged one that fails would end every run."""
        name = f"{ref.name}:{tag}"
        try:
            verdict = self._load(ref, tag, base)
        except NotFoundInRegistry:
            return None
        except DamagedInRegistry as error:
            self.reporter.warning(
                f"The stored verdict {name} is damaged ({short_line(error.why)}): scanning again."
            )
            return None
        if not (self.trusted and self.trusted(verdict)):
            self.reporter.line(f"the verdict {name} is not trusted: scanning again")
            return None
        return verdict

    def _load(self, ref: ImageRef, tag: str, base: ImageRef | None) -> Verdict:
        """Read a stored verdict.

        :raises DamagedInRegistry: it is damaged or does not belong here.
        """
        verdict = read_verdict(self.registry, ref, tag)
        made = (verdict.policy, verdict.database, verdict.scanner, verdict.base)
        base_digest = base.digest if base else ""
        database = self.scanner.database.identity
        # The tag is a hash of these, but whoever may push sets tags: what was decided must say so.
        if made != (self.policy_hash, database, self.scanner.version, base_digest):
            raise DamagedInRegistry("A verdict", "it was made under other conditions")
        return verdict

    def _judge(self, ref: ImageRef, base: ImageRef | None) -> Verdict:
        """Scan a manifest, or each platform's manifest of an index.

        :raises GateError: it can't be told what would run. Of an index, the scanner chooses one.
        """
        try:
            manifest = self.registry.manifest(ref.repository, ref.digest)
            if not manifest.is_index:
                return self._judge_one(ref, base, "", None)
            listed = platforms_of(manifest)
            nested = [
                digest
                for digest, _ in listed
                if self.registry.manifest(ref.repository, digest).is_index
            ]
        except DamagedInRegistry as error:
            raise GateError(
                f"{ref} could not be scanned, so it does not pass.\n\n{error.message}"
            ) from None
        # Runtimes choose from an index in an index in different ways: what runs may not be scanned.
        if nested:
            raise GateError(
                f"{ref} lists another index, {nested[0]}, in place of an image, so it does not "
                "pass.",
                hint="list the images of all platforms in one index.",
            )
        verdicts = [
            self._judge_one(ref.beside(digest), base, platform, ref) for digest, platform in listed
        ]
        return merge_verdicts(verdicts, ref)

    def _judge_one(
        self, ref: ImageRef, base: ImageRef | None, platform: str, index: ImageRef | None
    ) -> Verdict:
        """Scan one manifest, store what was found, and judge it."""
        report = self.scanner.scan(ref, scanners=needed_scanners(self.policy))
        # Of a single image, nobody but the report tells which platform of the base it is built on.
        layers = self._layers(base, platform or _platform(report)) if base else None
        verdict = evaluate(
            report,
            policy=self.policy,
            ref=ref,
            now=self.now,
            database=self.scanner.database,
            scanner=self.scanner.version,
            platform=platform,
            knowledge=self.knowledge,
            base=layers,
            index=index,
        )
        # Stored for a failing verdict, too: its report says why it fails.
        form = self.policy.sbom
        sbom = store_sbom(self.registry, ref, self.scanner.make_sbom(report, form), form)
        return replace(verdict, reports=(store_report(self.registry, ref, report),), sboms=(sbom,))

    def _layers(self, base: ImageRef, platform: str) -> BaseLayers:
        own = base.registry == self.registry.host
        registry = self.registry if own or not self.outside else self.outside(base.registry)
        return read_base(registry, base, platform, reporter=self.reporter)


def _platform(report: dict[str, Any]) -> str:
    """Return the platform of an image that no index lists."""
    config = report["Metadata"].get("ImageConfig")
    return platform_name(parse_platform(config)) if isinstance(config, dict) else ""
