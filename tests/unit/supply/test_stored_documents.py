"""Whatever a registry or a file has in place of a document of ours, it is an error of ours."""

from __future__ import annotations

import contextlib
import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksci.core.errors import AksciError, ConfigError, DamagedInRegistry
from aksci.core.git import Tracked
from aksci.core.strict_json import parse_json
from aksci.core.work_folder import WorkFolder
from aksci.images.build.build_record import read_build_record
from aksci.images.lineage import ARTIFACT_TYPE, Lineage, load_lineage, read_files
from aksci.oci.artifact import Content, canonical_json, find_artifacts, push_artifact
from aksci.supply.release.make_release import RELEASE_TYPE, load_release
from aksci.supply.release.release import release_repository
from aksci.supply.release.release_evidence import load_evidence, release_verdicts
from aksci.supply.release.release_file import read_release_file
from aksci.supply.scan.knowledge import KnowledgeFile, _read_epss, _read_kev
from aksci.supply.scan.scan_evidence import REPORT_TYPE, load_packages
from aksci.supply.scan.stored_verdict import VERDICT_TYPE, read_verdict
from aksci.supply.scan.verdict import SEVERITIES, Verdict
from aksci.supply.scan.vex import read_vex
from aksci.testing.memory_registry import MemoryRegistry

REPOSITORY = "shop/app"
# Written as text: Python could write neither of them from a value.
ODD = {
    "brackets": "[" * 100_000,
    "deep": "[" * 199 + "]" * 199,
    "objects": '{"a":' * 150 + "1" + "}" * 150,
    "digits": "1" * 5000,
    "infinite": "1e999999",
    "no number": "NaN",
    "a key twice": '{"a":1,"a":2}',
    "half a pair": '"\\ud800"',
    "cut off": '{"a":',
    "many": "[" + "[]," * 2_100_000 + "1]",
}
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def registry():
    return MemoryRegistry()


@pytest.fixture(scope="module")
def image(registry):
    return push_artifact(registry, REPOSITORY, artifact_type="x/y")


@pytest.fixture(scope="module")
def verdict(image):
    return Verdict(
        image=image,
        passed=True,
        problems=(),
        notes=(),
        counts=dict.fromkeys(SEVERITIES, 0),
        failing=(),
        ignored=(),
        scanner="trivy 0.72.0",
        database="public@x",
        test_database=False,
        policy="sha256:" + "c" * 64,
    )


@pytest.fixture(scope="module")
def documents(image, verdict):
    """A good document of each kind, in which one value after the other is replaced."""
    release = {
        "schema": 2,
        "project": "shop",
        "source": "",
        "commit": "",
        "images": {
            "app": {
                "image": f"{REPOSITORY}@{image.digest}",
                "inputKey": "k",
                "verdict": image.digest,
                "policy": image.digest,
                "database": "d",
                "bases": [],
            }
        },
        "services": {},
    }
    finding = {
        "VulnerabilityID": "CVE-2026-1",
        "PkgName": "a",
        "PkgIdentifier": {"PURL": "pkg:deb/debian/a@1"},
        "Severity": "HIGH",
    }
    package = {"Name": "a", "Version": "1", "Identifier": {"PURL": "x"}, "Licenses": ["MIT"]}
    return {
        "verdict": verdict.document(),
        "release": release,
        "report": {
            "ArtifactName": f"x/{REPOSITORY}@{image.digest}",
            "Results": [{"Packages": [package], "Vulnerabilities": [finding]}],
        },
        "lineage": {
            "schema": 1,
            "image": "app",
            "keySchema": 1,
            "inputKey": "k",
            "source": {"args": {}},
            "parents": {},
            "revision": "",
            "run": "",
            "edges": {},
            "steps": [["RUN", "a" * 16, 1, 2]],
        },
        "files": {"schema": 1, "files": {"a": "b"}},
        "kev": {"vulnerabilities": [{"cveID": "CVE-2026-1234"}]},
        "vex": {
            "@context": "https://openvex.dev/ns/v0.2.0",
            "author": "kim",
            "timestamp": "2026-01-01T00:00:00Z",
            "statements": [
                {
                    "vulnerability": {"name": "CVE-2026-1234"},
                    "products": [{"@id": "pkg:deb/debian/a"}],
                    "status": "not_affected",
                    "impact_statement": "no",
                }
            ],
        },
        "release file": {"schema": 1, "ref": f"x/{REPOSITORY}@{image.digest}"},
        "build file": {
            "schema": 1,
            "images": {},
            "commit": "",
            "run": "",
            "environment": "local",
        },
    }


