"""The scan gate with the real Trivy, the real registry and a small genuine database."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.core.errors import GateError
from aksci.core.process import Runner
from aksci.oci.artifact import Content, push_artifact
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers
from aksci.supply.scan.database import DatabaseSource, ensure_database, make_database
from aksci.supply.scan.gate import hash_policy
from aksci.supply.scan.make_scanner import make_scanner
from aksci.supply.scan.scan_evidence import load_packages
from aksci.supply.scan.scan_images import scan_image, scan_images, verdict_tag
from aksci.supply.scan.stored_verdict import VERDICT_TYPE
from aksci.supply.scan.trivy import TrivyScanner, hold_cache_folder

POLICY = ScanConfig()
ATTESTED = {"vnd.docker.reference.type": "attestation-manifest"}
WEEK = dt.timedelta(hours=168)


class Counting:
    """A scanner that counts what it passes on."""

    def __init__(self, scanner):
        self._scanner = scanner
        self.version = scanner.version
        self.database = scanner.database
        self.scans = []

    def scan(self, ref, *, scanners):
        self.scans.append(ref)
        return self._scanner.scan(ref, scanners=scanners)

    def make_sbom(self, report, form):
        return self._scanner.make_sbom(report, form)


@pytest.fixture
def counting(scanner):
    return Counting(scanner)


@pytest.fixture
def scan(counting, registry, notes, session_now):
    def run(ref, policy=POLICY, scanner=counting, trusted=lambda _: True, **more):
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


def ids(verdict):
    return [finding.id for finding in verdict.failing]


def test_an_image_with_current_packages_passes(scan, files, make_image):
    verdict = scan(make_image(files.clean | files.wheel("requests", "2.32.3")))
    assert verdict.passed
    assert verdict.test_database


def test_an_old_python_package_fails(scan, files, make_image):
    verdict = scan(make_image(files.clean | files.wheel("requests", "2.19.1")))
    assert ids(verdict) == ["CVE-2018-18074"]
    assert verdict.counts["MEDIUM"] == 1


def test_an_old_debian_package_fails(scan, files, make_image):
    assert ids(scan(make_image(files.package("openssl", "3.0.11-1~deb12u1")))) == ["CVE-2024-5535"]


def test_a_debian_finding_without_a_fix_is_counted_only(scan, files, make_image):
    verdict = scan(make_image(files.package("zlib", "1:1.2.13.dfsg-1")))
    assert verdict.passed
    assert verdict.counts["CRITICAL"] == 1


def test_a_secret_in_a_layer_fails(scan, files, make_image):
    image = make_image(
        files.clean | {"app/.env": "TOKEN=ghp_abcdefghijklmnopqrstuvwxyz0123456789\n"}
    )
    assert ids(scan(image)) == ["github-pat"]


def test_a_system_without_its_list_of_packages_fails(scan, files, make_image):
    image = files.package("openssl", "3.0.11-1~deb12u1") | files.wheel("requests", "2.32.3")
    del image["var/lib/dpkg/status"]
    assert "lists no package" in scan(make_image(image)).problems[0]


def test_an_end_of_life_system_fails(scan, files, make_image):
    image = make_image(
        files.package("bash", "4.3-11")
        | {"etc/os-release": 'ID=debian\nVERSION_ID="8"\n', "etc/debian_version": "8.11\n"}
    )
    assert "end of life" in scan(image).problems[0]


def test_files_and_variables_of_a_pull_request_cannot_silence_the_gate(
    files, make_image, scanner, scan, trivy, runner, tmp_path, monkeypatch
):
    image = make_image(files.clean | files.wheel("requests", "2.19.1"))
    (tmp_path / ".trivyignore").write_text("CVE-2018-18074\n")
    (tmp_path / "trivy.yaml").write_text("severity: [LOW]\n")
    monkeypatch.chdir(tmp_path)
    hostile = Runner(
        environment={**runner.environment, "TRIVY_SEVERITY": "LOW", "TRIVY_SKIP_FILES": "**/*"},
        log=lambda _: None,
    )
    with hold_cache_folder(scanner.cache, 1, scanner.database.folder) as cache:
        naive = hostile.run(
            [trivy, "image", "-q", "-f", "json", "--image-src=remote", "--skip-db-update",
             "--offline-scan", f"--cache-dir={cache}", "--scanners=vuln", str(image)],
            cwd=tmp_path,
        )  # fmt: skip
    assert "CVE-2018-18074" not in naive.stdout, "the trap does not work any more"
    assert ids(scan(image, scanner=replace_runner(scanner, hostile))) == ["CVE-2018-18074"]


def replace_runner(scanner, runner):
    return TrivyScanner(
        trivy=scanner.trivy,
        cache=scanner.cache,
        registry=scanner.registry,
        runner=runner,
        database=scanner.database,
        release=scanner.release,
    )


def test_clean_and_failing_verdicts_are_remembered_in_the_registry(
    scan, counting, files, make_image, registry
):
    for image in (
        make_image(files.clean),
        make_image(files.package("openssl", "3.0.11-1~deb12u1")),
    ):
        counting.scans.clear()
        first, second = scan(image), scan(image)
        assert counting.scans == [image]
        assert first == second
        assert first.stored == second.stored
        (referrer,) = list_referrers(registry, image, artifact_type=VERDICT_TYPE)
        assert referrer["digest"] == first.stored.digest


def test_another_policy_database_or_scanner_scans_again(scan, counting, files, make_image):
    image = make_image(files.clean)
    scan(image)
    scan(image, ScanConfig(fixed_only=False))
    counting.version = "trivy 999"
    scan(image)
    counting.database = replace(counting.database, identity="other")
    scan(image)
    assert len(counting.scans) == 4


def test_a_damaged_or_foreign_verdict_is_replaced_by_a_new_scan(
    scan, counting, files, make_image, registry, notes, session_now
):
    image, other = make_image(files.package("openssl", "3.0.11-1~deb12u1")), make_image(files.clean)
    tag = verdict_tag(image, scanner=counting, policy=hash_policy(POLICY, session_now))
    good = registry.manifest(other.repository, scan(other).stored.digest)
    forged = json.loads(good.content)
    forged["subject"]["digest"] = image.digest
    for content in (
        good.content,  # a passing verdict on another image
        json.dumps(forged).encode(),  # the same, said to be on this one
        json.dumps(forged | {"annotations": {"dev.aksci.verdict": "{}"}}).encode(),
    ):
        registry.put_manifest(image.repository, content, good.media_type, tag=tag)
        notes.warnings.clear()
        assert not scan(image).passed
        assert "is damaged" in notes.warnings[0]
    push_artifact(registry, image.repository, artifact_type="text/plain", tag=tag)
    assert not scan(image).passed
    notes.warnings.clear()
    assert not scan(image).passed
    assert notes.warnings == []


def test_each_platform_of_an_index_is_scanned_and_attestations_are_not(
    scan, counting, files, make_image, registry
):
    good, bad = make_image(files.clean), make_image(files.package("openssl", "3.0.11-1~deb12u1"))
    entries = []
    for ref, architecture in ((good, "amd64"), (bad, "arm64"), (good, "unknown")):
        manifest = registry.manifest(ref.repository, ref.digest)
        system = "unknown" if architecture == "unknown" else "linux"
        entries.append(
            {
                "mediaType": manifest.media_type,
                "digest": manifest.digest,
                "size": len(manifest.content),
                "platform": {"os": system, "architecture": architecture},
                "annotations": ATTESTED if system == "unknown" else {},
            }
        )
    media_type = "application/vnd.oci.image.index.v1+json"
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    digest = registry.put_manifest(good.repository, json.dumps(index).encode(), media_type)
    verdict = scan(ImageRef(registry.host, good.repository, digest))
    assert counting.scans == [good, bad]
    (finding,) = verdict.failing
    assert finding.platform == "linux/arm64"


def test_an_index_in_an_index_does_not_pass_whatever_it_holds(scan, files, make_image, registry):
    """Trivy would scan the one image in it that is for this machine's platform."""
    good, bad = make_image(files.clean), make_image(files.package("openssl", "3.0.11-1~deb12u1"))
    media_type = "application/vnd.oci.image.index.v1+json"

    def put(**digests):
        entries = []
        for architecture, digest in digests.items():
            found = registry.manifest(good.repository, digest)
            entries.append(
                {
                    "mediaType": found.media_type,
                    "digest": digest,
                    "size": len(found.content),
                    "platform": {"os": "linux", "architecture": architecture},
                }
            )
        index = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
        return registry.put_manifest(good.repository, json.dumps(index).encode(), media_type)

    inner = put(amd64=good.digest, arm64=bad.digest)
    with pytest.raises(GateError, match="lists another index"):
        scan(ImageRef(registry.host, good.repository, put(amd64=inner)))


