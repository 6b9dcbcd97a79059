"""What scanners and signers of one's own tell is checked as what a registry tells."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.core.errors import GateError, PartError
from aksci.oci.artifact import attach, attached
from aksci.supply.scan.gate import evaluate
from aksci.supply.scan.own_scanner import HandedScanner, OwnScanner
from aksci.supply.scan.sbom import sbom_of_report
from aksci.supply.scan.scan_evidence import Package
from aksci.supply.scan.scanner import Database, ScanReport
from aksci.supply.scan.verdict import Finding
from aksci.supply.sign.make_signer import RememberingSigner
from aksci.supply.sign.own_signer import OwnSigner
from aksci.supply.sign.signer import AllSigners, Proof, UntrustedError
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import push_sample

CLAIMS = {"dev.aksci.repository": "shop/catalog"}


def signer_that_shows(*proofs):
    """A signer whose every verification succeeds with these."""
    return SimpleNamespace(
        name="theirs", sign=lambda *_: None, verify=lambda *_: proofs and tuple(proofs)
    )


def own_signer(signer):
    return OwnSigner(signer=signer, name="mine")


def proof(**claims):
    return Proof(signer="notation", identity="CN=them\nsigned by notation", claims=claims)


GOOD = proof(**CLAIMS, more="1")


@pytest.mark.parametrize("proofs", [(), (proof(),), (proof(**CLAIMS), proof(other="x"))], ids=str)
@pytest.mark.parametrize(
    "wrap",
    [
        RememberingSigner,
        lambda signer: AllSigners([signer_that_shows(GOOD), signer]),
        own_signer,
    ],
    ids=["alone", "with another", "own"],
)
def test_a_signer_that_proves_nothing_has_verified_nothing(ref, proofs, wrap):
    with pytest.raises(UntrustedError, match="shows no proof"):
        wrap(signer_that_shows(*proofs)).verify(ref, CLAIMS)


@pytest.mark.parametrize(
    "shown",
    [
        lambda: (each for each in ()),
        lambda: iter([GOOD]),
        lambda: True,
        lambda: "yes",
        lambda: (SimpleNamespace(signer="x", identity="x", claims=CLAIMS),),
    ],
    ids=["empty generator", "iterator", "yes", "text", "no proof"],
)
@pytest.mark.parametrize(
    "wrap",
    [RememberingSigner, own_signer],
    ids=["alone", "own"],
)
def test_what_is_no_tuple_of_proofs_proves_nothing(ref, shown, wrap):
    # A generator is never empty to look at, and all that it holds is true once it is used up.
    theirs = SimpleNamespace(name="theirs", verify=lambda *_: shown())
    with pytest.raises(UntrustedError, match="shows no proof"):
        wrap(theirs).verify(ref, CLAIMS)


def test_what_a_signer_of_ones_own_has_signed_must_verify_at_once(ref):
    with pytest.raises(UntrustedError):
        own_signer(signer_that_shows()).sign(ref, CLAIMS)


def test_a_proof_bears_the_name_that_aksci_toml_gives_its_signer(ref):
    (found,) = own_signer(signer_that_shows(GOOD)).verify(ref, CLAIMS)
    assert (found.signer, found.identity) == ("mine", "CN=them signed by notation")


def scanner(report=None, *, version="1.0", database=None, sbom=None, options=None):
    given = SimpleNamespace(
        version=version,
        database=database or Database(identity="list"),
        scan=lambda *_, **__: report,
        make_sbom=lambda *_: sbom,
    )
    return OwnScanner(scanner=given, name="mine", package="p 1.0", options=options or {})


def test_a_verdict_is_bound_to_name_version_package_and_options():
    assert scanner(version="trivy 0.72.0").version == "mine trivy 0.72.0, of p 1.0"
    versions = {scanner(options=each).version for each in ({}, {"a": 1}, {"a": 2})}
    assert len(versions) == 3


@pytest.mark.parametrize(
    "told",
    [
        {"version": ""},
        {"version": 3},
        {"version": "1\n2"},
        {"database": "list"},
        {"database": Database(identity="")},
        {"database": Database(identity="a\x1b[31m")},
    ],
    ids=str,
)
def test_a_scanner_that_does_not_tell_what_it_is_is_refused(told):
    with pytest.raises(PartError, match=r"'mine' of p 1\.0 does not tell"):
        scanner(**told)
    given = SimpleNamespace(**({"version": "1.0", "database": Database(identity="list")} | told))
    handed = HandedScanner(given)
    with pytest.raises(PartError, match="handed in does not tell"):
        _ = (handed.version, handed.database)


@pytest.mark.parametrize(
    "report",
    [
        None,
        "clean",
        {"Results": [{"Vulnerabilities": [{"Severity": "critical"}]}]},
        {"Results": [{"Secrets": [{}]}]},
        {"Results": ["none"]},
    ],
    ids=str,
)
def test_a_report_that_is_not_understood_is_never_clean(ref, report):
    with pytest.raises(GateError, match="does not pass"):
        scanner(report).scan(ref, scanners=frozenset())
    with pytest.raises(GateError, match="no bill of materials"):
        scanner().make_sbom({}, "spdx")


FINDINGS = (
    Finding(
        kind="vulnerability",
        id="ACME-1",
        package="zlib",
        installed="1.3",
        fixed="1.4",
        severity="HIGH",
        layer="sha256:" + "b" * 64,
    ),
    Finding(kind="secret", id="key", package="/k.pem", installed="line 7", severity="HIGH"),
    Finding(kind="misconfiguration", id="root", package="/c", installed="", severity="LOW"),
)


def test_a_report_made_of_values_is_judged_as_trivys(ref, now):
    zlib = Package(name="zlib", version="1.3", purl="pkg:deb/zlib", licences=("Zlib",))
    layers = ("sha256:" + "b" * 64,)
    report = ScanReport(packages=(zlib,), findings=FINDINGS, system="debian 12", layers=layers)
    verdict = evaluate(
        report.document(ref),
        policy=ScanConfig(),
        ref=ref,
        now=now,
        database=Database(identity="list"),
    )
    assert verdict.failing == FINDINGS[1:2] + FINDINGS[:1]
    assert verdict.tolerated == FINDINGS[2:]
    assert verdict.problems == ()
    assert verdict.licences == {"Zlib": 1}


def test_what_nothing_is_known_of_does_not_pass(ref, now):
    database = Database(identity="list")
    for report, told in (
        (ScanReport(), "nothing in this image is known"),
        (ScanReport(system="debian 12"), "debian 12 lists no package"),
        (ScanReport(system="debian 8", end_of_life=True), "debian 8 is past its end of life"),
    ):
        document = report.document(ref)
        verdict = evaluate(document, policy=ScanConfig(), ref=ref, now=now, database=database)
        assert not verdict.passed
        assert any(told in problem for problem in verdict.problems)


@pytest.mark.parametrize("changed", [{"severity": "high"}, {"kind": "bug"}], ids=str)
def test_a_finding_that_would_count_as_none_is_a_defect(ref, changed):
    given = {"kind": "secret", "id": "key", "package": "/k", "installed": "", "severity": "HIGH"}
    with pytest.raises(ValueError, match="key: "):
        ScanReport(findings=(Finding(**given | changed),)).document(ref)


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
def test_a_bill_of_materials_is_made_of_a_report_the_same_each_time(ref, form):
    packages = (
        Package(name="zlib", version="1.3", purl="pkg:deb/zlib"),
        Package(name="a", version=""),
    )
    report = ScanReport(packages=packages).document(ref)
    made = sbom_of_report(report, form)
    assert made == sbom_of_report(report, form)
    assert "pkg:deb/zlib" in str(made)
    assert "zlib" in {each["name"] for each in made["components" if form != "spdx" else "packages"]}


def test_what_is_kept_beside_an_image_is_found_there_and_damage_hides_nothing():
    registry = MemoryRegistry()
    image, other = push_sample(registry, "web"), push_sample(registry, "api")
    attach(registry, image, "application/vnd.acme.note", b"one")
    attach(registry, image, "application/vnd.acme.note", b"one")
    lost = attach(registry, image, "application/vnd.acme.note", b"two")
    assert attached(registry, other, "application/vnd.acme.note") == ()
    assert sorted(attached(registry, image, "application/vnd.acme.note")) == [b"one", b"two"]
    registry.delete("web", registry.manifest("web", lost.digest).layers[0].digest)
    registry.delete("web", lost.digest)
    assert attached(registry, image, "application/vnd.acme.note") == (b"one",)
