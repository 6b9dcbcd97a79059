"""A run over a graph: what counts as finished, and what is never reused."""

from __future__ import annotations

import io
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aksci.ci.console import ConsoleReporter
from aksci.core.errors import (
    BuildError,
    ConfigError,
    RegistryError,
    ValidationError,
)
from aksci.core.git import Tracked
from aksci.core.work_folder import WorkFolder
from aksci.images.build.build_images import BuildSettings, build_images
from aksci.images.build.own_builds import OwnBuilds, read_own_builds, write_own_builds
from aksci.images.build_plan import plan_build
from aksci.images.engines.builder import BuildOutput
from aksci.images.keys import in_tag
from aksci.oci.references import ImageRef
from aksci.testing.memory_registry import MemoryRegistry

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
FILES = {"app/Dockerfile": "FROM scratch\nCOPY x /\n", "app/x": "1"}
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


class Engine:
    """An engine that pushes the same small manifest for the same files, as Docker's: by tag."""

    def __init__(self, registry):
        self.registry = registry
        self.requests = []
        self.while_building = lambda: None

    def build(self, request, _on_line):
        self.requests.append(request)
        self.while_building()
        files = {
            path.name: path.read_text() for path in request.context.rglob("*") if path.is_file()
        }
        repository = request.repository.removeprefix("r:1/")
        content = json.dumps({"schemaVersion": 2, "files": files}).encode()
        digest = self.registry.put_manifest(repository, content, MEDIA_TYPE, tag=request.tag)
        return BuildOutput(digest=digest, provenance=None)

    def stop(self):
        """There is nothing to stop."""


@pytest.fixture
def run(project):
    """Build graphs with one engine into one registry."""
    registry = MemoryRegistry("r:1")
    engine = Engine(registry)

    def build(graph, digest_of=lambda _: ONE, **options):
        return build_images(
            graph,
            registry=registry,
            builder=engine,
            bases=project.outside(digest_of),
            settings=BuildSettings(),
            reporter=ConsoleReporter(io.StringIO()),
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            **options,
        ).require()

    def plan(graph):
        return plan_build(graph, registry=registry, bases=project.outside(lambda _: ONE))

    build.registry, build.engine, build.plan = registry, engine, plan
    build.outside = project.outside
    return build


def finished(registry):
    tags = [name.partition(":")[2] for name in registry.store.tagged()]
    return [tag for tag in tags if tag.startswith("in-")]


def test_what_is_built_once_is_reused(project, run):
    graph = project(FILES)
    first = run(graph)["app"]
    assert first.action == "built"
    assert finished(run.registry) == [in_tag(first.input_key)]
    assert run(graph)["app"].action == "reused"
    assert run.plan(graph).to_build == ()


@pytest.mark.parametrize("file", ["x", "Dockerfile", "new", ".dockerignore", "Dockerfile.gone"])
def test_sources_that_change_while_they_are_built_are_not_finished(project, run, file):
    """Otherwise the key of the old sources would name an image of the new ones, for ever."""
    ignored = "Dockerfile*\n.dockerignore\n"
    everything = "FROM scratch\nCOPY . /\n"
    graph = project(FILES | {"app/Dockerfile": everything, "app/.dockerignore": ignored})
    path = project.root / "app" / file
    content = "y" if file == ".dockerignore" else "FROM scratch\nCOPY x /y\n"
    if file == "Dockerfile.gone":
        run.engine.while_building = (project.root / "app/Dockerfile").unlink
    else:
        run.engine.while_building = lambda: path.write_text(content)
    with pytest.raises(BuildError, match="sources of app changed while it was built") as caught:
        run(graph)
    assert "once more" in caught.value.hint
    assert finished(run.registry) == []


@pytest.mark.parametrize("file", ["x", "Dockerfile", ".dockerignore"])
def test_sources_that_change_and_change_back_are_not_finished(project, run, file):
    """Nobody knows which of the two the engine has read."""
    graph = project(FILES | {"app/.dockerignore": "z"})
    path = project.root / "app" / file
    before = path.read_text()

    def change():
        path.write_text("y")
        path.write_text(before)

    run.engine.while_building = change
    with pytest.raises(BuildError, match="sources of app changed while it was built"):
        run(graph)
    assert finished(run.registry) == []