def test_an_index_is_one_whatever_the_registry_calls_it(
    scan, counting, files, make_image, registry, monkeypatch
):
    good, bad = make_image(files.clean), make_image(files.package("openssl", "3.0.11-1~deb12u1"))
    entries = [
        {
            "mediaType": (found := registry.manifest(ref.repository, ref.digest)).media_type,
            "digest": ref.digest,
            "size": len(found.content),
            "platform": {"os": "linux", "architecture": architecture},
        }
        for ref, architecture in ((good, "amd64"), (bad, "arm64"))
    ]
    media_type = "application/vnd.oci.image.index.v1+json"
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    digest = registry.put_manifest(good.repository, json.dumps(index).encode(), media_type)
    ask = registry.manifest

    def manifest(repository, reference):
        found = ask(repository, reference)
        return replace(found, media_type="text/plain") if reference == digest else found

    monkeypatch.setattr(registry, "manifest", manifest)
    assert not scan(ImageRef(registry.host, good.repository, digest)).passed
    assert counting.scans == [good, bad]


def test_many_images_are_scanned_from_many_threads(
    counting, files, make_image, registry, notes, session_now
):
    refs = {f"image-{number}": make_image(files.clean) for number in range(8)}
    verdicts = scan_images(
        refs, scanner=counting, policy=POLICY, registry=registry, reporter=notes, now=session_now
    )
    assert {name: verdict.image for name, verdict in verdicts.items()} == refs
    assert all(verdict.passed for verdict in verdicts.values())


