"""Images that are one build by several names: built once, copied, and told."""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime

import pytest

from aksci.ci.console import ConsoleReporter
from aksci.core.errors import BuildError, ValidationError
from aksci.images.build.build_images import BuildSettings, build_images
from aksci.images.build_plan import plan_build
from aksci.images.discovery.importers.imported import Importer
from aksci.images.engines.builder import BuildOutput
from aksci.images.plan_matrix import make_matrices
from aksci.images.same_builds import find_same_builds, same_build_lines
from aksci.oci.artifact import canonical_json
from aksci.report.plan_report import plan_text
from aksci.testing.memory_registry import MemoryRegistry

COMPOSE = '[discover]\ncompose = ["compose.yaml"]\n'
THREE = {
    "compose.yaml": "x-app: &app {build: app}\n"
    "services: {web: *app, worker: *app, beat: *app, other: {build: other}}\n",
    "app/Dockerfile": "ARG UNUSED\nFROM debian\nCOPY x /\n",
    "app/x": "1",
    "other/Dockerfile": "FROM shop/worker\n",
}
NAMES = ("beat", "web", "worker")
ONE = "sha256:" + "1" * 64
TYPE = "application/vnd.oci.image.manifest.v1+json"


class Engine:
    """Pushes a whole image, another one each time; remembers what it was asked for."""

    def __init__(self, registry):
        self.registry, self.built, self.fails = registry, [], False
        self._lock = threading.Lock()

    def build(self, request, _on_line):
        with self._lock:
            self.built.append((request.name, request.fresh))
            number = len(self.built)
        if self.fails:
            raise BuildError("app/Dockerfile: it does not build.")
        repository = request.repository.removeprefix("r:1/")
        layer = self.registry.put_blob(repository, f"layer {number}".encode())
        config = self.registry.put_blob(repository, canonical_json({"number": number}))
        document = {
            "schemaVersion": 2,
            "mediaType": TYPE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                       "digest": config, "size": len(canonical_json({"number": number}))},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
                        "digest": layer, "size": len(f"layer {number}")}],
        }  # fmt: skip
        digest = self.registry.put_manifest(repository, canonical_json(document), TYPE)
        return BuildOutput(digest=digest, provenance={"materials": []})

    def stop(self):
        """There is nothing to stop."""


class Checks:
    """A validator that refuses some images."""

    def __init__(self, refused=()):
        self.refused, self.seen = refused, set()

    def check(self, name, _ref):
        self.seen.add(name)
        if name in self.refused:
            raise ValidationError(f"{name} does not run.")

    def stop(self):
        """There is nothing to stop."""


@pytest.fixture
def run(project):
    registry = MemoryRegistry("r:1")
    engine = Engine(registry)

    def build(graph, **options):
        return build_images(
            graph,
            registry=registry,
            builder=engine,
            bases=project.outside(lambda _: ONE),
            settings=BuildSettings(concurrency=4),
            reporter=ConsoleReporter(io.StringIO()),
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            **options,
        )

    def plan(graph, **options):
        return plan_build(graph, registry=registry, bases=project.outside(lambda _: ONE), **options)

    build.registry, build.engine, build.plan = registry, engine, plan
    return build


def test_three_services_of_one_build_are_built_once_and_published_each(project, run):
    graph = project(THREE, COMPOSE)
    assert same_build_lines(graph) == ["beat, web, worker: one build"]
    images = run(graph).require()
    assert len(run.engine.built) == 2  # one of the three, and other
    assert len({images[name].ref.digest for name in NAMES}) == 1
    assert {images[name].ref.repository for name in NAMES} == {f"shop/{name}" for name in NAMES}
    assert sum(bool(images[name].same_as) for name in NAMES) == 2
    assert all(images[name].made for name in NAMES)
    for name in NAMES:
        ref = images[name].ref
        manifest = json.loads(run.registry.manifest(ref.repository, ref.digest).content)
        assert run.registry.has_blob(ref.repository, manifest["layers"][0]["digest"])
    assert run.plan(graph).to_build == ()
    assert {one.action for one in run(graph).require().values()} == {"reused"}
    assert len(run.engine.built) == 2


def test_a_plan_says_which_are_only_copied(project, run):
    graph = project(THREE, COMPOSE)
    plan = run.plan(graph)
    assert plan.copied == ("web", "worker")
    assert plan.by_name["web"].reasons == ({"code": "SAME", "image": "beat"},)
    text = plan_text(plan)
    assert "copy   worker  the same build as beat" in text
    assert "2 to build, 2 the same build by another name, 0 to reuse." in text
    # Beside each other, two jobs would both build it.
    (first, *_) = make_matrices(plan, group="image")
    assert [job.images for job in first.jobs] == [NAMES]


def test_what_the_registry_has_by_another_name_is_copied(project, run):
    graph = project(THREE, COMPOSE)
    run(graph, selected=frozenset({"web"})).require()
    plan = run.plan(graph)
    assert plan.by_name["beat"].reasons == ({"code": "SAME", "image": "web"},)
    images = run(graph, selected=frozenset({"web", "beat"})).require()
    assert [name for name, _ in run.engine.built] == ["web"]
    assert (images["web"].action, images["beat"].same_as) == ("reused", "web")
    # What nobody trusts there is copied by nobody.
    trusted = lambda ref, _key: ref.repository == "shop/worker"  # noqa: E731
    run(graph, selected=frozenset({"worker"}), trusted=trusted).require()
    assert [name for name, _ in run.engine.built] == ["web", "worker"]


