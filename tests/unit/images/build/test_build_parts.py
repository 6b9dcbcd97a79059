"""Parts of a build: identities, failures that are kept, ssh keys, engines that are made late."""

from __future__ import annotations

import hashlib
import json

import pytest

from aksci.config.loader import load_config
from aksci.core.errors import BuildError, ConfigError, UsageError, ValidationError
from aksci.core.git import Tracked
from aksci.core.work_folder import WorkFolder
from aksci.images.build.build_record import (
    Base,
    Build,
    BuiltImage,
    Failure,
    read_build_record,
    read_failures,
    update_failures,
    write_build_record,
)
from aksci.images.build.build_secrets import load_ssh
from aksci.images.build.finished import content_identity, find_finished
from aksci.images.engines.builder import Attestations, LazyBuilder
from aksci.oci.manifest import Manifest
from aksci.oci.references import ImageRef
from aksci.testing.memory_registry import MemoryRegistry

ONE = f"sha256:{'1' * 64}"
A, B, C, E, X, Y = (f"sha256:{letter * 64}" for letter in "abcdef")
HEAD = 'schema = 1\n[project]\nname = "shop"\n'


def manifest(document):
    content = json.dumps(document).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Manifest(media_type="x", digest=digest, content=content)


def entry(digest, architecture):
    return {"digest": digest, "platform": {"os": "linux", "architecture": architecture}}


def attestation(digest):
    return {
        "digest": digest,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }


def test_an_image_without_attestations_is_known_by_its_digest():
    for document in (
        {"layers": []},
        {"manifests": [entry(A, "amd64"), entry(B, "arm64")]},
        {"manifests": []},
    ):
        image = manifest(document)
        assert content_identity(image) == image.digest


def test_an_image_of_one_platform_is_known_by_that_ones_manifest_whatever_is_attached():
    for attached in (X, Y):
        image = manifest({"manifests": [entry(A, "amd64"), attestation(attached)]})
        assert content_identity(image) == A


def test_what_something_may_run_counts_whatever_its_annotations_call_it():
    """Otherwise who may push could slip an image under the key of what is built on it."""
    good = manifest({"manifests": [entry(A, "amd64"), attestation(X)]})
    runnable = attestation(E) | {"platform": {"os": "linux", "architecture": "amd64"}}
    for evil in (runnable, {key: runnable[key] for key in ("digest", "annotations")}):
        planted = manifest({"manifests": [evil, entry(A, "amd64")]})
        assert content_identity(planted) != content_identity(good)


@pytest.mark.parametrize(
    "entries", [["x"], {"a": 1}, [{"platform": 1}], [attestation("x"), {}], [{"annotations": "x"}]]
)
def test_a_damaged_index_is_known_by_its_digest(entries):
    damaged = manifest({"manifests": entries})
    assert content_identity(damaged) == damaged.digest


def test_an_image_of_several_platforms_is_known_by_all_of_them_in_any_order():
    def of(*entries):
        return content_identity(manifest({"manifests": list(entries)}))

    amd, arm = entry(A, "amd64"), entry(B, "arm64")
    first = of(amd, arm, attestation(X))
    assert first == of(attestation(Y), arm, amd)
    assert len(first) == len("sha256:") + 64
    others = [
        of(amd, entry(C, "arm64"), attestation(X)),
        of(entry(B, "amd64"), entry(A, "arm64"), attestation(X)),
        of(amd, attestation(X)),
    ]
    assert len({first, *others}) == 4


@pytest.mark.parametrize("attested", [False, True])
def test_what_is_finished_is_found_by_one_request(attested):
    image = manifest({"manifests": [entry(A, "amd64"), attestation(X)]})
    registry = MemoryRegistry()
    registry.plant("shop/web", image.content, digest=image.digest, media_type=image.media_type)
    registry.move_tag("shop/web", "in-k", image.digest)
    found = find_finished(registry, "shop/web", "k", attested=attested)
    assert (found.digest, registry.asked()) == (image.digest, ["in-k"])
    assert found.identity == (A if attested else image.digest)
    assert find_finished(MemoryRegistry(), "shop/web", "k", attested=attested) is None


def test_attestations_count_in_keys_as_words():
    assert Attestations().words == ()
    assert Attestations(provenance="min", sbom="r/s:1").words == ("provenance=min", "sbom=r/s:1")


def failure(error):
    return Failure(key="k", error=error, run="r")


def test_failures_are_kept_until_the_image_succeeds_or_is_gone(tmp_path):
    known = {"a", "b", "c"}
    update_failures(
        WorkFolder(tmp_path, tracked=Tracked),
        {"a": failure("1"), "b": failure("2")},
        succeeded=(),
        known=known,
    )
    update_failures(
        WorkFolder(tmp_path, tracked=Tracked), {"c": failure("3")}, succeeded=("a",), known=known
    )
    assert read_failures(WorkFolder(tmp_path, tracked=Tracked)) == {
        "b": failure("2"),
        "c": failure("3"),
    }
    update_failures(WorkFolder(tmp_path, tracked=Tracked), {}, succeeded=(), known={"a", "c"})
    assert read_failures(WorkFolder(tmp_path, tracked=Tracked)) == {"c": failure("3")}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": {}}'])
def test_a_damaged_list_of_failures_says_nothing(tmp_path, content):
    (tmp_path / "failed.json").write_text(content)
    assert read_failures(WorkFolder(tmp_path, tracked=Tracked)) == {}


def test_nothing_is_written_where_nothing_failed(tmp_path):
    update_failures(WorkFolder(tmp_path / "no", tracked=Tracked), {}, succeeded=("a",), known={"a"})
    assert not (tmp_path / "no").exists()