def test_what_cannot_be_scanned_does_not_pass(
    scanner, files, make_image, registry, tmp_path, trivydb, runner
):
    image = make_image(files.clean)
    gone = ImageRef(image.registry, image.repository, "sha256:" + "0" * 64)
    with pytest.raises(GateError, match="could not be scanned, so it does not pass"):
        scanner.scan(gone, scanners=frozenset({"vuln"}))
    folder = make_database(trivydb, tmp_path / "torn", scanner.database.updated_at, runner=runner)
    (folder / "db" / "trivy.db").write_bytes((folder / "db" / "trivy.db").read_bytes()[:9000])
    torn = TrivyScanner(
        trivy=scanner.trivy,
        cache=tmp_path / "torn-cache",
        registry=registry,
        runner=runner,
        database=replace(scanner.database, folder=folder),
        release="0",
    )
    with pytest.raises(GateError, match="could not be scanned, so it does not pass"):
        torn.scan(image, scanners=frozenset({"vuln"}))


def test_an_index_that_can_be_read_in_two_ways_does_not_pass(scan, files, make_image, registry):
    good, bad = make_image(files.clean), make_image(files.package("openssl", "3.0.11-1~deb12u1"))
    media_type = "application/vnd.oci.image.index.v1+json"
    entries = []
    for ref in (good, bad):
        size = len(registry.manifest(ref.repository, ref.digest).content)
        platform = {"os": "linux", "architecture": "amd64"}
        entries.append({"digest": ref.digest, "size": size, "platform": platform})
        entries[-1]["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries[:1]}
    content = json.dumps(index | {"Manifests": entries[1:]}).encode()
    digest = registry.put_manifest(good.repository, content, media_type)
    with pytest.raises(GateError, match="read in two ways"):
        scan(ImageRef(registry.host, good.repository, digest))


# Java


def jar(properties=""):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        if properties:
            archive.writestr("META-INF/maven/g/a/pom.properties", properties)
    return raw.getvalue()


def test_java_archives_are_listed_by_what_they_say(scan, files, make_image, registry):
    log4j = jar("groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n")
    verdict = scan(make_image(files.clean | {"app/a.jar": log4j, "app/unknown.jar": jar()}))
    names = [package.name for package in load_packages(registry, verdict)]
    assert "org.apache.logging.log4j:log4j-core" in names


def test_java_archives_without_an_index_do_not_pass_and_the_hint_says_what_to_do(
    scan, scanner, files, make_image, trivydb, runner, tmp_path
):
    folder = make_database(trivydb, tmp_path / "bare", scanner.database.updated_at, runner=runner)
    bare = replace(scanner, database=replace(scanner.database, folder=folder))
    with pytest.raises(GateError, match="could not be scanned") as caught:
        scan(make_image(files.clean | {"app/a.jar": jar()}), scanner=bare)
    assert "java = true" in caught.value.hint


# The database


@pytest.fixture
def ensure(trivy, trivydb, runner, notes, session_now, tmp_path):
    def run(kind, *, repository, now=session_now):
        return ensure_database(
            tmp_path / "cache",
            source=DatabaseSource(
                kind=kind,
                maker=lambda: trivydb,
                trivy=trivy,
                local=True,
                repositories=(repository,),
            ),
            max_age=WEEK,
            now=now,
            runner=runner,
            reporter=notes,
        )

    return run


def publish(registry, folder, tag):
    """Publish a database as Trivy's are published."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name in ("trivy.db", "metadata.json"):
            archive.add(folder / "db" / name, name)
    layer = Content(
        media_type="application/vnd.aquasec.trivy.db.layer.v1.tar+gzip",
        content=gzip.compress(raw.getvalue()),
    )
    layer = replace(layer, annotations={"org.opencontainers.image.title": "db.tar.gz"})
    pushed = push_artifact(
        registry,
        "supply-test/trivy-db",
        artifact_type="application/vnd.aquasec.trivy.config.v1+json",
        layers=[layer],
        tag=tag,
    )
    return f"{registry.host}/supply-test/trivy-db:{tag}", pushed.digest


def test_the_public_database_is_downloaded_and_kept_when_the_next_download_fails(
    ensure, registry, trivydb, runner, session_now, tmp_path, notes
):
    due = session_now - dt.timedelta(hours=48)
    folder = make_database(trivydb, tmp_path / "made", due, runner=runner)
    repository, _ = publish(registry, folder, "2")
    database = ensure("public", repository=repository)
    assert (database.name, database.test) == ("public", False)
    assert notes.warnings == []
    metadata = database.folder / "db" / "metadata.json"
    content = json.loads(metadata.read_text())
    metadata.write_text(json.dumps(content | {"DownloadedAt": "2020-01-01T00:00:00Z"}))
    again = ensure("public", repository=f"{registry.host}/supply-test/nothing:2")
    assert again.updated_at == database.updated_at
    assert "could not be refreshed" in notes.warnings[0]


def test_images_are_scanned_with_the_database_of_a_mirror_that_the_verdict_names(
    scan, files, make_image, registry, toolbox, trivydb, runner, session_now, tmp_path, notes
):
    folder = make_database(trivydb, tmp_path / "made", session_now, runner=runner)
    mirror, digest = publish(registry, folder, "mirrored")
    policy = ScanConfig(database=(f"{registry.host}/supply-test/nothing:2", mirror))
    scanner = make_scanner(
        policy,
        toolbox=toolbox,
        registry=registry,
        cache=tmp_path / "mirrored",
        local=False,
        now=session_now,
        runner=runner,
        reporter=notes,
        registries={registry.host: registry}.__getitem__,
    )
    old = make_image(files.package("openssl", "3.0.11-1~deb12u1"))
    verdict = scan(old, policy=policy, scanner=scanner)
    assert ids(verdict) == ["CVE-2024-5535"]
    assert verdict.database.startswith(f"{digest}@")
    assert scan(make_image(files.clean), policy=policy, scanner=scanner).passed
    assert not verdict.test_database


def test_without_any_database_nothing_passes(ensure, registry):
    with pytest.raises(GateError, match="could not be downloaded"):
        ensure("public", repository=f"{registry.host}/supply-test/nothing:2")


def test_auto_falls_back_to_the_small_database_and_says_so_loudly(ensure, registry, notes):
    database = ensure("auto", repository=f"{registry.host}/supply-test/nothing:2")
    assert database.test
    assert "could not be downloaded" in notes.warnings[0]
    assert "a pass is not a statement about their safety" in notes.warnings[1]


def test_the_small_database_is_made_once_a_day_by_any_number_at_once(ensure, session_now):
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: ensure("small", repository="-"), range(6)))
    assert len({database.folder for database in made}) == 1
    tomorrow = ensure("small", repository="-", now=session_now + dt.timedelta(days=1))
    assert tomorrow.folder != made[0].folder