def test_each_name_is_validated_and_one_that_does_not_pass_stops_no_other(project, run):
    graph = project(THREE, COMPOSE)
    checks = Checks(refused={"beat"})
    made = run(graph, validator=checks)
    assert checks.seen == {*NAMES, "other"}
    assert set(made.failed) == {"beat"}
    assert len(run.engine.built) == 2
    assert len({made.images[name].ref.digest for name in ("web", "worker")}) == 1


def test_a_build_that_fails_is_tried_once(project, run):
    graph = project(THREE, COMPOSE)
    run.engine.fails = True
    made = run(graph)
    assert set(made.failed) == set(NAMES)
    assert len(run.engine.built) == 1


def test_what_is_forced_for_one_is_forced_for_all_of_its_names_and_built_once(project, run):
    graph = project(THREE, COMPOSE)
    run(graph).require()
    plan = run.plan(graph, force=frozenset({"web"}))
    assert plan.by_name["beat"].reasons == ({"code": "FORCED"},)
    images = run(graph, force=frozenset({"web"})).require()
    (again,) = [one for one in run.engine.built[2:] if one[0] in NAMES]
    assert again[1]  # without the layer cache
    assert len({images[name].ref.digest for name in NAMES}) == 1


def test_an_opaque_build_is_done_once_a_run(project, run):
    opaque = {"app/Dockerfile": "# syntax=acme/frontend\nFROM debian\nCOPY x /\n"}
    graph = project(THREE | opaque, COMPOSE)
    for count in (1, 2):
        images = run(graph, selected=frozenset(NAMES)).require()
        assert len(run.engine.built) == count
        assert len({images[name].ref.digest for name in NAMES}) == 1


def test_images_of_one_repository_and_two_tags_are_built_once(project, run):
    toml = "".join(
        f'[images.{name}]\ndockerfile = "app/Dockerfile"\nrepository = "shop/app"\n'
        f'tags = ["{name}"]\n'
        for name in ("a", "b")
    )
    graph = project(THREE, toml)
    images = run(graph).require()
    assert len(run.engine.built) == 1
    assert images["a"].ref == images["b"].ref


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"build": {"context": "app", "args": {"UNUSED": "1"}}}, True),
        ({"build": {"context": "app", "args": {"USED": "1"}}}, False),
        ({"build": {"context": "./app/", "dockerfile": "./Dockerfile"}}, True),
        ({"build": {"context": "app", "target": "first"}}, False),
        ({"build": {"context": "app", "platforms": ["linux/arm64"]}}, False),
        ({"build": {"context": "app", "additional_contexts": {"e": "other"}}}, False),
        ({"build": "app", "image": "acme/web"}, True),
        ({"build": "app", "image": "debian"}, True),
    ],
)
def test_what_is_asked_of_buildkit_tells_builds_apart(project, change, same):
    dockerfile = "FROM debian AS first\nFROM debian\nARG USED\nARG OTHER\nRUN x $USED\n"
    services = {"a": {"build": "app"}, "b": change}
    graph = project(
        {"compose.yaml": json.dumps({"services": services}), "app/Dockerfile": dockerfile,
         "other/Dockerfile": ""}, COMPOSE,
    )  # fmt: skip
    assert bool(find_same_builds(graph)) == (same and change.get("image") != "debian")


@pytest.mark.parametrize("source", ["bake", "skaffold", "tables", "inline"])
def test_every_source_may_name_one_build_twice(project, source):
    files = {
        "app/Dockerfile": "FROM debian\n",
        "docker-bake.json": "{}",
        "skaffold.yaml": "apiVersion: skaffold/v4beta11\nbuild: {artifacts: ["
        "{image: a, context: app}, {image: b, context: ./app}]}\n",
        "compose.yaml": "services:\n" + "".join(
            f"  {name}: {{build: {{context: app, dockerfile_inline: 'FROM debian'}}}}\n"
            for name in "ab"
        ),
    }  # fmt: skip
    toml = {
        "bake": '[discover]\nbake = ["docker-bake.json"]\n',
        "skaffold": '[discover]\nskaffold = ["skaffold.yaml"]\n',
        "tables": "".join(f'[images.{one}]\ndockerfile = "app/Dockerfile"\n' for one in "ab"),
        "inline": COMPOSE,
    }
    targets = {name: {"context": "app", "tags": [f"acme/{name}"]} for name in "ab"}
    importer = Importer(bake_print=lambda *_: {"target": targets})
    graph = project(files, toml[source], importer=importer)
    assert find_same_builds(graph) == {"a": ("b",), "b": ("a",)}


def test_an_image_that_copies_from_its_earlier_version_is_a_build_of_its_own(project):
    toml = "".join(f'[images.{one}]\ndockerfile = "app/Dockerfile"\n' for one in "ab")
    graph = project({"app/Dockerfile": "FROM debian\nCOPY --from=shop/a / /\n"}, toml)
    assert find_same_builds(graph) == {}


def test_images_whose_bases_a_policy_tells_apart_are_built_each(project, run):
    """The key decides in the end: a policy may hold one image's base and not another's."""
    graph = project(THREE, COMPOSE)
    run(graph, selected=frozenset({"web"})).require()

    class Held(project.outside):
        def for_image(self, name):
            return project.outside(lambda _: ONE if name == "web" else "sha256:" + "2" * 64)

    images = build_images(
        graph,
        registry=run.registry,
        builder=run.engine,
        bases=Held(lambda _: ONE),
        settings=BuildSettings(),
        reporter=ConsoleReporter(io.StringIO()),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        selected=frozenset({"web", "beat"}),
    ).require()
    assert images["web"].action == "reused"
    assert not images["beat"].same_as
    assert len(run.engine.built) == 2
