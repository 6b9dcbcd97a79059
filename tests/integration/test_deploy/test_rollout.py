"""Deployments into the real cluster."""

from __future__ import annotations

import pytest

from aksci.core.errors import ConfigError, DeployError, RolloutError, StepError
from aksci.deploy.targets.helm import read_helm_states
from aksci.oci.references import ImageRef


def revisions(world, service="web"):
    state = read_helm_states(world.cluster).get(service)
    return [(each.number, each.status) for each in state.revisions] if state else []


def test_a_service_is_installed_upgraded_and_then_left_alone(world):
    first = world.release()
    assert [each.action for each in world.deploy(first).services] == ["install"]
    assert world.ask() == "hello from 1"

    again = world.deploy(first)
    assert not again.changed
    assert again.seconds < 1
    assert revisions(world) == [(1, "deployed")]

    world.values(version="2")
    result = world.deploy()
    assert [each.action for each in result.services] == ["upgrade"]
    assert result.plan.services[0].reasons[0]["code"] == "VALUES"
    assert world.ask() == "hello from 2"


def test_a_crash_at_start_is_diagnosed_and_only_this_service_goes_back(world):
    services = {"web": {"needs": ["api"]}, "api": {}}
    world.values("api")
    world.deploy(**services)
    world.values("api", version="2")
    world.values("web", mode="crash")

    with pytest.raises(RolloutError) as caught:
        world.deploy(**services)

    message = str(caught.value)
    assert "web: Deployment/web failed: CRASH_LOOP" in message
    assert "exit code 3" in message
    assert "cannot reach the database" in message
    assert "##vso" not in message
    assert "rolled back to revision 1 (as revision 3) and is healthy" in message
    assert world.ask("web") == "hello from 1"
    assert world.ask("api") == "hello from 2"

    world.values("web")
    result = world.deploy(**services)
    assert {each.service: each.action for each in result.services} == {"api": "skip", "web": "skip"}


def test_a_failed_first_install_is_removed_after_the_diagnosis(world):
    absent = ImageRef("localhost:5000", "aksci-tests/tiny", "sha256:" + "1" * 64)
    with pytest.raises(RolloutError, match="IMAGE_PULL_NOT_FOUND") as caught:
        world.deploy(world.release(image=absent))
    assert "had no earlier revision and was removed again" in str(caught.value)
    assert revisions(world) == []
    assert world.cluster.get("Deployment", "web") is None


def test_a_missing_secret_is_named(world):
    world.values(secret="nowhere")
    with pytest.raises(RolloutError, match=r'CONFIG_ERROR: secret "nowhere" not found'):
        world.deploy()


def test_too_little_memory_is_called_that(world):
    world.values(mode="hog", memory="16Mi")
    with pytest.raises(RolloutError, match="OOM"):
        world.deploy(web={"timeout": 90})


def test_a_failing_probe_is_found_behind_the_time_out(world):
    world.values(probePort=9999)
    with pytest.raises(RolloutError, match="PROBE_FAILING: Readiness probe failed"):
        world.deploy(web={"timeout": 6})


def test_a_pod_that_fits_nowhere_is_unschedulable(world):
    world.values(cpu="5000")
    with pytest.raises(RolloutError, match=r"UNSCHEDULABLE: .*Insufficient cpu"):
        world.deploy(web={"timeout": 4})


def test_a_stateful_set_that_is_stuck_comes_back_too(world):
    world.values(kind="StatefulSet")
    world.deploy()
    world.values(kind="StatefulSet", mode="crash")
    with pytest.raises(RolloutError, match=r"CRASH_LOOP.*(?s:.*) and is healthy"):
        world.deploy()
    assert world.ask() == "hello from 1"


def test_a_misspelt_value_stops_before_anything_is_touched(world):
    world.values(repliccas=2)
    with pytest.raises(ConfigError, match="repliccas"):
        world.deploy(web={"pre": [world.job("migrate")]})
    assert revisions(world) == []
    assert world.cluster.list("Job") == []


def test_what_the_api_server_refuses_is_told_in_its_words_and_undone(world):
    world.deploy()
    world.values(kind="StatefulSet", memory="lots")
    with pytest.raises(DeployError, match=r"quantities must match(?s:.*)rolled back to revision 1"):
        world.deploy()
    assert world.ask() == "hello from 1"


def test_a_pre_step_runs_once_for_the_same_content_and_its_log_is_told(world):
    services = {"web": {"pre": [world.job("migrate", GREETING="users")]}}
    world.deploy(**services)
    assert "migrate | migrating users" in world.reporter.text
    world.values(version="2")
    result = world.deploy(**services)
    assert [(each.name, each.action) for each in result.services[0].steps] == [
        ("migrate", "unchanged")
    ]
    assert len(world.cluster.list("Job")) == 1


def test_a_failing_pre_step_leaves_kubernetes_untouched_and_is_run_again_next_time(world):
    services = {"web": {"pre": [world.job("migrate", EXIT=7)]}}
    for _ in range(2):
        with pytest.raises(StepError, match=r"exit code 7(?s:.*)migration ends with 7"):
            world.deploy(**services)
    assert "is run again: it failed before" in world.reporter.text
    assert revisions(world) == []


def test_a_step_that_does_not_end_is_stopped_at_its_time_out(world):
    step = {**world.job("migrate", SECONDS=60), "timeout": 2}
    with pytest.raises(StepError, match="did not end within 2 s"):
        world.deploy(web={"pre": [step]})


def test_a_post_step_asks_the_service_through_the_api_server(world):
    smoke = {"name": "smoke", "kind": "http", "service": "web", "expect_text": "hello from 1"}
    world.deploy(web={"post": [smoke]})
    world.values(version="2")
    with pytest.raises(StepError, match=r"Its last answer: 200: hello from 2(?s:.*)rolled back"):
        world.deploy(web={"post": [{**smoke, "timeout": 2}]})
    assert world.ask() == "hello from 1"
