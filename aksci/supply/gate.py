"""Scan once per (digest, policy, database, scanner): the registry remembers the verdict."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aksci.errors import GateError, NotFoundInRegistry
from aksci.registry.push import Content, canonical_json, push_artifact
from aksci.registry.refs import ImageRef
from aksci.supply.policy import evaluate, hash_policy
from aksci.supply.verdict import Verdict, merge_verdicts

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from aksci.config.models import ScanConfig
    from aksci.registry.protocol import Manifest, Registry
    from aksci.reporting import Reporter
    from aksci.supply.trivy import Scanner

__all__ = ["VERDICT_TYPE", "scan_image", "scan_images", "verdict_tag"]

VERDICT_TYPE = "application/vnd.aksci.verdict.v1+json"
_ANNOTATION = "dev.aksci.verdict"
_SHORT = 2048
"""Bytes of a document that also fits an annotation, so that one GET answers."""
_THREADS = 8
_INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)


def scan_images(
    refs: Mapping[str, ImageRef],
    *,
    scanner: Scanner,
    policy: ScanConfig,
    registry: Registry,
    reporter: Reporter,
    now: dt.datetime,
) -> dict[str, Verdict]:
    """Scan several images; remembered verdicts are fetched at the same time.

    :raises GateError: an image could not be scanned. A failing verdict is returned, not raised.
    """
    from concurrent.futures import ThreadPoolExecutor

    def one(ref: ImageRef) -> Verdict:
        return scan_image(
            ref, scanner=scanner, policy=policy, registry=registry, reporter=reporter, now=now
        )

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="scan") as pool:
        futures = {name: pool.submit(one, ref) for name, ref in sorted(refs.items())}
        try:
            return {name: future.result() for name, future in futures.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what has not begun need not begin
            raise


def scan_image(
    ref: ImageRef,
    *,
    scanner: Scanner,
    policy: ScanConfig,
    registry: Registry,
    reporter: Reporter,
    now: dt.datetime,
) -> Verdict:
    """Return the verdict on a digest: the remembered one, or a new one that is then remembered.

    Clean and failing verdicts are both remembered; a damaged one is replaced.
    """
    tag = verdict_tag(ref, scanner=scanner, policy=policy, now=now)
    try:
        return _load(registry, ref, tag, policy=hash_policy(policy, now), scanner=scanner)
    except NotFoundInRegistry:
        pass
    except ValueError as error:
        reporter.warning(
            f"The stored verdict {ref.name}:{tag} is damaged ({error}): scanning again."
        )
    reporter.line(f"scanning {ref}")
    verdict = _scan(ref, scanner=scanner, policy=policy, registry=registry, now=now)
    document = canonical_json(verdict.document())
    stored = push_artifact(
        registry,
        ref.repository,
        artifact_type=VERDICT_TYPE,
        layers=[Content(media_type=VERDICT_TYPE, content=document)],
        annotations={_ANNOTATION: document.decode()} if len(document) <= _SHORT else {},
        subject=ref,
        tag=tag,
    )
    return replace(verdict, stored=stored)


def verdict_tag(ref: ImageRef, *, scanner: Scanner, policy: ScanConfig, now: dt.datetime) -> str:
    """Return the tag under which this verdict is remembered, from all that it depends on."""
    key = [1, ref.digest, hash_policy(policy, now), scanner.database.identity, scanner.version]
    return "verdict-" + hashlib.sha256(canonical_json(key)).hexdigest()[:16]


def _load(registry: Registry, ref: ImageRef, tag: str, *, policy: str, scanner: Scanner) -> Verdict:
    """Read a remembered verdict.

    :raises ValueError: it is damaged or does not belong here.
    """
    found = registry.manifest(ref.repository, tag)
    try:
        manifest = json.loads(found.content)
        subject, layer = manifest["subject"]["digest"], manifest["layers"][0]["digest"]
        text = manifest.get("annotations", {}).get(_ANNOTATION)
        content = text.encode() if text else registry.blob(ref.repository, layer)
        if subject != ref.digest or "sha256:" + hashlib.sha256(content).hexdigest() != layer:
            raise ValueError("its digests do not agree")
        verdict = Verdict.load(json.loads(content), ref)
    except (KeyError, TypeError, AttributeError, IndexError, NotFoundInRegistry) as error:
        raise ValueError(repr(error)) from None
    expected = (policy, scanner.database.identity, scanner.version)
    if (verdict.policy, verdict.database, verdict.scanner) != expected:
        raise ValueError("it was made under other conditions")
    return replace(verdict, stored=ImageRef(registry.host, ref.repository, found.digest))


def _scan(
    ref: ImageRef, *, scanner: Scanner, policy: ScanConfig, registry: Registry, now: dt.datetime
) -> Verdict:
    """Scan a manifest, or each platform's manifest of an index."""

    def judge(one: ImageRef, platform: str) -> Verdict:
        return evaluate(
            scanner.scan(one, secrets=policy.secrets),
            policy=policy,
            ref=one,
            now=now,
            database=scanner.database,
            scanner=scanner.version,
            platform=platform,
        )

    manifest = registry.manifest(ref.repository, ref.digest)
    if manifest.media_type not in _INDEXES:
        return judge(ref, "")
    verdicts = [
        judge(ImageRef(ref.registry, ref.repository, digest), platform)
        for digest, platform in _platforms(manifest, ref)
    ]
    return merge_verdicts(verdicts, ref)


def _platforms(index: Manifest, ref: ImageRef) -> list[tuple[str, str]]:
    """Return digest and ``os/arch`` of each image in an index; BuildKit's attestations are none."""
    found = []
    try:
        for entry in json.loads(index.content)["manifests"]:
            platform = entry.get("platform") or {}
            # Nothing runs such an entry, so it can hide no image from the scan.
            if (platform.get("os"), platform.get("architecture")) != ("unknown", "unknown"):
                found.append((str(entry["digest"]), _name(platform)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GateError(f"The index {ref} is damaged ({error!r}).") from None
    return found


def _name(platform: dict[str, Any]) -> str:
    parts = (platform.get("os"), platform.get("architecture"), platform.get("variant"))
    return "/".join(str(part) for part in parts if part)