def test_a_comment_in_the_dockerfile_may_change_meanwhile(project, run):
    graph = project(FILES | {"app/.dockerignore": "Dockerfile\n.dockerignore\n"})
    path = project.root / "app/Dockerfile"
    run.engine.while_building = lambda: path.write_text(f"# why\n{path.read_text()}")
    assert run(graph)["app"].action == "built"


def test_the_engine_is_always_told_the_platform(project, run):
    run(project(FILES, builder_platform="linux/riscv64"))
    assert [request.platforms for request in run.engine.requests] == [("linux/riscv64",)]


FRONTEND = "docker.io/docker/dockerfile"


def test_a_frontend_counts_by_digest_and_is_pinned(project, run):
    """Another frontend may make another image of the same Dockerfile."""
    graph = project(FILES | {"app/Dockerfile": f"# syntax={FRONTEND}:1\n{FILES['app/Dockerfile']}"})
    first = run(graph, {f"{FRONTEND}:1": ONE}.__getitem__)["app"]
    assert run(graph, {f"{FRONTEND}:1": ONE}.__getitem__)["app"].action == "reused"
    second = run(graph, {f"{FRONTEND}:1": TWO}.__getitem__)["app"]
    assert second.input_key != first.input_key
    assert [request.args for request in run.engine.requests] == [
        {"BUILDKIT_SYNTAX": f"{FRONTEND}@{digest}"} for digest in (ONE, TWO)
    ]
    assert [dict(request.parents) for request in run.engine.requests] == [{}, {}]


def test_a_frontend_by_digest_is_taken_as_it_is(project, run):
    text = f"# syntax={FRONTEND}:1@{ONE}\n{FILES['app/Dockerfile']}"
    run(project(FILES | {"app/Dockerfile": text}), {}.__getitem__)
    assert [request.args for request in run.engine.requests] == [{}]


def test_a_frontend_that_cant_be_resolved_is_an_error(project, run):
    graph = project(FILES | {"app/Dockerfile": f"# syntax={FRONTEND}:1\nFROM scratch"})

    def resolve(reference):
        raise RegistryError(f"{reference} can't be resolved.")

    with pytest.raises(RegistryError, match="docker/dockerfile:1 can't be resolved"):
        run(graph, resolve)


OPAQUE = {
    "a frontend of its own": ("# syntax=other/x:1 words\nWHATEVER\n", ""),
    "a frontend by argument": (FILES["app/Dockerfile"], 'BUILDKIT_SYNTAX = "other/x:1 words"'),
    "a variable in COPY --from": ("ARG X\nFROM scratch\nCOPY --from=$X / /\n", ""),
}


@pytest.mark.parametrize("case", OPAQUE)
def test_what_cant_be_read_for_sure_is_never_reused(project, run, case):
    text, args = OPAQUE[case]
    toml = f'[images.app]\ndockerfile = "app/Dockerfile"\nargs = {{ {args} }}\n'
    graph = project(FILES | {"app/Dockerfile": text}, toml)
    first = run(graph)["app"]
    run.registry.move_tag("shop/app", "latest", first.ref.digest)
    plan = run.plan(graph)
    assert plan.to_build == ("app",)
    assert [reason["code"] for reason in plan.work[0].reasons] == ["OPAQUE"]
    again = run(graph)["app"]
    assert (again.action, again.ref) == ("built", first.ref)
    if "frontend" in case:
        assert run.engine.requests[-1].args == {"BUILDKIT_SYNTAX": f"docker.io/other/x@{ONE} words"}


class Check:
    """Refuses what it is told to, and remembers what was finished when it was asked."""

    def __init__(self, registry, refused):
        self.registry, self.refused, self.seen = registry, refused, []

    def check(self, name, ref):
        pushed = self.registry.resolve(ref.repository, ref.digest) == ref.digest
        self.seen.append((name, pushed, finished(self.registry)))
        if name in self.refused:
            raise ValidationError(f"{name} does not start.")

    def stop(self):
        """There is nothing to stop."""


def attempt(run, graph, check, **options):
    return build_images(
        graph,
        registry=run.registry,
        builder=run.engine,
        bases=run.outside(lambda _: ONE),
        settings=options.pop("settings", BuildSettings()),
        reporter=ConsoleReporter(io.StringIO()),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        validator=check,
        **options,
    )


TWO_IMAGES = FILES | {"top/Dockerfile": "FROM shop/app\nCOPY x /\n", "top/x": "1"}


