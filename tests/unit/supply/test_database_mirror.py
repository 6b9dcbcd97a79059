"""Trivy's database from registries that aksci.toml names."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import os
import tarfile

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.core.errors import GateError, RegistryError
from aksci.oci.artifact import Content, push_artifact
from aksci.oci.references import parse_reference
from aksci.supply.scan.database import DatabaseSource, ensure_database
from aksci.supply.scan.database_mirror import DATABASE, JAVA_INDEX
from aksci.supply.scan.gate import evaluate
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.no_programs import NoPrograms
from aksci.testing.reporter import RecordingReporter

HOUR = dt.timedelta(hours=1)
NAME = "aquasecurity/trivy-db"
FIRST, SECOND = f"first.test/{NAME}:2", f"second.test/{NAME}:2"
JAVA = "first.test/aquasecurity/trivy-java-db:1"


class Mirrors:
    """Two registries, and a scanner's cache."""

    def __init__(self, cache, now):
        self.cache, self.now = cache, now
        self.hosts = {host: MemoryRegistry(host) for host in ("first.test", "second.test")}
        self.reporter = RecordingReporter()

    def publish(self, mirror, *, age=HOUR, kind=DATABASE, version=2, content=b"bolt", **files):
        """Put a database there as Trivy's is; return its digest."""
        metadata = {"Version": version, "UpdatedAt": (self.now - age).isoformat()}
        given = {kind.files[0]: content, "metadata.json": json.dumps(metadata).encode(), **files}
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            for name, data in given.items():
                if data is not None:
                    entry = tarfile.TarInfo(name)
                    entry.size = len(data)
                    archive.addfile(entry, io.BytesIO(data))
        return self.push(mirror, gzip.compress(raw.getvalue(), mtime=0), kind.layer)

    def push(self, mirror, layer, media_type=DATABASE.layer):
        to = parse_reference(mirror)
        return push_artifact(
            self.hosts[to.registry],
            to.repository,
            artifact_type="application/vnd.aquasec.trivy.config.v1+json",
            layers=[Content(media_type=media_type, content=layer)],
            tag=to.tag,
        ).digest

    def ensure(self, *names, later=0 * HOUR, java=()):
        return ensure_database(
            self.cache,
            source=DatabaseSource(
                kind="mirror",
                maker=lambda: self.cache,
                trivy=self.cache / "trivy",
                local=False,
                java=bool(java),
                mirrors=tuple(parse_reference(name) for name in names),
                java_mirrors=tuple(parse_reference(name) for name in java),
                registries=self.hosts.__getitem__,
            ),
            max_age=168 * HOUR,
            now=self.now + later,
            runner=NoPrograms(),
            reporter=self.reporter,
        )

    def asked(self):
        return [host for host, registry in self.hosts.items() if registry.calls]

    def forget_calls(self):
        for registry in self.hosts.values():
            registry.calls.clear()


@pytest.fixture
def mirrors(tmp_path, now):
    return Mirrors(tmp_path / "cache", now)


def content(database):
    return (database.folder / "db" / "trivy.db").read_bytes()


def test_the_first_mirror_is_taken_and_the_second_not_asked(mirrors):
    mirrors.publish(FIRST, content=b"first")
    mirrors.publish(SECOND, content=b"second")
    mirrors.forget_calls()
    database = mirrors.ensure(FIRST, SECOND)
    assert (content(database), database.name, database.test) == (b"first", "mirrored", False)
    assert mirrors.asked() == ["first.test"]


def test_a_verdict_names_the_digest_of_the_artifact(mirrors, report, ref, now):
    digest = mirrors.publish(FIRST)
    database = mirrors.ensure(FIRST)
    verdict = evaluate(
        report,
        ref=ref,
        policy=ScanConfig(),
        database=database,
        scanner="Trivy 0.72.0",
        now=now,
    )
    assert verdict.database == f"{digest}@{(now - HOUR).isoformat()}"


def missing(mirrors):
    assert not mirrors.hosts["first.test"].tags(NAME)


