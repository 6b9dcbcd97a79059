"""A target in memory applies, keeps and restores revisions as every target must."""

from __future__ import annotations

from pathlib import Path

import pytest

from aksci.core.errors import DeployError
from aksci.deploy.kubernetes.cluster import open_cluster
from aksci.deploy.targets.deploy_target import Change, Revision
from aksci.deploy.targets.helm import read_helm_states
from aksci.oci.references import ImageRef
from aksci.testing.memory_cluster import MemoryCluster
from aksci.testing.memory_target import MemoryTarget

ONE, TWO = (ImageRef("shop.test", "shop/web", "sha256:" + char * 64) for char in "12")


@pytest.fixture
def memory():
    return MemoryCluster()


@pytest.fixture
def target(memory):
    return MemoryTarget(memory=memory)


@pytest.fixture
def cluster(memory):
    """A client of the cluster, as a deployment has it."""
    address = "http://cluster.test"
    with open_cluster(memory.client(), address=address, namespace="shop", hint="") as cluster:
        yield cluster


def change(image, number=1, *, name="web"):
    return Change(
        service=name,
        chart=Path("chart"),
        values=(Path("values/web.yaml"),),
        images={"image": image},
        desired="d",
        release="r",
        number=number,
    )


def test_what_is_applied_runs_by_digest(target, cluster, memory):
    target.apply(cluster, change(ONE))
    assert target.images("web") == {"image": str(ONE)}
    assert memory.images("shop") == {"web/image": str(ONE)}
    (applied,) = target.applied
    assert (applied.service, applied.revision, applied.action) == ("web", 1, "apply")
    assert applied.values == ("values/web.yaml",)
    assert target.objects(cluster, "web") == target.render(change(ONE))


def test_its_revisions_are_kept_with_what_they_are_made_of(target, cluster):
    target.apply(cluster, change(ONE))
    target.apply(cluster, change(TWO, 2))
    assert target.observe(cluster)["web"].revisions == (
        Revision(number=1, status="superseded", desired="d", release="r"),
        Revision(number=2, status="deployed", desired="d", release="r"),
    )
    assert {*read_helm_states(cluster)} == {"web"}  # as who only knows Helm sees it


def test_an_earlier_revision_is_restored_as_a_new_one(target, cluster, memory):
    target.apply(cluster, change(ONE))
    target.apply(cluster, change(TWO, 2))
    target.restore(cluster, "web", 1, timeout=1)
    assert memory.images("shop") == {"web/image": str(ONE)}
    assert target.observe(cluster)["web"].latest.number == 3
    assert target.applied[-1].action == "restore"


def test_as_many_revisions_are_kept_as_helm_is_told_to(target, cluster):
    for number in range(1, 13):
        target.apply(cluster, change(ONE, number))
    kept = target.observe(cluster)["web"].revisions
    assert [each.number for each in kept] == [*range(3, 13)]


def test_what_is_removed_is_gone(target, cluster, memory):
    target.apply(cluster, change(ONE))
    target.apply(cluster, change(TWO, name="api"))
    target.remove(cluster, "web", timeout=1)
    target.remove(cluster, "unknown", timeout=1)
    assert memory.images("shop") == {"api/image": str(TWO)}
    assert {*target.observe(cluster)} == {"api"}


def test_a_service_is_refused_as_it_is_told(target, cluster, memory):
    target.fail("web", "field is immutable")
    with pytest.raises(DeployError, match="field is immutable"):
        target.apply(cluster, change(ONE))
    assert memory.objects == {}
    target.recover()
    target.apply(cluster, change(ONE))


def test_what_a_chart_makes_can_be_told_and_what_it_makes_no_more_is_removed(
    target, cluster, memory
):
    def render(asked):
        assert (asked.service, asked.chart, len(asked.values)) == ("web", Path("chart"), 1)
        names = ("one", "two") if asked.images["image"] == ONE else ("two",)
        return [{"kind": "ConfigMap", "metadata": {"name": each}} for each in names]

    target.render_objects = render
    target.apply(cluster, change(ONE))
    assert set(memory.find("shop", "configmaps")) == {"one", "two"}
    target.apply(cluster, change(TWO, 2))
    assert set(memory.find("shop", "configmaps")) == {"two"}