def test_an_image_is_validated_when_it_is_pushed_and_before_it_is_finished(project, run):
    graph = project(TWO_IMAGES)
    check = Check(run.registry, set())
    result = attempt(run, graph, check)
    app, _top = (result.keys[name] for name in ("app", "top"))
    assert check.seen == [("app", True, []), ("top", True, [in_tag(app)])]
    assert result.error is None
    attempt(run, graph, check)
    assert len(check.seen) == 2  # what is reused was validated when it was built


def test_an_image_that_does_not_run_is_not_finished_and_nothing_is_built_on_it(project, run):
    graph = project(TWO_IMAGES)
    result = attempt(run, graph, Check(run.registry, {"app"}))
    assert finished(run.registry) == []
    assert dict(result.blocked) == {"top": frozenset({"app"})}
    assert isinstance(result.error, ValidationError)
    assert "app does not start." in result.error.message
    assert result.keys["app"]
    assert attempt(run, graph, Check(run.registry, set())).error is None


def test_the_same_cause_is_told_once(project, run):
    def fail(_request, _on_line):
        raise BuildError("The engine is not there.", hint="start it")

    run.engine.build = fail
    files = FILES | {"other/Dockerfile": "FROM scratch\nCOPY x /\n", "other/x": "2"}
    error = attempt(run, project(files), None).error
    assert error.message.count("The engine is not there.") == 1
    assert "2 of the images did not build: app, other." in error.message
    assert error.hint == "start it"


def test_images_that_one_failure_blocks_are_named_with_it_once(project, run):
    files = TWO_IMAGES | {f"{name}/Dockerfile": "FROM shop/app\n" for name in ("left", "right")}
    result = attempt(run, project(files), Check(run.registry, {"app"}))
    assert "Blocked: left, right, top (app failed its validation)." in result.error.message


def test_every_base_that_cant_be_resolved_is_named_at_once(project, run):
    def resolve(reference):
        raise RegistryError(f"{reference} can't be resolved.")

    graph = project({f"{name}/Dockerfile": f"FROM {name}.example/x\n" for name in ("a", "b")})
    with pytest.raises(RegistryError) as caught:
        run(graph, resolve)
    assert caught.value.message.splitlines() == [
        "a.example/x:latest can't be resolved.",
        "b.example/x:latest can't be resolved.",
    ]


def test_no_more_images_are_built_at_once_than_configured(project, run):
    lock = threading.Lock()
    running, most = 0, 0

    def count():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    run.engine.while_building = count
    graph = project({f"i{n}/Dockerfile": f"FROM scratch\nLABEL n={n}\n" for n in range(8)})
    attempt(run, graph, None, settings=BuildSettings(concurrency=2))
    assert (most, len(run.engine.requests)) == (2, 8)


def test_what_closes_a_diamond_stands_on_both_rebuilt_sides(project, run):
    sides = {f"{side}/Dockerfile": "FROM shop/app\nCOPY x /\n" for side in ("left", "right")}
    top = {"top/Dockerfile": "FROM shop/left\nCOPY --from=shop/right / /\n"}
    texts = {f"{side}/x": side for side in ("left", "right")}
    graph = project(FILES | sides | top | texts)
    run(graph)
    run.engine.requests.clear()
    (graph.root / "app/x").write_text("2")
    for side in ("left", "right"):
        (graph.root / side / "x").write_text(f"{side} 2")
    images = run(graph)
    names = [request.name for request in run.engine.requests]
    assert (names[0], set(names[1:3]), names[3:]) == ("app", {"left", "right"}, ["top"])
    assert run.engine.requests[-1].parents == {
        f"shop/{side}": f"r:1/shop/{side}@{images[side].ref.digest}" for side in ("left", "right")
    }


def test_what_is_forced_must_be_selected(project, run):
    with pytest.raises(ConfigError, match="top is to be built again, and is not selected"):
        attempt(
            run,
            project(TWO_IMAGES),
            None,
            selected=frozenset({"app"}),
            force=frozenset({"top"}),
        )


# Who may set the tag of an input key


def planted(run, image):
    """Let somebody who may push say that the same inputs gave another image."""
    content = json.dumps({"schemaVersion": 2, "files": {"x": "evil"}}).encode()
    return run.registry.put_manifest(
        image.ref.repository, content, MEDIA_TYPE, tag=in_tag(image.input_key)
    )


