"""Which parts are started for what: building and running images must not wait for Kubernetes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from aksci.local import platform
from aksci.local.endpoints import Preparation
from aksci.local.layout import Layout, Network, Ports
from aksci.local.platform import ALL_PARTS, BUILD_PARTS, CONTAINER_PARTS, NETWORK_PARTS
from aksci.local.startup import Startup


@pytest.fixture
def tasks(tmp_path, reporter):
    """Say which tasks there are for some parts."""

    def names(parts):
        startup = Startup(
            layout=Layout(tmp_path), ports=Ports(), network=Network(), toolbox=None, runner=None,
            reporter=reporter, seeds=(), minimum_free=0,
        )  # fmt: skip
        made = startup.tasks(parts)
        for name, task in made.items():
            # ``run_tasks`` wants needs first.
            assert set(task.needs) <= set(list(made)[: list(made).index(name)]), name
        return set(made)

    return names


BUILDS = {"packages", "tool:registry", "tool:buildkitd", "registry", "buildkitd"}
RUNS = {"tool:pause", "host", "pause", "containerd"}


@pytest.mark.parametrize(
    ("parts", "there"),
    [
        (BUILD_PARTS, BUILDS),
        (BUILD_PARTS | CONTAINER_PARTS, BUILDS | RUNS),
        (BUILD_PARTS | NETWORK_PARTS, BUILDS | RUNS | {"network"}),
    ],
)
def test_images_are_built_and_run_without_kubernetes(tasks, parts, there):
    assert tasks(parts) == there


def test_kubernetes_has_all_that_running_images_needs(tasks):
    assert tasks(ALL_PARTS) >= BUILDS | RUNS | {"network", "tool:kube", "kubelet", "dns"}
    assert tasks(frozenset({"registry", "buildkitd", "kubernetes"})) == tasks(ALL_PARTS)


@pytest.fixture
def preparation(tmp_path, reporter, monkeypatch):
    """An embedded platform's preparation, and the parts that each start of it had."""
    started = []

    def up(*, parts, state, **_rest):
        started.append(parts)
        return Layout(state).endpoints(Ports())

    # Not the platform's own: that one is real, and tried in the integration tests.
    monkeypatch.setattr(platform, "up", up)

    class Embedded:
        platform = "embedded"

    made = Preparation(
        settings=Embedded(), name="local", root=tmp_path, platform=Path(tmp_path, "p"),
        variables={}, start=True, toolbox=lambda: None, runner=None, reporter=reporter, seeds={},
        notary=False,
    )  # fmt: skip
    return made, started


def test_what_was_started_for_more_is_enough_for_less(preparation):
    made, started = preparation
    made.prepare(containers=True)
    made.prepare()
    assert started == [BUILD_PARTS | CONTAINER_PARTS]
    made.prepare(network=True)
    made.prepare(containers=True)
    assert started[1:] == [BUILD_PARTS | NETWORK_PARTS]
    made.prepare(cluster=True)
    made.prepare(network=True)
    assert started[2:] == [ALL_PARTS]


def test_two_threads_that_run_images_start_containerd_once(preparation):
    made, started = preparation
    threads = [threading.Thread(target=made.prepare, kwargs={"containers": True}) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1
