"""The gate judges what a scanner in memory reports as it judges Trivy's reports."""

from __future__ import annotations

import json
from functools import partial

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.core.errors import GateError
from aksci.oci.references import ImageRef
from aksci.supply.scan.scan_images import scan_image
from aksci.testing.clock import Clock
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.memory_scanner import CannedFinding, MemoryScanner
from aksci.testing.reporter import RecordingReporter
from aksci.testing.sample_images import push_sample, push_sample_index


@pytest.fixture
def registry():
    return MemoryRegistry("shop.test", complete=True)


@pytest.fixture
def scanner(registry):
    return MemoryScanner({"shop.test": registry}.__getitem__, now=Clock())


@pytest.fixture
def base(registry):
    return push_sample(registry, "shop/base", files={"base": b"1"})


@pytest.fixture
def web(registry, base):
    return push_sample(registry, "shop/web", files={"web": b"1"}, base=(registry, base))


@pytest.fixture
def scan(registry, scanner, base):
    def run(ref, **policy):
        return scan_image(
            ref,
            scanner=scanner,
            policy=ScanConfig(**policy),
            registry=registry,
            reporter=RecordingReporter(),
            now=Clock()(),
            base=base,
            trusted=lambda _: True,
        )

    return run


def test_an_image_that_nothing_was_told_of_passes(scan, web):
    verdict = scan(web)
    assert verdict.passed
    assert (verdict.problems, verdict.notes) == ((), ())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"manifests": []}, "at once"),
        ({"artifactType": ["x"]}, "no text"),
        ({"schemaVersion": 1}, "its schema is 1"),
        ({"Layers": []}, "in two ways"),
        ({"layers": [{"digest": "sha512:" + "0" * 128}]}, "is no digest"),
        ({"layers": [{"digest": "sha256:" + "0" * 64, "size": -1}]}, "is no size"),
    ],
)
def test_what_can_be_read_in_two_ways_never_passes_the_gate(scan, registry, web, change, why):
    """CVE-2021-41190: the scanner would look at one thing, and another would run."""
    image = registry.manifest(web.repository, web.digest)
    content = json.dumps({**json.loads(image.content), **change}).encode()
    digest = registry.plant(web.repository, content, media_type=image.media_type)
    with pytest.raises(GateError, match=why):
        scan(ImageRef(registry.host, web.repository, digest))


def test_what_an_image_was_told_to_have_is_found_in_it_alone(scan, scanner, web, base):
    scanner.find(
        "web", CannedFinding(id="CVE-2026-0001"), CannedFinding(id="CVE-2", severity="LOW")
    )
    found = scan(web)
    assert [each.id for each in found.failing] == ["CVE-2026-0001"]
    assert [each.id for each in found.tolerated] == ["CVE-2"]
    assert scan(base).passed


def test_a_finding_is_the_base_s_or_our_own(scan, scanner, web):
    own = CannedFinding(id="CVE-1")
    scanner.find("web", own, CannedFinding(id="CVE-2", in_base=True))
    origins = {each.id: each.origin for each in scan(web).failing}
    assert origins == {"CVE-1": "own", "CVE-2": "base"}


def test_secrets_and_misconfigurations_are_found_when_they_are_looked_for(scan, scanner, web):
    scanner.find(
        "web",
        CannedFinding(id="private-key", kind="secret", package="/key.pem"),
        CannedFinding(id="DS002", kind="misconfiguration", severity="HIGH", package="Dockerfile"),
    )
    assert [each.id for each in scan(web, secrets=True).failing] == ["private-key"]
    assert scan(web, secrets=False).passed
    found = scan(web, secrets=False, misconfigurations=("HIGH",))
    assert [each.id for each in found.failing] == ["DS002"]


def test_what_it_is_told_later_counts_for_what_was_scanned_before(scan, scanner, web):
    assert scan(web).passed
    assert scan(web).passed
    assert scanner.scanned == [web]
    scanner.find("web", CannedFinding(id="CVE-1"))
    assert not scan(web).passed
    scanner.find("web")
    assert scan(web).passed
    assert len(scanner.scanned) == 3


def test_a_scan_that_fails_is_no_verdict(scan, scanner, web):
    scanner.fail("web", "no space left")
    with pytest.raises(GateError, match=r"could not be scanned(?s:.*)no space left"):
        scan(web)
    scanner.recover()
    assert scan(web).passed


def test_each_platform_is_scanned(registry, scan, scanner):
    index = push_sample_index(registry, "shop/web", files={"web": b"1"})
    assert scan(index).passed
    assert len(scanner.scanned) == 2


def test_an_image_is_known_by_the_whole_end_of_its_repository(registry, scan, scanner):
    scanner.find("web", CannedFinding(id="CVE-1"))
    push = partial(push_sample, registry)
    assert scan(push("shop/other-web")).passed
    assert not scan(push("web")).passed


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
def test_there_is_a_bill_of_materials(scanner, web, form):
    report = scanner.scan(web, scanners=frozenset({"vuln"}))
    assert "sample" in str(scanner.make_sbom(report, form))