def incomplete(**given):
    return Build(
        run_id="1",
        commit="c",
        environment="e",
        images={},
        left_out=("a",),
        failed={"b": "It is broken."},
        blocked={"d": frozenset({"b"})},
        **given,
    )


def test_a_build_that_is_read_again_says_what_it_left_out_and_why(tmp_path):
    write_build_record(WorkFolder(tmp_path, tracked=Tracked), incomplete(keys={"b": "1"}))
    build = read_build_record(WorkFolder(tmp_path, tracked=Tracked))
    assert build == incomplete()
    assert (build.missing, build.complete) == (("b", "d"), False)


def test_a_build_requires_its_images_in_the_session_that_made_it_and_in_later_ones(tmp_path):
    made = incomplete(errors={"b": ValidationError("It is broken.")})
    with pytest.raises(ValidationError, match="It is broken"):
        made.require()
    write_build_record(WorkFolder(tmp_path, tracked=Tracked), made)
    with pytest.raises(UsageError, match=r"2 images of the last .* did not build, .*: b, d"):
        read_build_record(WorkFolder(tmp_path, tracked=Tracked)).require()


def test_a_file_of_an_earlier_version_names_what_did_not_build(tmp_path):
    path = write_build_record(WorkFolder(tmp_path, tracked=Tracked), incomplete())
    document = json.loads(path.read_text())
    path.write_text(json.dumps({k: document[k] for k in document.keys() - {"errors", "blocked"}}))
    assert read_build_record(WorkFolder(tmp_path, tracked=Tracked)).failed == {"b": "", "d": ""}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("images", []),
        ("images", {"a": {"ref": 5}}),
        ("images", {"a": {"ref": None}}),
        ("errors", []),
        ("blocked", {"a": None}),
        ("schema", 2),
    ],
)
def test_a_record_that_is_damaged_or_of_another_version_is_no_build(tmp_path, name, value):
    record = Build(run_id="1", commit="c", environment="e", images={})
    path = write_build_record(WorkFolder(tmp_path, tracked=Tracked), record)
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(UsageError, match="is damaged"):
        read_build_record(WorkFolder(tmp_path, tracked=Tracked))
    path.write_text("[" * 100_000)
    with pytest.raises(UsageError, match="is damaged"):
        read_build_record(WorkFolder(tmp_path, tracked=Tracked))


def ssh(tmp_path, toml, **variables):
    (tmp_path / "aksci.toml").write_text(HEAD + toml)
    config = load_config(tmp_path / "aksci.toml")
    return load_ssh(config, root=tmp_path, variables=variables)


def test_ssh_keys_are_files_of_the_project_or_the_agents(tmp_path):
    (tmp_path / "key").write_text("x")
    agent, work = ssh(
        tmp_path, '[build.ssh]\nwork = ["key"]\ndefault = []\n', SSH_AUTH_SOCK="/run/agent"
    )
    assert (agent.id, agent.keys) == ("default", ())
    assert (work.id, work.keys) == ("work", (tmp_path / "key",))


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('work = ["no"]', "the key file .*no does not exist"),
        ("default = []", "SSH_AUTH_SOCK"),
        ('work = ["a,b"]', "no file with a comma"),
    ],
)
def test_ssh_that_cant_work_is_told_before_anything_is_built(tmp_path, toml, words):
    (tmp_path / "a,b").write_text("x")
    with pytest.raises(ConfigError, match=words):
        ssh(tmp_path, f"[build.ssh]\n{toml}\n")


class Engine:
    """Remembers what it was asked for."""

    def __init__(self):
        self.built, self.stopped = [], 0

    def build(self, request, _on_line):
        self.built.append(request)

    def stop(self):
        self.stopped += 1


class Request:
    name = "web"


def test_an_engine_is_made_once_and_when_it_is_needed():
    made, interrupted = [], []

    def make():
        made.append(Engine())
        return made[-1]

    builder = LazyBuilder(make=make, interrupt=lambda: interrupted.append(1))
    assert made == []
    for _ in range(2):
        builder.build(Request, print)
    (engine,) = made
    assert engine.built == [Request, Request]
    builder.stop()
    assert (engine.stopped, interrupted) == (1, [])
    with pytest.raises(BuildError, match="web was not built: the run was stopped"):
        builder.build(Request, print)


def test_stopping_before_an_engine_is_there_ends_what_makes_it():
    interrupted = []
    builder = LazyBuilder(make=Engine, interrupt=lambda: interrupted.append(1))
    builder.stop()
    assert interrupted == [1]
    with pytest.raises(BuildError):
        builder.build(Request, print)


def test_the_record_of_a_build_says_what_each_image_was_built_from_by_the_names_that_it_always_had(
    tmp_path,
):
    base = Base(reference="docker.io/library/debian:12", digest=ONE, type="runtime", runtime=True)
    ref = ImageRef("r.io", "shop/app", ONE)
    image = BuiltImage(
        name="app",
        ref=ref,
        input_key="0" * 64,
        tags=("latest",),
        action="built",
        reasons=(),
        seconds=1.0,
        bases=(base,),
    )
    record = Build(run_id="r", commit="", environment="local", images={"app": image})
    path = write_build_record(WorkFolder(tmp_path, tracked=Tracked), record)
    (stored,) = json.loads(path.read_text())["images"]["app"]["bases"]
    assert stored == {
        "reference": base.reference,
        "digest": ONE,
        "type": "runtime",
        "image": "",
        "stands_on": True,
    }
    assert read_build_record(WorkFolder(tmp_path, tracked=Tracked)) == record
