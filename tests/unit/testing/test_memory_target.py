"""A target in memory keeps revisions as Helm does, so that all else can read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aksci.core.errors import DeployError
from aksci.deploy.kubernetes.cluster import open_cluster
from aksci.deploy.targets.deploy_target import Change
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
    return MemoryTarget(cluster=memory, namespace="shop")


@pytest.fixture
def states(memory):
    """Read Helm's states as a deployment does."""
    address = "http://cluster.test"
    with open_cluster(memory.client(), address=address, namespace="shop", hint="") as cluster:
        yield lambda: read_helm_states(cluster)


def upgrade(target, image, number=1, *, name="web"):
    change = Change(
        service=name,
        chart=Path("chart"),
        values=(Path("values/web.yaml"),),
        images={"image": image},
        desired="d",
        number=number,
    )
    target.apply(None, change)


def test_what_is_applied_runs_by_digest(target, memory):
    upgrade(target, ONE)
    assert target.images("web") == {"image": str(ONE)}
    assert memory.images("shop") == {"web/image": str(ONE)}
    (applied,) = target.applied
    assert (applied.service, applied.revision, applied.action) == ("web", 1, "upgrade")
    assert applied.values == ("values/web.yaml",)


def test_its_revisions_are_read_as_helm_s(target, states):
    upgrade(target, ONE)
    upgrade(target, TWO, 2)
    state = states()["web"]
    assert target.observe(None) == {"web": state}
    assert [(each.number, each.status) for each in state.revisions] == [
        (1, "superseded"),
        (2, "deployed"),
    ]
    assert state.latest.desired == "d"


def test_a_rollback_is_a_new_revision_of_the_earlier_one(target, memory, states):
    upgrade(target, ONE)
    upgrade(target, TWO, 2)
    target.restore(None, "web", 1, timeout=1)
    assert memory.images("shop") == {"web/image": str(ONE)}
    assert states()["web"].latest.number == 3
    assert target.applied[-1].action == "rollback"


def test_as_many_revisions_are_kept_as_helm_is_told_to(target, states):
    for number in range(1, 13):
        upgrade(target, ONE, number)
    assert [each.number for each in states()["web"].revisions] == [*range(3, 13)]


def test_what_is_uninstalled_is_gone(target, memory, states):
    upgrade(target, ONE)
    upgrade(target, TWO, name="api")
    target.remove(None, "web", timeout=1)
    target.remove(None, "unknown", timeout=1)
    assert memory.images("shop") == {"api/image": str(TWO)}
    assert set(states()) == {"api"}


def test_a_service_is_refused_as_it_is_told(target, memory):
    target.fail("web", "field is immutable")
    with pytest.raises(DeployError, match="field is immutable"):
        upgrade(target, ONE)
    assert memory.objects == {}
    target.recover()
    upgrade(target, ONE)


def test_what_a_chart_makes_can_be_told_and_what_it_makes_no_more_is_removed(target, memory):
    def render(name, chart, values, images):
        assert (name, chart, len(values)) == ("web", Path("chart"), 1)
        names = ("one", "two") if images["image"] == ONE else ("two",)
        return [{"kind": "ConfigMap", "metadata": {"name": each}} for each in names]

    target.render_objects = render
    upgrade(target, ONE)
    assert set(memory.find("shop", "configmaps")) == {"one", "two"}
    upgrade(target, TWO, 2)
    assert set(memory.find("shop", "configmaps")) == {"two"}
