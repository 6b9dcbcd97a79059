"""Images are built while their bases are validated, and count only once those have passed."""

from __future__ import annotations

import json
import signal
import threading
import time
from datetime import UTC, datetime
from functools import partial

import pytest

from aksci.core.errors import BuildError, GateError, RegistryError, ValidationError
from aksci.core.reporting import Task
from aksci.images.build.build_images import BuildSettings, build_images
from aksci.images.build.build_run import Run
from aksci.images.engines.builder import BuildOutput
from aksci.images.keys import in_tag, trees_of
from aksci.images.lineage import ARTIFACT_TYPE
from aksci.images.lookup import Lookup
from aksci.oci.artifact import find_artifacts
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.reporter import RecordingReporter

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
ONE = "sha256:" + "1" * 64
FILES = {
    "base/Dockerfile": "FROM scratch\nCOPY x /\n",
    "base/x": "1",
    "app/Dockerfile": "FROM shop/base\nCOPY x /\n",
    "app/x": "1",
}
ON_APP = {"top/Dockerfile": "FROM shop/app\nCOPY x /\n", "top/x": "1"}
WAIT = 20
"""Seconds that a test waits for what must come, at most."""


class World:
    """A registry, an engine, a check and a gate that note what they did, in one list."""

    def __init__(self, project):
        self.project = project
        self.registry = MemoryRegistry("r:1")
        self.reporter = RecordingReporter()
        self.events, self.requests = [], {}
        self.on = {}
        """What to call at an event, such as ``("check", "base")``; it may wait or raise."""
        self._happened = threading.Condition()
        self._stopped = False

    def note(self, *event):
        with self._happened:
            self.events.append(event)
            self._happened.notify_all()
        self.on.get(event, lambda: None)()

    def wait_for(self, *event):
        with self._happened:
            there = self._happened.wait_for(lambda: event in self.events or self._stopped, WAIT)
            assert there, f"{event} did not come: {self.events}"
            assert not self._stopped

    def refuse(self, name, after=()):
        """Let the validation of an image fail, once all of some events came."""

        def check():
            for event in after:
                self.wait_for(*event)
            raise ValidationError(f"{name} does not run as it must: no.")

        self.on["check", name] = check

    # An engine

    def build(self, request, _on_line):
        self.note("build", request.name)
        self.requests.setdefault(request.name, []).append(request)
        content = {"made of": (request.context / "x").read_text(), **request.parents}
        digest = self.registry.put_manifest(
            request.repository.removeprefix("r:1/"),
            json.dumps({"schemaVersion": 2, "config": content}).encode(),
            MEDIA_TYPE,
        )
        self.note("built", request.name)
        return BuildOutput(digest=digest, provenance=None)

    def stop(self):
        with self._happened:
            self._stopped = True
            self._happened.notify_all()

    # A check

    def check(self, name, ref):
        assert self.registry.resolve(ref.repository, ref.digest) == ref.digest
        self.note("check", name)
        self.note("checked", name)

    def run(self, graph, *, gate=None, concurrency=1, validator=True, **options):
        self.events.clear()
        return build_images(
            graph,
            registry=self.registry,
            builder=self,
            bases=self.project.outside(lambda _: ONE),
            settings=BuildSettings(concurrency=concurrency),
            reporter=self.reporter,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            validator=self if validator else None,
            gate=gate and (lambda name, _image: self.note("gate", name)),
            **options,
        )

    def make_run(self, graph):
        """Return a run whose images a test makes one by one."""
        bases = self.project.outside(lambda _: ONE)
        lookup = Lookup(graph=graph, registry=self.registry, bases=bases)
        lookup.hasher.prepare(trees_of(graph, graph.images))
        return Run(
            lookup=lookup,
            builder=self,
            settings=BuildSettings(),
            reporter=self.reporter,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            validator=self,
        )

    def finished(self):
        """Return the names of what counts in the registry."""
        tagged = self.registry.store.tagged()
        names = [name.partition(":") for name in tagged if ":in-" in name]
        return sorted({name.rpartition("/")[2] for name, _, _ in names})

    def recorded(self, image):
        return find_artifacts(self.registry, image, ARTIFACT_TYPE)


