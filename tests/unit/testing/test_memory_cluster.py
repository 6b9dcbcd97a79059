"""A cluster in memory answers the client that a real one answers, and rolls out what is applied."""

from __future__ import annotations

import pytest

from aksci.core.errors import ConfigError, DeployError
from aksci.deploy.kubernetes.cluster import Conflict, open_cluster
from aksci.deploy.tracking.diagnose import diagnose
from aksci.deploy.tracking.track_rollout import take_snapshot, track
from aksci.deploy.tracking.workload_health import TRACKED, Patience
from aksci.testing.clock import Clock
from aksci.testing.memory_cluster import MemoryCluster

IMAGE = "shop.test/shop/web@sha256:" + "1" * 64


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def memory(clock):
    return MemoryCluster(now=clock)


@pytest.fixture
def cluster(memory):
    with connect(memory) as cluster:
        yield cluster


def connect(memory, **options):
    address = "http://cluster.test"
    return open_cluster(memory.client(), address=address, namespace="shop", hint="", **options)


def config_map(name="a", **metadata):
    return {"kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"key": "1"}}


def workload(kind="Deployment", **spec):
    labels = {"app": "web"}
    container = {"name": "main", "image": IMAGE}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    whole = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"kind": kind, "metadata": {"name": "web"}, "spec": whole}


def test_objects_are_kept_listed_and_deleted(cluster):
    cluster.create("ConfigMap", config_map("a", labels={"x": "1", "y": "2"}))
    cluster.create("ConfigMap", config_map("b", labels={"x": "1"}))
    assert cluster.get("ConfigMap", "a")["data"] == {"key": "1"}
    names = {
        labels: [each["metadata"]["name"] for each in cluster.list("ConfigMap", labels=labels)]
        for labels in ("", "x=1,y=2", "x=2")
    }
    assert names == {"": ["a", "b"], "x=1,y=2": ["a"], "x=2": []}
    fields = cluster.list("ConfigMap", fields="metadata.name=b")
    assert [each["metadata"]["name"] for each in fields] == ["b"]
    cluster.delete("ConfigMap", "a")
    assert cluster.get("ConfigMap", "a") is None


def test_what_exists_is_not_created_again_nor_overwritten_unread(cluster):
    cluster.create("ConfigMap", config_map())
    with pytest.raises(Conflict):
        cluster.create("ConfigMap", config_map())
    read = cluster.get("ConfigMap", "a")
    cluster.replace("ConfigMap", read)
    with pytest.raises(Conflict, match="has been modified"):
        cluster.replace("ConfigMap", read)


def test_what_was_read_does_not_change_what_is_kept(cluster, memory):
    cluster.create("ConfigMap", config_map())
    _, read = memory.handle("GET", "/api/v1/namespaces/shop/configmaps/a")
    read["data"]["key"] = "2"
    (kept,) = memory.find("shop", "configmaps").values()
    assert kept["data"] == {"key": "1"}


def test_its_clock_is_the_test_s(cluster, clock):
    assert cluster.clock() == clock()
    clock.pass_by(60)
    assert cluster.clock() == clock()


def test_namespaces_are_those_that_there_are():
    memory = MemoryCluster(namespaces=("other",))
    with pytest.raises(ConfigError, match="no namespace 'shop'"):
        connect(memory)
    connect(memory, create_namespace=True).close()
    connect(memory).close()


@pytest.mark.parametrize("kind", TRACKED)
def test_a_workload_is_rolled_out_as_soon_as_it_is_written(cluster, memory, kind):
    job = {"jobTemplate": {"spec": workload()["spec"]}} if kind == "CronJob" else {}
    cluster.create(kind, workload(kind, **job))
    found = take_snapshot(cluster, [kind]).health(f"{kind}/web", Patience())
    assert found.done, found.text
    pods = memory.find("shop", "pods")
    assert len(pods) == (0 if kind == "CronJob" else 1)
    shown = {} if kind in {"CronJob", "Job"} else {"web/main": IMAGE}
    assert memory.images("shop") == shown


def test_the_pods_before_are_gone_when_it_is_written_again(cluster, memory):
    cluster.create("Deployment", workload(replicas=2))
    first = set(memory.find("shop", "pods"))
    cluster.replace("Deployment", {**cluster.get("Deployment", "web"), **workload(replicas=3)})
    assert len(memory.find("shop", "pods")) == 3
    assert not first & set(memory.find("shop", "pods"))
    assert len(memory.find("shop", "replicasets")) == 1
    cluster.delete("Deployment", "web", wait=1)
    assert memory.find("shop", "pods") == {}


def follow(cluster):
    return track(
        cluster, ("Deployment/web",), timeout=5, say=lambda _: None, check=lambda: None
    )  # fmt: skip


def test_a_workload_that_is_told_to_break_down_is_diagnosed_and_well_the_next_time(cluster, memory):
    memory.break_down("web", log="no such table: users")
    cluster.create("Deployment", workload())
    found = diagnose(cluster, "web", follow(cluster))
    assert found.fault.code == "CRASH_LOOP"
    assert found.logs == ("no such table: users",)
    path = "/apis/apps/v1/namespaces/shop/deployments/web"
    memory.apply(path, workload())
    assert follow(cluster).complete

    memory.break_down("web", times=None)
    for _ in range(2):
        memory.apply(path, workload())
        assert follow(cluster).fault.code == "CRASH_LOOP"
    memory.heal()
    memory.apply(path, workload())
    assert follow(cluster).complete


def test_an_image_that_can_not_be_pulled_is_diagnosed(cluster, memory):
    memory.break_down("web", code="ImagePullBackOff", message="manifest unknown")
    cluster.create("Deployment", workload())
    assert follow(cluster).fault.code == "IMAGE_PULL_NOT_FOUND"


def test_services_answer_as_they_are_told(cluster, memory):
    assert cluster.ask_service("web", 80, "/health", timeout=1) == (200, "ok")
    memory.answer("web", 503, "away")
    assert cluster.ask_service("web", 80, "/health", timeout=1) == (503, "away")


def test_it_refuses_what_it_is_told_to(cluster, memory):
    memory.refuse("/pods", 403)
    with pytest.raises(DeployError, match="forbids GET"):
        cluster.list("Pod")
    memory.heal()
    assert cluster.list("Pod") == []
