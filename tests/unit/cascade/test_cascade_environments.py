"""What each environment makes of a release that a cascade has made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from aksci.cascade.cascade_environments import EnvironmentActions, deploy_continued
from aksci.config.deploy_models import EnvironmentConfig, GatesConfig
from aksci.core.errors import ClusterError, ConfigError, GateError, Interrupted, RolloutError
from aksci.deploy.state.deploy_record import Deployed, DeployRecord
from aksci.oci.references import ImageRef

HOST = "r.example"


def ref(char, registry=HOST, repository="shop/release"):
    return ImageRef(registry, repository, "sha256:" + char * 64)


OLD, BEFORE, NEW, OTHER = (ref(char) for char in "abcd")
CHAIN = {NEW: (BEFORE, OLD), BEFORE: (OLD,)}


def environment(*, cascade=True, registry=HOST, **more):
    gates = GatesConfig(**more.pop("gates", {}))
    return EnvironmentConfig(
        registry=registry, namespace="shop", cascade=cascade, gates=gates, **more
    )


def record(*releases, attempt=None, rollback=False, going_back=False):
    """What a cluster has recorded, the last release last."""
    history = tuple(Deployed(release=str(each), at="", run="") for each in releases)
    if going_back:
        history = (*history[:-1], replace(history[-1], rollback=True))
    return DeployRecord(history=history, attempt=str(attempt or ""), rollback=rollback)


@dataclass
class World:
    """Environments in memory: name -> what runs there, or what happens to who looks."""

    clusters: dict
    refuses: dict = field(default_factory=dict)
    """Environment -> what its gates say."""
    fails: dict = field(default_factory=dict)
    """Environment -> what a deployment raises."""
    opened: list = field(default_factory=list)
    done: list = field(default_factory=list)
    environments: dict = field(default_factory=dict)

    def look(self, name):
        self.opened.append(name)
        found = self.clusters.get(name, DeployRecord())
        if isinstance(found, Exception):
            raise found
        return found

    def registry(self, name):
        return self.environments[name].registry

    def source(self, name):
        before = self.environments[name].promote_from
        if before == name or before not in self.environments:
            raise ConfigError(f"environments.{name}.promote_from is {before!r}.")
        return before

    def deploy(self, name, release, how="deploy"):
        self.done.append((how, name, release))
        if name in self.fails:
            raise self.fails[name]
        self.clusters[name] = record(replace(release, registry=self.registry(name)))
        return ("web",)

    def promote(self, name, release):
        if name in self.refuses:
            raise GateError(f"{release} may not come:\n  - {self.refuses[name]}")
        return self.deploy(name, release, "promote")

    def refusals(self, name, _release):
        return tuple(filter(None, [self.refuses.get(name)]))

    def run(self, release=NEW, start=None, *, environments, **how):
        self.environments = environments
        actions = EnvironmentActions(
            registry=self.registry,
            source=self.source,
            look=self.look,
            deploy=self.deploy,
            promote=self.promote,
            refusals=self.refusals,
            continues=lambda new, before: before in CHAIN.get(new, ()),
        )
        start = start or next(iter(environments))
        return deploy_continued(release, environments, start=start, actions=actions, **how)


def outcomes(found):
    return {each.name: each.outcome for each in found[0]}


# -- one environment --

CASES = {
    "the new release": (record(BEFORE, NEW), "unchanged", ""),
    "the release before": (record(BEFORE), "deployed", ""),
    "an earlier one of the chain": (record(OLD), "deployed", ""),
    "the release before, the new one failed": (record(BEFORE, attempt=NEW), "deployed", ""),
    "a release of its own": (record(BEFORE, OTHER), "left", "r-dddddddddddd runs there"),
    "nothing": (record(), "left", "nothing runs there"),
    "nothing, for the first one failed": (record(attempt=BEFORE), "left", "nothing runs there"),
    "what somebody went back to": (
        record(BEFORE, OLD, going_back=True),
        "left",
        "somebody went back to r-aaaaaaaaaaaa",
    ),
    "what somebody is going away from": (
        record(OLD, BEFORE, attempt=OLD, rollback=True),
        "left",
        "somebody went back to r-aaaaaaaaaaaa",
    ),
    "the release before, another has begun": (
        record(BEFORE, attempt=OTHER),
        "left",
        "the deployment of r-dddddddddddd has begun",
    ),
    "another project's": (record(ref("b", repository="other/release")), "left", "runs there"),
    "text that is no release": (record("\x1b[31m##vso[x]\n::error::y"), "left", "'# #vso[x] : :"),
}


@pytest.mark.parametrize(("found", "outcome", "words"), CASES.values(), ids=CASES)
def test_a_cascade_replaces_only_what_it_has_gone_on_from(found, outcome, words):
    world = World({"test": found})
    (told,), error = world.run(environments={"test": environment()})
    assert (told.outcome, error) == (outcome, None)
    assert words in told.detail
    assert told.services == (("web",) if outcome == "deployed" else ())
    assert world.done == ([("deploy", "test", NEW)] if outcome == "deployed" else [])
    if outcome == "left":
        assert told.detail.endswith(f": nox -s deploy -- --env test --release {NEW}")


@pytest.mark.parametrize(("found", "outcome", "words"), CASES.values(), ids=CASES)
def test_a_plan_says_the_same_and_changes_nothing(found, outcome, words):
    world = World({"test": found})
    (told,), _ = world.run(environments={"test": environment()}, plan_only=True)
    assert told.outcome == {"deployed": "would deploy"}.get(outcome, outcome)
    assert words in told.detail
    assert world.done == []


@pytest.mark.parametrize(
    ("running", "outcome"), [(OLD, "would deploy"), (BEFORE, "would deploy"), (OTHER, "left")]
)
def test_a_plan_for_a_release_to_come_starts_from_the_one_that_it_will_continue(running, outcome):
    world = World({"test": record(running)})
    (told,), _ = world.run(
        BEFORE, environments={"test": environment()}, plan_only=True, to_come=True
    )
    assert told.outcome == outcome
    assert "--release" not in told.detail


# -- several --


def test_only_environments_that_opted_in_and_what_they_promote_from_are_opened():
    world = World({name: record(BEFORE) for name in ("a", "b", "c", "d")})
    found = world.run(
        environments={
            "a": environment(cascade=False),
            "b": environment(cascade=False),
            "c": environment(),
            "d": environment(promote_from="a"),
        }
    )
    assert outcomes(found) == {"c": "deployed", "d": "waits"}
    assert world.opened == ["c", "d", "a"]


def test_what_a_person_has_deployed_in_the_environment_before_is_promoted():
    world = World({"staging": record(NEW), "production": record(BEFORE)})
    found = world.run(
        environments={
            "staging": environment(cascade=False),
            "production": environment(promote_from="staging"),
        }
    )
    assert outcomes(found) == {"production": "deployed"}


def chain_of_three(**gates):
    """Names that sort against the way of releases, and a registry for each."""
    return {
        "a-last": environment(promote_from="b-next", registry="c.example", **gates),
        "b-next": environment(promote_from="c-first", registry="b.example"),
        "c-first": environment(),
    }


def everywhere(release):
    return {
        name: record(replace(release, registry=host))
        for name, host in (("c-first", HOST), ("b-next", "b.example"), ("a-last", "c.example"))
    }


def test_releases_go_along_the_chain_of_promotions_from_registry_to_registry():
    world = World(everywhere(BEFORE))
    found = world.run(start="c-first", environments=chain_of_three())
    assert [(each.name, each.outcome) for each in found[0]] == [
        ("c-first", "deployed"),
        ("b-next", "deployed"),
        ("a-last", "deployed"),
    ]
    assert world.done == [
        ("deploy", "c-first", NEW),
        ("promote", "b-next", NEW),
        ("promote", "a-last", replace(NEW, registry="b.example")),
    ]
    again = world.run(start="c-first", environments=chain_of_three())
    assert set(outcomes(again).values()) == {"unchanged"}
    assert len(world.done) == 3


def test_a_closed_gate_is_no_error_and_what_is_behind_it_waits_too():
    world = World(everywhere(BEFORE), refuses={"b-next": "soak: it has run for 0 hours"})
    found = world.run(start="c-first", environments=chain_of_three())
    assert outcomes(found) == {"c-first": "deployed", "b-next": "waits", "a-last": "waits"}
    assert found[1] is None
    details = {each.name: each.detail for each in found[0]}
    assert "soak: it has run for 0 hours" in details["b-next"]
    assert "\n" not in details["b-next"]
    assert "'b-next', which it is promoted from, does not run it yet" in details["a-last"]


def test_what_promotes_from_a_failed_one_waits_and_the_others_go_on():
    first = RolloutError("web is not healthy.\nIt was rolled back.")
    clusters = {**everywhere(BEFORE), "d-other": record(BEFORE), "e-gone": ClusterError("away")}
    world = World(clusters, fails={"c-first": first})
    environments = {**chain_of_three(), "d-other": environment(), "e-gone": environment()}
    found = world.run(start="c-first", environments=environments)
    assert outcomes(found) == {
        "c-first": "failed",
        "d-other": "deployed",
        "e-gone": "failed",
        "b-next": "waits",
        "a-last": "waits",
    }
    assert found[1] is first
    assert found[0][0].detail == "web is not healthy."


def test_a_plan_follows_the_chain_as_far_as_the_gates_can_be_told():
    world = World(everywhere(BEFORE))
    open_gates = world.run(start="c-first", environments=chain_of_three(), plan_only=True)
    assert set(outcomes(open_gates).values()) == {"would deploy"}
    gated = chain_of_three(gates={"min_age": 24, "soak": 2})
    found = world.run(start="c-first", environments=gated, plan_only=True)
    assert outcomes(found)["a-last"] == "waits"
    assert "its gates want min_age = 24 and soak = 2 hours" in found[0][-1].detail
    world = World({**everywhere(BEFORE), "c-first": record(NEW)}, refuses={"b-next": "min_age: 1"})
    found = world.run(start="c-first", environments=chain_of_three(), plan_only=True)
    assert outcomes(found) == {"c-first": "unchanged", "b-next": "waits", "a-last": "waits"}
    assert found[0][1].detail == "min_age: 1"
    assert world.done == []


def test_an_environment_of_another_registry_is_left_and_not_opened():
    world = World({"far": record(BEFORE)})
    environments = {"near": environment(cascade=False), "far": environment(registry="b.example")}
    ((told,), error) = world.run(environments=environments)
    assert (told.outcome, error, world.opened) == ("left", None, [])
    assert told.detail.startswith("its registry is b.example, and the release is in r.example")
    assert told.detail.endswith("nox -s build deploy -- --env far")


def test_what_is_promoted_from_another_registry_is_left_and_nothing_on_the_way_is_opened():
    """A cascade on a laptop is no business of production."""
    world = World({"local": record(BEFORE)})
    outcomes, error = world.run(
        environments={
            "local": environment(),
            "staging": environment(registry="s.example", cascade=False),
            "production": environment(registry="p.example", promote_from="staging"),
        }
    )
    found = {one.name: (one.outcome, one.detail) for one in outcomes}
    assert error is None
    assert world.opened == ["local"]
    assert found["local"][0] == "deployed"
    assert found["production"][0] == "left"
    assert "'staging', where its releases begin, has s.example" in found["production"][1]


def test_gates_hold_also_where_the_cascade_itself_ran():
    world = World({"production": record(BEFORE), "staging": record(BEFORE)})
    environments = {
        "production": environment(promote_from="staging"),
        "staging": environment(cascade=False),
    }
    assert outcomes(world.run(start="production", environments=environments)) == {
        "production": "waits"
    }


@pytest.mark.parametrize("source", ["a", "nowhere"])
def test_a_source_that_can_not_be_is_a_failure_of_that_environment_alone(source):
    world = World({"a": record(BEFORE), "b": record(BEFORE)})
    found = world.run(environments={"a": environment(promote_from=source), "b": environment()})
    assert outcomes(found) == {"b": "deployed", "a": "failed"}
    (failed,) = (each for each in found[0] if each.name == "a")
    assert "environments.a.promote_from" in failed.detail
    assert found[1] is not None


def test_environments_that_promote_from_each_other_wait():
    world = World({"a": record(BEFORE), "b": record(BEFORE)})
    found = world.run(
        environments={"a": environment(promote_from="b"), "b": environment(promote_from="a")}
    )
    assert outcomes(found) == {"a": "waits", "b": "waits"}


def test_ctrl_c_ends_the_round():
    world = World({"a": record(BEFORE), "b": record(BEFORE)}, fails={"a": Interrupted("stop")})
    with pytest.raises(Interrupted):
        world.run(environments={"a": environment(), "b": environment()})
    assert world.done == [("deploy", "a", NEW)]
