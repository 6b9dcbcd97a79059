"""What a scan finds beside vulnerabilities, what it stores, and who is trusted."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
import time
import uuid
from dataclasses import replace

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.core.errors import AksciError, ConfigError, GateError
from aksci.oci.artifact import Content, canonical_json, push_artifact, push_image
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers
from aksci.supply.scan.gate import hash_policy
from aksci.supply.scan.sbom import SBOM_TYPES
from aksci.supply.scan.scan_evidence import REPORT_TYPE, Package, load_packages, load_report
from aksci.supply.scan.scan_images import scan_image, scan_images, verdict_tag
from aksci.supply.scan.stored_verdict import VERDICT_TYPE
from aksci.supply.scan.trivy import hold_cache_folder
from aksci.supply.scan.verdict import Verdict

POLICY = ScanConfig()
REPOSITORY = "supply-test/evidence"
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def scan(scanner, registry, notes, session_now):
    def run(ref, policy=POLICY, trusted=lambda _: True, **more):
        return scan_image(
            ref,
            scanner=scanner,
            policy=policy,
            registry=registry,
            reporter=notes,
            now=session_now,
            trusted=trusted,
            **more,
        )

    return run


@pytest.fixture
def make_layers(registry, tmp_path):
    """Push an image of several layers, lowest first."""

    def make(*layers, architecture="amd64", env=()):
        tars = []
        for files in layers:
            tar = tmp_path / f"{uuid.uuid4().hex}.tar"
            with tarfile.open(tar, "w") as archive:
                for path, text in files.items():
                    entry = tarfile.TarInfo(path)
                    entry.size = len(text.encode())
                    archive.addfile(entry, io.BytesIO(text.encode()))
            tars.append(tar)
        settings = {"Labels": {"test": uuid.uuid4().hex}, "User": "root", "Env": list(env)}
        config = {"architecture": architecture, "os": "linux", "config": settings}
        return push_image(registry, REPOSITORY, "latest", layers=tars, config=config)

    return make


@pytest.fixture
def make_index(registry):
    def make(**images):
        entries = []
        for architecture, ref in images.items():
            manifest = registry.manifest(ref.repository, ref.digest)
            entries.append(
                {
                    "mediaType": manifest.media_type,
                    "digest": manifest.digest,
                    "size": len(manifest.content),
                    "platform": {"os": "linux", "architecture": architecture},
                }
            )
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        digest = registry.put_manifest(REPOSITORY, json.dumps(index).encode(), INDEX)
        return ImageRef(registry.host, REPOSITORY, digest)

    return make


def origins(verdict):
    return {finding.id: finding.origin for finding in verdict.failing}


def blob(registry, descriptor):
    manifest = json.loads(registry.manifest(REPOSITORY, descriptor["digest"]).content)
    return manifest, registry.blob(REPOSITORY, manifest["layers"][0]["digest"])


def test_misconfigurations_of_image_and_files_fail_when_the_policy_asks(scan, files, make_layers):
    image = make_layers(files.clean | {"app/Dockerfile": "FROM debian:12\nUSER root\n"})
    assert scan(image).passed
    failing = scan(image, ScanConfig(misconfigurations=("HIGH",))).failing
    found = {(one.kind, one.id, one.package) for one in failing}
    assert found == {
        ("misconfiguration", "DS-0002", "app/Dockerfile"),
        ("misconfiguration", "DS-0002", "image configuration"),
    }


def test_a_secret_in_the_images_variables_fails_and_is_stored_nowhere(
    scan, files, make_layers, registry
):
    token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    verdict = scan(make_layers(files.clean, env=[f"TOKEN={token}"]))
    (finding,) = verdict.failing
    assert (finding.id, finding.package) == ("github-pat", "image configuration")
    for entry in list_referrers(registry, verdict.image):
        manifest, content = blob(registry, entry)
        text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        assert token.encode() not in text
        assert token not in json.dumps(manifest)


def test_packages_are_listed_with_versions_purls_and_licences(scan, files, make_layers, registry):
    licence = {"usr/lib/python3/dist-packages/requests-2.32.3.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: requests\nVersion: 2.32.3\nLicense: Apache-2.0\n"
    )}  # fmt: skip
    verdict = scan(make_layers(files.clean, licence))
    openssl, requests = load_packages(registry, verdict)
    assert (openssl.name, openssl.version) == ("openssl", "3.0.17-1~deb12u3")
    assert openssl.purl.startswith("pkg:deb/debian/openssl@3.0.17-1~deb12u3")
    assert requests == Package(
        name="requests",
        version="2.32.3",
        purl="pkg:pypi/requests@2.32.3",
        licences=("Apache-2.0",),
    )


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
def test_a_bill_of_materials_is_stored_once_and_is_the_same_every_time(
    scan, files, make_layers, registry, notes, form
):
    image = make_layers(files.clean, files.wheel("requests", "2.19.1"))  # it has findings
    policy = ScanConfig(sbom=form, severities=())
    first = scan(image, policy)
    time.sleep(1.1)  # the formats tell seconds
    again = scan(image, policy, trusted=None)
    assert first == again
    assert len(notes.lines) == 3
    (entry,) = list_referrers(registry, image, artifact_type=SBOM_TYPES[form])
    _, content = blob(registry, entry)
    document = json.loads(content)
    if form == "cyclonedx":
        assert document["bomFormat"] == "CycloneDX"
        assert "vulnerabilities" not in document
        references = {one["bom-ref"] for one in document["components"]}
        named = {to for one in document["dependencies"] for to in one["dependsOn"]}
        assert named <= references
        assert {one["name"] for one in document["components"]} >= {"openssl", "requests"}
    else:
        assert document["spdxVersion"] == "SPDX-2.3"
        assert {one["name"] for one in document["packages"]} >= {"openssl", "requests"}
    assert len(list_referrers(registry, image, artifact_type=REPORT_TYPE)) == 1
    assert len(list_referrers(registry, image, artifact_type=VERDICT_TYPE)) == 1


def test_findings_are_split_into_the_bases_and_our_own(scan, files, make_layers, make_index):
    low, high = files.package("openssl", "3.0.11-1~deb12u1"), files.wheel("requests", "2.19.1")
    base, image = make_layers(low), make_layers(low, high)
    expected = {"CVE-2024-5535": "base", "CVE-2018-18074": "own"}
    assert origins(scan(image, base=base)) == expected
    assert origins(scan(image)) == dict.fromkeys(expected, "")
    other = make_layers(files.clean, architecture="arm64")
    assert origins(scan(image, base=make_index(arm64=other, amd64=base))) == expected
    stranger = make_layers(files.clean)
    assert origins(scan(image, base=stranger)) == dict.fromkeys(expected, "own")


def test_another_base_makes_another_verdict_and_a_lost_base_is_said(
    scan, files, make_layers, registry, notes
):
    image, base = make_layers(files.package("openssl", "3.0.11-1~deb12u1")), make_layers({"a": "b"})
    gone = ImageRef(registry.host, REPOSITORY, "sha256:" + "0" * 64)
    verdicts = [scan(image), scan(image, base=base), scan(image, base=gone)]
    assert len({verdict.stored for verdict in verdicts}) == 3
    assert [verdict.failing[0].origin for verdict in verdicts] == ["", "own", ""]
    assert any("can't be read" in line for line in notes.lines)


def test_each_platform_has_a_report_of_its_own(scan, files, make_layers, make_index, registry):
    first = make_layers(files.wheel("requests", "2.32.3") | files.clean)
    second = make_layers(files.wheel("flask", "3.0.3") | files.clean, architecture="arm64")
    verdict = scan(make_index(amd64=first, arm64=second))
    assert len(verdict.reports) == 2
    assert {one.name for one in load_packages(registry, verdict)} == {
        "flask",
        "openssl",
        "requests",
    }


def test_a_passing_verdict_that_nobody_vouches_for_is_scanned_again(
    scan, files, make_layers, registry, scanner, notes, session_now
):
    image = make_layers(files.package("openssl", "3.0.11-1~deb12u1"))
    policy = hash_policy(POLICY, session_now)
    planted = Verdict(
        image=image,
        passed=True,
        problems=(),
        notes=(),
        counts=dict.fromkeys(("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN"), 0),
        failing=(),
        ignored=(),
        scanner=scanner.version,
        database=scanner.database.identity,
        test_database=True,
        policy=policy,
    )
    layer = Content(media_type=VERDICT_TYPE, content=canonical_json(planted.document()))
    tag = verdict_tag(image, scanner=scanner, policy=policy)
    planted_at = push_artifact(
        registry, REPOSITORY, artifact_type=VERDICT_TYPE, layers=[layer], subject=image, tag=tag
    )
    assert scan(image).passed, "the trap does not work any more"
    asked = []
    verdict = scan(image, trusted=lambda one: bool(asked.append(one.stored)))
    assert not verdict.passed
    assert asked == [planted_at]
    assert any("is not trusted: scanning again" in line for line in notes.lines)
    notes.lines.clear()
    assert scan(image, trusted=lambda _: True) == verdict
    assert notes.lines == []


def test_without_anybody_to_vouch_every_passing_image_is_scanned_again_with_the_same_result(
    scan, files, make_layers, notes
):
    image = make_layers(files.clean)
    first, second = scan(image, trusted=None), scan(image, trusted=None)
    assert first.stored == second.stored
    assert [line.partition(" ")[0] for line in notes.lines] == ["scanning", "the", "scanning"]


class Tampering:
    """A registry that answers with other bytes than it was asked for."""

    def __init__(self, registry, **answers):
        self._registry = registry
        self._answers = answers

    def __getattr__(self, name):
        method = getattr(self._registry, name)
        change = self._answers.get(name)
        return method if change is None else lambda *words: change(method(*words))


def test_a_report_that_was_tampered_with_or_planted_is_refused(scan, files, make_layers, registry):
    verdict = scan(make_layers(files.clean))
    other = scan(make_layers(files.clean | files.wheel("flask", "3.0.3")))
    empty = gzip.compress(b'{"Results": []}')
    with pytest.raises(GateError, match="is not used: its content is not sha256:"):
        load_packages(Tampering(registry, blob=lambda _: empty), verdict)
    with pytest.raises(GateError, match="does not name the report"):
        load_report(registry, verdict, other.reports[0])
    planted = push_artifact(
        registry,
        REPOSITORY,
        artifact_type=REPORT_TYPE,
        layers=[Content(media_type="x/y", content=empty)],
        subject=verdict.image,
    )
    assert load_packages(registry, verdict)[0].name == "openssl"
    with pytest.raises(GateError, match="is not used"):
        load_packages(registry, replace(verdict, reports=(planted.digest,)))
    gone = replace(verdict, reports=("sha256:" + "0" * 64,))
    with pytest.raises(AksciError, match="not in the registry any more"):
        load_packages(registry, gone)


def test_a_hostile_platform_in_an_index_reaches_no_ci_system(
    scan, files, make_layers, make_index, registry
):
    image = make_layers(files.package("openssl", "3.0.11-1~deb12u1"))
    index = make_index(**{"##vso[task.complete result=Succeeded]\nx": image})
    (finding,) = scan(index).failing
    assert finding.platform == "linux/# #vso[task.complete result=Succeeded] x"


def test_a_hundred_remembered_verdicts_are_read_without_trivy(
    scan, files, make_layers, registry, scanner, notes, session_now
):
    image = make_layers(files.clean | files.wheel("requests", "2.19.1"))
    scan(image)
    notes.lines.clear()
    start = time.monotonic()
    verdicts = scan_images(
        {f"image-{n}": image for n in range(100)},
        scanner=replace(scanner, trivy=scanner.trivy.with_name("none")),
        policy=POLICY,
        registry=registry,
        reporter=notes,
        now=session_now,
        trusted=lambda _: True,  # it fails, so that only our own run's word makes it count
    )
    assert len(verdicts) == 100
    assert notes.lines == []
    assert time.monotonic() - start < 5


def test_six_images_are_scanned_in_separate_caches_at_the_same_time(
    scanner, files, make_layers, registry, notes, session_now
):
    refs = {
        f"image-{n}": make_layers(files.clean | files.wheel("requests", f"2.{18 + n}.0"))
        for n in range(6)
    }
    verdicts = scan_images(
        refs, scanner=scanner, policy=POLICY, registry=registry, reporter=notes, now=session_now
    )
    # CVE-2018-18074 is fixed in 2.20.0.
    assert [name for name, one in verdicts.items() if not one.passed] == ["image-0", "image-1"]
    assert {path.name for path in scanner.cache.iterdir()} == {"slot-0", "slot-1"}


def test_a_cache_serves_one_scan_at_a_time_and_the_next_one_waits(tmp_path):
    taken, free = [], threading.Event()

    def wait():
        with hold_cache_folder(tmp_path / "cache", 2, tmp_path / "other") as folder:
            taken.append(folder.name)
            free.set()

    with hold_cache_folder(tmp_path / "cache", 2, tmp_path) as first:
        with hold_cache_folder(tmp_path / "cache", 2, tmp_path) as second:
            assert {first.name, second.name} == {"slot-0", "slot-1"}
            thread = threading.Thread(target=wait)
            thread.start()
            assert not free.wait(0.3)
        assert free.wait(5)
        thread.join()
    assert taken == ["slot-1"]
    assert (second / "db").readlink() == tmp_path / "other" / "db"


def test_the_policys_files_are_read_from_the_project_and_a_purl_of_everything_is_refused(
    scan, files, make_layers, tmp_path
):
    image = make_layers(files.package("openssl", "3.0.11-1~deb12u1"))
    statement = {
        "vulnerability": {"name": "CVE-2024-5535"},
        "products": [{"@id": "pkg:deb/debian/openssl@3.0.11-1~deb12u1"}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_present",
    }
    (tmp_path / "vex.json").write_text(
        json.dumps(
            {
                "@context": "https://openvex.dev/ns/v0.2.0",
                "author": "kim",
                "timestamp": "2026-11-01T00:00:00Z",
                "statements": [statement],
            }
        )
    )
    policy = ScanConfig(vex=("vex.json",))
    assert scan(image, policy, root=tmp_path).passed
    assert not scan(image).passed
    (tmp_path / "vex.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"vex.json \(scan.vex\)"):
        scan(image, policy, root=tmp_path)