@pytest.fixture
def world(project):
    return World(project)


@pytest.fixture
def blocked(monkeypatch):
    """Set once an image of the run is blocked."""
    event, original = threading.Event(), Run._block

    def noted(self, *cause):
        original(self, *cause)
        event.set()

    monkeypatch.setattr(Run, "_block", noted)
    return event


def test_an_image_is_built_while_its_base_is_validated_and_in_its_turn(project, world):
    """One build at a time: a validation takes no turn of a build."""
    world.on["check", "base"] = lambda: world.wait_for("built", "top")
    found = world.run(project(FILES | ON_APP))
    assert found.error is None
    assert world.finished() == ["app", "base", "top"]
    assert {name: image.action for name, image in found.images.items()} == dict.fromkeys(
        ("base", "app", "top"), "built"
    )


def test_nothing_is_finished_before_what_it_is_based_on(project, world):
    """Whoever finds the tag relies on the whole chain, even if this run dies now."""
    seen = []
    world.on["check", "base"] = lambda: (
        world.wait_for("checked", "top"),
        seen.append(world.finished()),
    )
    put = world.registry.put_manifest
    order = []

    def noted(repository, content, media_type, *, tag=None):
        if tag and tag.startswith("in-"):
            order.append(repository)
        return put(repository, content, media_type, tag=tag)

    world.registry.put_manifest = noted
    found = world.run(project(FILES | ON_APP))
    assert seen == [[]]
    assert order == ["shop/base", "shop/app", "shop/top"]
    assert [len(world.recorded(image.ref)) for image in found.images.values()] == [1, 1, 1]


def test_many_validations_hold_up_no_build(project, world):
    names = [f"i{number:02}" for number in range(40)]
    files = {f"{name}/Dockerfile": f"FROM scratch\nLABEL n={name}\nCOPY x /\n" for name in names}
    files |= {f"{name}/x": name for name in names}
    for name in names:
        world.on["check", name] = lambda: [world.wait_for("built", each) for each in names]
    assert world.run(project(files)).error is None


@pytest.mark.parametrize("moment", ["built", "checked"])
def test_what_was_built_on_a_base_that_fails_its_validation_is_blocked_by_it(
    project, world, moment
):
    world.refuse("base", after=[(moment, "top")])
    found = world.run(project(FILES | ON_APP))
    assert found.images == {}
    assert world.finished() == []
    assert dict(found.failed) == {"base": "base does not run as it must: no."}
    assert dict(found.blocked) == dict.fromkeys(("app", "top"), frozenset({"base"}))
    error = found.error
    assert (type(error), error.exit_status) == (ValidationError, 17)
    assert error.message.splitlines()[:2] == [
        "1 of the images failed its validation: base.",
        "Blocked: app, top (base failed its validation).",
    ]
    assert world.registry.store.tagged() == {}
    world.on.clear()
    assert world.run(project(FILES | ON_APP)).error is None
    assert world.finished() == ["app", "base", "top"]


def test_a_build_whose_turn_comes_after_its_base_has_failed_is_not_begun(project, world):
    run = world.make_run(project(FILES))
    base = run.make("base", {})
    run._block("app", "base", ValidationError("no"))
    with pytest.raises(BuildError, match="app was not built: base failed its validation"):
        run.make("app", {"base": base.result})
    assert ("build", "app") not in world.events


def test_only_the_first_cause_is_told_whichever_was_seen_first(project, world):
    """An image may fail for what is wrong with its base: it is tried again once that runs."""
    world.refuse("app")
    world.refuse("base", after=[("check", "app")])
    first = world.run(project(FILES))
    world.refuse("base")
    world.refuse("app", after=[("check", "base")])
    second = world.run(project(FILES))
    for found in (first, second):
        assert set(found.failed) == {"base"}
        assert dict(found.blocked) == {"app": frozenset({"base"})}
        assert "app does not run" not in found.error.message