@pytest.fixture(scope="module")
def readers(registry, image, verdict, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")

    def stored(kind, content, packed=False):
        layer = gzip.compress(content) if packed else content
        return push_artifact(
            registry,
            REPOSITORY,
            artifact_type=kind,
            layers=[Content(media_type=kind, content=layer)],
            subject=image,
        )

    def release(content):
        repository = release_repository("shop")
        layers = [Content(media_type=RELEASE_TYPE, content=content)]
        ref = push_artifact(registry, repository, artifact_type=RELEASE_TYPE, layers=layers)
        found = load_release(registry, ref)
        release_verdicts(registry, found)
        load_evidence(registry, found)

    def report(content):
        digest = stored(REPORT_TYPE, content, packed=True).digest
        load_packages(registry, replace(verdict, reports=(digest,)))

    def lineage(content):
        ref = stored(ARTIFACT_TYPE, content)
        (record,) = [
            one
            for one in find_artifacts(registry, image, ARTIFACT_TYPE)
            if one.digest == ref.digest
        ]
        load_lineage(registry, REPOSITORY, record)

    def files(content):
        known = registry.put_blob(REPOSITORY, gzip.compress(content))
        record = Lineage(
            image="app", key_schema=1, input_key="", source={}, parents={}, revision="",
            file_list=known,
        )  # fmt: skip
        read_files(registry, REPOSITORY, record)

    def file(name, read):
        def from_file(content):
            (folder / name).write_bytes(content)
            read(WorkFolder(folder, tracked=Tracked))

        return from_file

    def knowledge(read):
        return lambda content: KnowledgeFile(
            key="scan.x", path=Path("x.json"), content=content
        ).read(read)

    return {
        "verdict": lambda content: read_verdict(
            registry, image, stored(VERDICT_TYPE, content).digest
        ),
        "release": release,
        "report": report,
        "lineage": lineage,
        "files": files,
        "kev": knowledge(_read_kev),
        "vex": knowledge(read_vex),
        "release file": file("release.json", read_release_file),
        "build file": file("build.json", read_build_record),
    }


def places(document, above=()):
    yield above
    inner = document.items() if isinstance(document, dict) else ()
    inner = enumerate(document) if isinstance(document, list) else inner
    for key, value in list(inner):
        yield from places(value, (*above, key))


def with_value(document, place, text):
    """Return JSON with a text of JSON in the place of one value."""
    if not place:
        return text.encode("utf-8", "surrogatepass")
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = "@here@"
    return canonical_json(copy).replace(b'"@here@"', text.encode("utf-8", "surrogatepass"))


KINDS = (
    "verdict", "release", "report", "lineage", "files", "kev", "vex", "release file", "build file",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_document_is_read(kind, documents, readers):
    readers[kind](canonical_json(documents[kind]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", [name for name in ODD if name != "many"])
def test_an_odd_value_in_any_place_is_read_or_an_error_of_ours(kind, odd, documents, readers):
    for place in places(documents[kind]):
        with contextlib.suppress(AksciError):
            readers[kind](with_value(documents[kind], place, ODD[odd]))


@pytest.mark.parametrize("kind", KINDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_an_error_of_ours(kind, documents, readers, data):
    place = data.draw(st.sampled_from(list(places(documents[kind]))))
    value = json.dumps(data.draw(ANY), ensure_ascii=data.draw(st.booleans()))
    with contextlib.suppress(AksciError):
        readers[kind](with_value(documents[kind], place, value))


@pytest.mark.parametrize("kind", KINDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=64) | st.text(max_size=40).map(lambda one: one.encode()))
def test_any_bytes_are_read_or_an_error_of_ours(kind, readers, content):
    with contextlib.suppress(AksciError):
        readers[kind](content)


def test_a_release_that_names_a_damaged_verdict_is_told_of_without_it(
    registry, image, documents, readers
):
    """The whole way: the verdict's content, its manifest, and the report that it names."""
    kinds = (VERDICT_TYPE, REPORT_TYPE)
    for text in ODD.values():
        for kind in kinds:
            layers = [Content(media_type=kind, content=text.encode())]
            bad = push_artifact(
                registry, REPOSITORY, artifact_type=kind, layers=layers, subject=image
            )
            with pytest.raises(DamagedInRegistry):
                read_verdict(registry, image, bad.digest)
            document = documents["release"]
            document["images"]["app"]["verdict"] = bad.digest
            readers["release"](canonical_json(document))


def test_a_damaged_file_of_scores_is_an_error_that_names_it():
    for content in (b"", b"\xff", b"cve,epss\n" + b"a," * 70_000, b'cve,epss\n"' + b"a" * 200_000):
        with pytest.raises(ConfigError, match=r"x\.csv \(scan\.epss\) can't be read"):
            KnowledgeFile(key="scan.epss", path=Path("x.csv"), content=content).read(_read_epss)


@pytest.mark.parametrize("odd", ["many", "brackets", "digits", "infinite", "a key twice"])
def test_json_that_costs_too_much_or_can_be_read_in_two_ways_is_refused(odd):
    with pytest.raises(ValueError, match=r"."):
        parse_json(ODD[odd])
