"""The steps of a cascade, one by one, over registries in memory."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from aksci import steps
from aksci.cascade.cascade_report import scope_of, within
from aksci.core.errors import BuildError, ConfigError, GateError, RegistryError, UsageError
from aksci.environment import Environment
from aksci.parts import Parts
from aksci.pipelines.cascade import cascade as ready_made
from aksci.testing.clock import Clock
from aksci.testing.memory_bases import MemoryBases
from aksci.testing.memory_builder import MemoryBuilder
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.memory_scanner import CannedFinding, MemoryScanner
from aksci.testing.memory_signer import MemorySigner
from aksci.testing.reporter import RecordingReporter
from aksci.testing.sample_images import MANIFEST

HOST = "shop.example"
TOML = """\
schema = 1
[project]
name = "shop"
[discover]
dockerfiles = ["*/Dockerfile"]
[build]
validate = false
[environments.local]
namespace = "shop"
"""
PLACE = f'registry = "{HOST}"\n'
EMBEDDED = 'platform = "embedded"\n'
DOCKERFILES = {
    "base": "FROM debian:12\n",
    "web": "FROM shop/base:latest\nCOPY . /\n",
    "deep": "FROM shop/web:latest\n",
    "side": "FROM debian:12\nCOPY . /\n",
}
NAMES = sorted(DOCKERFILES)


class World:
    """A project, and all that it talks to."""

    def __init__(self, root):
        self.root = root
        self.configure()
        for name, text in DOCKERFILES.items():
            (root / name).mkdir()
            (root / name / "Dockerfile").write_text(text)
        self.bases = MemoryBases()
        self.registry = MemoryRegistry(HOST, complete=True)
        self.builder = MemoryBuilder(self.connect)
        self.scanner = MemoryScanner(self.connect, now=Clock())
        self.signer = MemorySigner(self.connect, now=Clock())
        self.reporter = RecordingReporter()

    def configure(self, extra="", place=PLACE):
        (self.root / "aksci.toml").write_text(TOML + place + extra)

    def connect(self, host):
        return self.registry if host == HOST else self.bases.connect(host)

    def open(self, **variables):
        parts = Parts(
            registry=self.registry,
            outside={"docker.io": self.bases.connect("docker.io")},
            builder=self.builder,
            scanner=self.scanner,
            signer=self.signer,
        )
        folder = {"XDG_CACHE_HOME": str(self.root / "home"), "XDG_STATE_HOME": f"{self.root}-state"}
        return Environment.open(
            root=self.root,
            reporter=self.reporter,
            variables={"PATH": "", **folder, **variables},
            now=Clock(),
            run_id="run",
            parts=parts,
        )

    def tags(self):
        """Return what is published of each image: its digest."""
        return {name: self.registry.resolve(f"shop/{name}", "latest") for name in NAMES}

    def signed(self):
        return {ref.repository.rpartition("/")[2] for ref in self.signer.signed}

    def written(self):
        """Return what the last cascade said of itself."""
        return json.loads((self.root / ".aksci/cascade.json").read_text())

    def forget_calls(self):
        for calls in (self.builder.requests, self.scanner.scanned, self.signer.signed):
            calls.clear()


@pytest.fixture
def world(tmp_path):
    """A project whose images are all published, and whose base image has moved since."""
    made = World(tmp_path)
    with made.open() as env:
        steps.cascade(env).require()
    made.before = made.tags()
    made.bases.move("debian:12")
    made.forget_calls()
    return made


def actions(cascade):
    return {one.image: one.action for one in cascade.images}


def test_what_passes_is_scanned_signed_and_tagged(world):
    with world.open() as env:
        done = steps.cascade(env).require()
        assert actions(done) == dict.fromkeys(NAMES, "rebuilt")
        assert world.signed() == set(NAMES)
        assert {move.image for move in done.tags} == set(NAMES)
        assert actions(steps.cascade(env)) == dict.fromkeys(NAMES, "kept")


def test_a_gate_of_ones_own_sees_what_passed_the_scan_before_anything_is_built_on_it(world):
    seen = {}

    def gate(name, image):
        assert image.ref in world.scanner.scanned
        time.sleep(0.2)  # what must not begin yet would have begun
        seen[name] = ([one.name for one in world.builder.requests], world.signed())

    with world.open() as env:
        steps.cascade(env, gate=gate).require()
    assert set(seen) == set(NAMES)
    built, signed = seen["base"]
    assert "base" in built
    assert not {"web", "deep"} & set(built)
    assert "base" not in signed
    assert "base" in seen["web"][1]


def test_what_ones_own_gate_refuses_is_not_signed_and_what_needs_it_keeps_what_runs(world):
    def smoke(name, image):
        if name == "web":
            raise GateError(f"{image.ref} does not answer.")

    with world.open() as env:
        done = steps.cascade(env, gate=smoke)
        assert actions(done) == {
            "base": "rebuilt",
            "web": "failed",
            "deep": "blocked",
            "side": "rebuilt",
        }
        with pytest.raises(GateError, match="does not answer"):
            done.require()
    after = world.tags()
    assert {name for name in NAMES if after[name] == world.before[name]} == {"web", "deep"}
    assert world.signed() == {"base", "side"}
    # It is asked about again, and not made once more.
    world.forget_calls()
    with world.open() as env:
        assert actions(steps.cascade(env).require())["web"] == "reused"
    assert [one.name for one in world.builder.requests] == ["deep"]
    assert world.signed() == {"web", "deep"}


def test_the_scan_gate_comes_first(world):
    world.scanner.find("base", CannedFinding(id="CVE-2026-0001"))
    seen = []
    with world.open() as env:
        done = steps.cascade(env, gate=lambda name, _image: seen.append(name))
    assert actions(done)["base"] == "failed"
    assert seen == ["side"]


def test_a_plan_starts_nothing_and_changes_nothing(world):
    before = (world.registry.store.tagged(), world.written())
    with world.open() as env:
        plan = steps.plan_cascade(env)
        plan = steps.deploy_cascade(env, steps.ask_owners(env, plan))
        assert plan.require().planned
        assert plan.to_do
        assert actions(plan) == dict.fromkeys(NAMES, "rebuild")
        assert env.notes["cascade"]["planned"]
    assert (world.builder.requests, world.scanner.scanned, world.signer.signed) == ([], [], [])
    assert (world.registry.store.tagged(), world.written()) == before


def test_a_plan_without_work_says_so(world):
    with world.open() as env:
        steps.cascade(env).require()
        assert not steps.plan_cascade(env).to_do


def test_a_step_of_ones_own_has_the_digests_and_the_report_before_the_next_step(world):
    """What it raises ends the run, and what was done until then is written down."""
    with world.open() as env:
        done = steps.cascade(env)
        assert {one.image: one.after for one in done.images} == world.tags()
        assert world.written()["images"] == env.notes["cascade"]["images"]
        asked = steps.ask_owners(env, done)
        assert asked.images == done.images
        # One that a test of theirs has made looks at everything.
        assert steps.ask_owners(env, within(done, None)).require().images == done.images
        assert set(asked.steps) == {"images", "tags", "release", "registry"}
        assert asked.seconds > done.seconds
        assert world.written()["steps"].keys() == asked.steps.keys()


def test_a_failure_of_a_later_step_is_kept_behind_the_first(world):
    world.builder.fail("side")
    with world.open() as env:
        done = steps.cascade(env)
        first = done.error
        assert first is not None
        world.registry.fail("repositories", RegistryError("no list"))
        assert steps.ask_owners(env, done).error is first
        world.registry.recover()


def test_the_ready_made_pipeline_tells_what_was_done_before_it_fails(world, capsys):
    world.builder.fail("side", "no space")
    with world.open() as env, pytest.raises(BuildError, match="side did not build"):
        ready_made(env, output=".aksci/told.txt")
    told = (world.root / ".aksci/told.txt").read_text()
    assert told.startswith("1 base moved: 3 images made again (3 rebuilt), 1 failed")
    assert world.written()["actions"] == {"rebuilt": 3, "failed": 1}
    assert "## Cascade" in world.reporter.summaries[0]
    assert capsys.readouterr().out == ""


def test_the_ready_made_pipeline_ends_with_a_status_of_its_own_where_a_plan_has_work(world):
    with world.open() as env:
        assert ready_made(env, plan=True, exit_code=True) == 20
        assert ready_made(env, plan=True) is None
        assert ready_made(env) is None
        assert ready_made(env, plan=True, exit_code=True) is None


# -- which bases count --


def test_only_what_follows_from_a_base_that_is_named_counts(world):
    with world.open() as env:
        assert steps.plan_cascade(env, bases=["docker.io/library/debian:12"]).to_do
        named = actions(steps.plan_cascade(env, bases=["side"]))
        assert named == {"base": "kept", "web": "kept", "deep": "kept", "side": "rebuild"}


def test_a_base_that_nothing_is_built_on_is_refused_before_anything_is_asked(world):
    calls = len(world.registry.asked())
    with world.open() as env, pytest.raises(UsageError, match=r"debian:11\.") as caught:
        steps.cascade(env, bases=["debian:11"])
    assert caught.value.hint == "its bases from outside: docker.io/library/debian:12."
    assert len(world.registry.asked()) == calls


@pytest.mark.parametrize(
    ("base", "variables"),
    [
        (f"debian:11@sha256:{'0' * 64}", {}),
        ("debian:11", {"AKSCI_CASCADE_CHAIN": f"{HOST}/pay"}),
    ],
)
def test_whoever_saw_a_push_or_was_asked_to_follow_one_is_only_warned(world, base, variables):
    with world.open(**variables) as env:
        assert not steps.plan_cascade(env, bases=[base]).to_do
    assert world.reporter.warnings == [
        "Nothing in this project is built on docker.io/library/debian:11."
    ]


def test_a_base_of_other_repositories_is_no_mistake_where_they_are_searched(world):
    with world.open() as env:
        plan = steps.plan_cascade(env, bases=["debian:11"], registry_wide=True)
    assert actions(plan) == dict.fromkeys(NAMES, "kept")
    assert world.reporter.warnings == []


def test_a_base_of_a_range_is_meant_by_each_of_its_tags(world):
    world.configure('[[cascade.bases]]\nbase = "debian"\ntags = "x"\n')
    with world.open() as env:
        plan = steps.plan_cascade(env, bases=["debian:13"])
    named = scope_of(plan).named
    assert named.only == {"docker.io/library/debian:12"}
    assert named.references == ("docker.io/library/debian:13",)


def test_a_list_of_askers_that_is_none_is_refused(world):
    with world.open(AKSCI_CASCADE_CHAIN="$(id)") as env, pytest.raises(UsageError):
        steps.cascade(env)
    with world.open() as env, pytest.raises(UsageError, match="--base"):
        steps.cascade(env, bases=["UPPER"])


def test_a_range_that_is_none_is_refused(world):
    world.configure('[[cascade.bases]]\nbase = "debian"\ntags = "||"\n')
    with world.open() as env, pytest.raises(ConfigError, match="cascade"):
        steps.plan_cascade(env)


# -- the environments that opted in --


def test_where_no_environment_opted_in_nothing_is_looked_at(world):
    with world.open() as env:
        done = steps.cascade(env)
        calls = len(world.registry.asked())
        assert steps.deploy_cascade(env, done) is done
    assert len(world.registry.asked()) == calls


def test_a_plan_asks_for_no_place_that_would_be_started(world, monkeypatch):
    world.configure("cascade = true\n")
    digest = world.registry.plant("shop/release", b"{}", media_type=MANIFEST)
    world.registry.move_tag("shop/release", "latest", digest)
    found, started = Environment.endpoints, []

    def endpoints(env):
        started.extend([env.name] * env.start)
        return found.fget(env)

    with world.open() as env:
        plan = steps.plan_cascade(env)
        monkeypatch.setattr(Environment, "endpoints", property(endpoints))
        steps.deploy_cascade(env, plan)
    assert started == []


def test_where_nothing_was_released_nothing_is_deployed(world):
    world.configure("cascade = true\n")
    with world.open() as env:
        done = steps.cascade(env)
        assert steps.deploy_cascade(env, done) is done


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (f'{PLACE}kubeconfig = "none.yaml"\n', "none.yaml does not exist."),
        (EMBEDDED, "The local cluster is not up"),
    ],
    ids=["external", "embedded"],
)
def test_a_cluster_that_does_not_exist_is_a_clear_failure(world, place, words):
    world.configure("cascade = true\n", place)
    digest = world.registry.plant("shop/release", b"{}", media_type=MANIFEST)
    world.registry.move_tag("shop/release", "latest", digest)
    with world.open() as env:
        done = steps.deploy_cascade(env, steps.plan_cascade(env))
    (told,) = done.environments
    assert (told.name, told.outcome) == ("local", "failed")
    assert words in told.detail
    assert done.error is not None
    assert not (world.root / "aksci").exists()  # where the platform would be


def test_the_composition_in_the_documentation_runs(world, capsys):
    page = (Path(__file__).parents[3] / "docs/cascade.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = code.replace("aksci.errors", "aksci.core.errors")
    tried = []
    names = {"answers": lambda ref: "side" not in ref.repository, "load_test": tried.append}
    exec(code, names)  # noqa: S102 - our own page
    with world.open() as env, pytest.raises(GateError, match="side does not answer"):
        names["bases"](env)
    assert actions(tried[0])["base"] == "rebuilt"
    assert "1 failed" in capsys.readouterr().out