def test_a_finished_build_that_nobody_vouches_for_is_built_again_and_its_tag_taken_back(
    run, project
):
    graph = project(FILES)
    good = run(graph)["app"]
    evil = planted(run, good)
    assert run(graph)["app"].ref.digest == evil, "where nobody asks for trust, the tag decides"

    def trusted(ref, key):
        return (ref, key) == (good.ref, good.input_key)

    again = run(graph, trusted=trusted)["app"]
    assert (again.ref, again.action) == (good.ref, "built")
    assert again.reasons == ({"code": "UNSIGNED", "digest": evil},)
    assert run(graph, trusted=trusted)["app"].action == "reused"


def test_a_tag_set_while_we_build_is_believed_only_if_vouched_for(run, project):
    graph = project(FILES)
    good = run(graph)["app"]
    original = run.registry.put_manifest

    def racing(repository, content, media_type, *, tag=None):
        digest = original(repository, content, media_type, tag=tag)
        if tag == in_tag(good.input_key):
            run.registry.put_manifest = original
            planted(run, good)
        return digest

    run.registry.put_manifest = racing
    with pytest.raises(BuildError, match="no trusted signature covers"):
        run(graph, trusted=lambda _ref, _key: False)


def test_what_somebody_else_finishes_while_we_build_is_not_remembered_as_our_own(
    run, project, tmp_path
):
    """``build --until scan`` takes it; a later job with the key must not take it for ours."""
    graph = project(FILES)
    good = run(graph)["app"]
    run.registry.store.tags.clear()
    run.engine.while_building = lambda: planted(run, good)
    taken = run(graph)["app"]
    assert taken.ref.digest != good.ref.digest
    assert (taken.action, taken.reasons) == ("reused", ())
    write_own_builds(WorkFolder(tmp_path, tracked=Tracked), OwnBuilds({}), [taken])
    assert not read_own_builds(WorkFolder(tmp_path, tracked=Tracked)).has(
        taken.ref, taken.input_key
    )


def test_two_images_that_are_the_same_in_the_end_are_both_our_own(run, project, tmp_path):
    image = run(project(FILES))["app"]
    other = replace(image, name="other", input_key="f" * 32)
    written = write_own_builds(WorkFolder(tmp_path, tracked=Tracked), OwnBuilds({}), [image, other])
    for own in (written, read_own_builds(WorkFolder(tmp_path, tracked=Tracked))):
        assert own.has(image.ref, image.input_key)
        assert own.has(image.ref, other.input_key)


def test_an_image_says_what_it_was_built_from(run, project):
    files = {
        "base/Dockerfile": "FROM debian:12\n",
        "app/Dockerfile": "FROM shop/base\nCOPY --from=tools:1 /t /\n",
    }
    images = run(project(files))
    bases = {base.reference: base for base in images["app"].bases}
    own = bases["docker.io/shop/base:latest"]
    assert (own.image, own.type, own.runtime) == ("base", "runtime", True)
    assert own.digest == images["base"].ref.digest
    outside = bases["docker.io/library/tools:1"]
    assert (outside.image, outside.type, outside.runtime) == ("", "copy", False)
    assert outside.digest == ONE


def test_own_builds_are_remembered_and_a_damaged_file_vouches_for_nothing(run, project, tmp_path):
    images = run(project(FILES))
    write_own_builds(
        WorkFolder(tmp_path, tracked=Tracked),
        read_own_builds(WorkFolder(tmp_path, tracked=Tracked)),
        images.values(),
    )
    image = images["app"]
    own = read_own_builds(WorkFolder(tmp_path, tracked=Tracked))
    assert own.has(image.ref, image.input_key)
    assert not own.has(image.ref, "another")
    assert not own.has(ImageRef("r:1", "x/app", TWO), image.input_key)
    reused = run(project(FILES))
    assert reused["app"].action == "reused"
    write_own_builds(WorkFolder(tmp_path, tracked=Tracked), own, reused.values())
    assert read_own_builds(WorkFolder(tmp_path, tracked=Tracked)).has(image.ref, image.input_key)
    write_own_builds(WorkFolder(tmp_path, tracked=Tracked), OwnBuilds({}), reused.values())
    assert not read_own_builds(WorkFolder(tmp_path, tracked=Tracked)).has(
        image.ref, image.input_key
    )
    known = (tmp_path / "built.json").read_text()
    assert '"schema": 2' in known
    for damage in ("", "[]", known.replace(": 2", ": 3"), '{"images": 1}', "[" * 100_000):
        (tmp_path / "built.json").write_text(damage)
        assert read_own_builds(WorkFolder(tmp_path, tracked=Tracked)).keys == {}