def unreachable(mirrors):
    mirrors.hosts["first.test"].fail("*", RegistryError("first.test can't be reached."))


def too_old(mirrors):
    mirrors.publish(FIRST, age=169 * HOUR)


def of_another_schema(mirrors):
    mirrors.publish(FIRST, version=1)


def from_the_future(mirrors):
    mirrors.publish(FIRST, age=-1 * HOUR)


def without_metadata(mirrors):
    mirrors.publish(FIRST, **{"metadata.json": None})


def an_image(mirrors):
    mirrors.push(FIRST, b"layer", "application/vnd.oci.image.layer.v1.tar+gzip")


def a_java_index(mirrors):
    mirrors.publish(FIRST, kind=JAVA_INDEX)


def no_gzip(mirrors):
    mirrors.push(FIRST, b"<html>Sign in</html>")


def no_tar(mirrors):
    mirrors.push(FIRST, gzip.compress(b"a database"))


def _packed(mirrors):
    mirrors.publish(FIRST, content=os.urandom(5000))
    first = mirrors.hosts["first.test"]
    layer = first.manifest(NAME, "2").layers[0].digest
    return first, layer, first.blob(NAME, layer)


def cut_off(mirrors):
    _, _, packed = _packed(mirrors)
    mirrors.push(FIRST, packed[:-1000])


def mixed_with_other_bytes(mirrors):
    _, _, packed = _packed(mirrors)
    mirrors.push(FIRST, gzip.compress(gzip.decompress(packed)[:3000]) + b"<html>Sign in</html>")


def of_another_digest(mirrors):
    _, _, other = _packed(mirrors)
    first, layer, _ = _packed(mirrors)
    first.plant(NAME, other, digest=layer)


UNUSABLE = {
    missing: "not there",
    unreachable: "can't be reached",
    too_old: "169 hours old; the policy accepts 168",
    of_another_schema: "schema 1, not 2",
    from_the_future: "in the future",
    without_metadata: "it lacks metadata.json",
    an_image: "no vulnerability database of Trivy's",
    a_java_index: "no vulnerability database of Trivy's",
    no_gzip: "gzip",
    no_tar: "damaged",
    cut_off: "damaged",
    mixed_with_other_bytes: "gzipped",
    of_another_digest: "not what its digest says",
}


@pytest.mark.parametrize(("spoil", "words"), UNUSABLE.items())
def test_what_the_first_mirror_lacks_or_spoils_the_second_gives(mirrors, spoil, words):
    spoil(mirrors)
    with pytest.raises(GateError, match=words) as caught:
        mirrors.ensure(FIRST)
    assert FIRST in caught.value.message
    assert "oras cp ghcr.io/aquasecurity/trivy-db:2" in caught.value.hint
    mirrors.publish(SECOND, content=b"second")
    assert content(mirrors.ensure(FIRST, SECOND)) == b"second"
    (warning,) = mirrors.reporter.warnings
    assert f"passed over. {FIRST}: " in warning


def test_where_no_mirror_has_it_each_is_named_with_its_reason(mirrors):
    too_old(mirrors)
    with pytest.raises(GateError, match=r"(?s)first\.test.*169 hours.*second\.test.*not there"):
        mirrors.ensure(FIRST, SECOND)


def test_a_damaged_artifact_leaves_nothing_behind(mirrors):
    cut_off(mirrors)
    with pytest.raises(GateError):
        mirrors.ensure(FIRST)
    assert [path.name for path in (mirrors.cache / DATABASE.key).iterdir()] == ["lock"]


def test_nothing_but_the_two_files_is_written(mirrors, tmp_path):
    mirrors.publish(
        FIRST, **{"../../planted": b"x", "more": b"x", f"{tmp_path}/cache/planted": b"x"}
    )
    database = mirrors.ensure(FIRST)
    written = {path.name for path in mirrors.cache.rglob("*") if path.is_file()}
    assert written == {"trivy.db", "metadata.json", "lock", "asked.json"}
    assert len(list((database.folder / "db").iterdir())) == 2