def test_a_build_that_fails_on_a_base_that_fails_too_keeps_the_exit_status(project, world):
    def fail():
        raise BuildError("app did not build.")

    world.on["build", "app"] = fail
    world.refuse("base", after=[("build", "app")])
    found = world.run(project(FILES))
    assert (set(found.failed), found.error.exit_status) == ({"base"}, 17)


def test_an_image_that_is_there_already_is_blocked_by_a_base_that_fails(project, world):
    """Its base was made again to the same bytes, so its key is the one that is finished."""
    graph = project(FILES)
    world.run(graph)
    world.refuse("base")
    found = world.run(graph, force=frozenset({"base"}))
    assert ("build", "app") not in world.events
    assert dict(found.blocked) == {"app": frozenset({"base"})}
    assert found.images == {}


def test_an_image_is_built_again_where_another_run_has_finished_its_base_meanwhile(project, world):
    """The other run's base is the one that counts: what is built on ours is based on no image."""
    graph = project(FILES | ON_APP)
    other = json.dumps({"schemaVersion": 2, "config": "another run's"}).encode()

    def finish():
        world.wait_for("built", "top")
        world.registry.put_manifest("shop/base", other, MEDIA_TYPE, tag=in_tag(keys["base"]))

    keys = world.run(graph).keys
    world.registry.store.tags.clear()
    world.on["check", "base"] = finish
    found = world.run(graph)
    assert found.error is None
    base, app, top = (found.images[name] for name in ("base", "app", "top"))
    assert (base.action, app.action, top.action) == ("reused", "built", "built")
    assert base.ref.digest == world.registry.resolve("shop/base", in_tag(keys["base"]))
    assert [one.digest for one in app.bases] == [base.ref.digest]
    assert [one.digest for one in top.bases] == [app.ref.digest]
    assert world.requests["app"][-1].parents == {"shop/base": str(base.ref)}
    for image in (app, top):
        assert image.input_key != keys[image.name]
        assert world.registry.resolve(image.ref.repository, in_tag(keys[image.name])) is None


def test_a_gate_is_asked_after_the_validation_and_nothing_is_built_before_it_has_passed(
    project, world
):
    world.on["gate", "base"] = lambda: time.sleep(0.2)  # what must not begin yet would have begun
    found = world.run(project(FILES), gate=True, concurrency=4)
    assert found.error is None
    told = [event for event in world.events if event[0] in {"build", "checked", "gate"}]
    assert told == [
        (kind, name) for name in ("base", "app") for kind in ("build", "checked", "gate")
    ]


def test_what_the_gate_refuses_is_finished_and_nothing_is_built_on_it(project, world):
    def refuse():
        raise GateError("base: CVE-1.")

    world.on["gate", "base"] = refuse
    found = world.run(project(FILES), gate=True)
    assert set(found.refused) == {"base"}
    assert ("build", "app") not in world.events
    assert dict(found.blocked) == {"app": frozenset({"base"})}
    assert world.finished() == ["base"]


def test_an_image_is_asked_about_by_the_gate_only_once_its_validation_has_passed(project, world):
    world.refuse("base")
    found = world.run(project(FILES), gate=True)
    assert ("gate", "base") not in world.events
    assert (set(found.failed), found.refused) == ({"base"}, {})


def test_without_a_validation_each_image_is_finished_after_its_base(project, world):
    found = world.run(project(FILES | ON_APP), validator=False)
    assert found.error is None
    assert world.finished() == ["app", "base", "top"]