def test_within_an_hour_no_mirror_is_asked_again(mirrors):
    mirrors.publish(FIRST, content=b"one")
    mirrors.ensure(FIRST)
    mirrors.publish(FIRST, content=b"two")
    mirrors.forget_calls()
    assert content(mirrors.ensure(FIRST, later=0.9 * HOUR)) == b"one"
    assert mirrors.asked() == []
    assert content(mirrors.ensure(FIRST, later=1.1 * HOUR)) == b"two"


def test_a_mirror_that_was_refreshed_after_a_refusal_is_asked_at_once(mirrors):
    too_old(mirrors)
    with pytest.raises(GateError, match="169 hours"):
        mirrors.ensure(FIRST)
    mirrors.publish(FIRST, content=b"new")
    assert content(mirrors.ensure(FIRST)) == b"new"


def test_what_other_mirrors_gave_is_not_taken_for_what_these_have(mirrors):
    mirrors.publish(FIRST, content=b"first")
    mirrors.publish(SECOND, content=b"second")
    mirrors.ensure(FIRST)
    assert content(mirrors.ensure(SECOND)) == b"second"


def test_an_unchanged_database_is_not_fetched_again(mirrors):
    mirrors.publish(FIRST)
    mirrors.ensure(FIRST)
    mirrors.forget_calls()
    mirrors.ensure(FIRST, later=2 * HOUR)
    assert [call.method for call in mirrors.hosts["first.test"].calls] == ["resolve"]


def test_without_a_network_the_last_one_is_used_while_it_is_young_enough(mirrors):
    digest = mirrors.publish(FIRST)
    mirrors.ensure(FIRST)
    unreachable(mirrors)
    database = mirrors.ensure(FIRST, later=167 * HOUR)
    assert database.identity.startswith(digest)
    (warning,) = mirrors.reporter.warnings
    assert digest[:19] in warning
    assert "can't be reached" in warning
    with pytest.raises(GateError, match="can't be reached"):
        mirrors.ensure(FIRST, later=168 * HOUR)


def test_a_kept_database_whose_files_are_gone_is_fetched_again(mirrors):
    mirrors.publish(FIRST)
    database = mirrors.ensure(FIRST)
    (database.folder / "db" / "trivy.db").unlink()
    assert content(mirrors.ensure(FIRST)) == b"bolt"


def test_what_was_replaced_is_kept_for_the_scans_that_began_with_it(mirrors):
    mirrors.publish(FIRST, content=b"one")
    one = mirrors.ensure(FIRST)
    mirrors.ensure(FIRST, later=72 * HOUR)  # another scan begins with it
    mirrors.publish(FIRST, content=b"two")
    two = mirrors.ensure(FIRST, later=74 * HOUR)
    assert (content(one), content(two)) == (b"one", b"two")
    mirrors.ensure(FIRST, later=121 * HOUR)
    assert not one.folder.exists()


def test_the_index_of_java_archives_comes_from_a_mirror_too(mirrors, now):
    digest = mirrors.publish(FIRST)
    index = mirrors.publish(JAVA, kind=JAVA_INDEX, version=1, content=b"sqlite")
    database = mirrors.ensure(FIRST, java=(JAVA,))
    assert database.identity == f"{digest}+java-{index}@{(now - HOUR).isoformat()}"
    assert content(database) == b"bolt"
    assert (database.folder / "java-db" / "trivy-java.db").read_bytes() == b"sqlite"


def test_an_index_that_is_too_old_is_refused(mirrors):
    mirrors.publish(FIRST)
    mirrors.publish(JAVA, kind=JAVA_INDEX, version=1, age=31 * 24 * HOUR)
    with pytest.raises(GateError, match=r"(?s)scan\.java_database.*can't be used") as caught:
        mirrors.ensure(FIRST, java=(JAVA,))
    assert "trivy-java-db:1" in caught.value.hint