def test_sources_that_change_under_one_build_leave_the_base_as_it_is(project, world):
    graph = project(FILES)
    path = project.root / "app/x"
    world.on["build", "app"] = lambda: path.write_text("changed")
    world.on["check", "base"] = lambda: world.wait_for("built", "app")
    found = world.run(graph)
    assert "sources of app changed while it was built" in found.failed["app"]
    assert world.finished() == ["base"]


def test_a_registry_that_fails_as_the_base_is_finished_blocks_what_was_built_on_it(project, world):
    put = world.registry.put_manifest

    def fails(repository, content, media_type, *, tag=None):
        if repository == "shop/base" and tag and tag.startswith("in-"):
            world.wait_for("checked", "app")
            raise RegistryError("507: no room.")
        return put(repository, content, media_type, tag=tag)

    world.registry.put_manifest = fails
    found = world.run(project(FILES))
    assert (set(found.failed), set(found.blocked)) == ({"base"}, {"app"})
    assert world.finished() == []


def test_ctrl_c_in_a_validation_stops_all_and_leaves_no_tag(project, world):
    def press():
        world.wait_for("checked", "app")
        raise KeyboardInterrupt

    world.on["check", "base"] = press
    with pytest.raises(KeyboardInterrupt):
        world.run(project(FILES))
    assert world.finished() == []
    assert not [one for one in threading.enumerate() if one.name.startswith("aksci")]


class Ended(Task):
    """Tasks that end once, with their last word."""

    def __init__(self, ended, name):
        self.ended, self.name = ended, name

    def step(self, text):
        assert self.name not in self.ended, text

    line = warning = step

    def done(self, text):
        self.step(text)
        self.ended[self.name] = text.rpartition(" (")[0]


def test_each_task_ends_once_and_says_what_blocks_it(project, world, blocked):
    ended = {}
    world.reporter.task = partial(Ended, ended)
    world.refuse("base", after=[("check", "app")])
    world.on["check", "app"] = lambda: blocked.wait(WAIT)
    world.run(project(FILES))
    assert ended == {"base": "failed its validation", "app": "blocked: base failed its validation"}


def test_a_validation_that_waits_for_its_turn_is_not_begun_after_ctrl_c(project, world):
    """Four run, that of the base among them: as many as may run at once."""
    others = [f"o{number:02}" for number in range(3)]
    files = {f"{name}/Dockerfile": f"FROM scratch\nLABEL n={name}\nCOPY x /\n" for name in others}
    files |= {f"{name}/x": name for name in others}
    ended, stopped, stop = {}, threading.Event(), world.stop
    world.reporter.task = partial(Ended, ended)
    world.stop = lambda: (stopped.set(), stop())

    def press():
        world.wait_for("built", "app")
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        stopped.wait(WAIT)

    world.on["build", "app"] = lambda: [world.wait_for("check", name) for name in others]
    world.on["check", "base"] = press
    for name in others:
        world.on["check", name] = lambda: stopped.wait(WAIT)
    with pytest.raises(KeyboardInterrupt):
        world.run(project(FILES | files), concurrency=2)
    assert ("check", "app") not in world.events
    assert ended["app"] == "stopped"
    assert set(ended) == {"base", "app", *others}


def test_a_validation_whose_turn_comes_after_its_base_has_failed_is_not_begun(project, world):
    ended = {}
    world.reporter.task = partial(Ended, ended)
    run = world.make_run(project(FILES))
    built = run.make("base", {})
    run._block("base", "its own base", ValidationError("no"))
    built.check()
    assert ("check", "base") not in world.events
    assert ended == {"base": "blocked: its own base failed its validation"}


def test_an_image_that_was_told_to_be_built_is_told_to_be_blocked(project, world):
    class Noted(Ended):
        def done(self, text):
            super().done(text)
            world.note("told", self.name)

    ended = {}
    world.reporter.task = partial(Noted, ended)
    world.refuse("base", after=[("told", "app")])
    world.run(project(FILES))
    assert ended["app"].startswith("built sha256:")
    assert world.reporter.lines == ["[app] blocked: base failed its validation"]
