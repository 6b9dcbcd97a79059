"""The lock never lasts longer for us than it does for those who wait for it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aksci.core.errors import LockError
from aksci.deploy.state import lease as module
from aksci.deploy.state.lease import hold_lock

LEASE = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/aksci-deploy"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(module, "_DURATION", 1)


def test_a_lock_that_was_waited_for_is_good_from_when_it_was_taken(api, cluster):
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "killed", "leaseDurationSeconds": 1, "renewTime": since}
    api.objects[LEASE] = {
        "metadata": {"name": "aksci-deploy", "resourceVersion": "1"},
        "spec": spec,
    }
    with hold_lock(cluster, "second", say=lambda _: None) as lock:
        lock.check()
        assert api.objects[LEASE]["spec"]["holderIdentity"] == "second"


def test_a_write_that_took_longer_than_the_lock_lasts_gives_no_lock(api, cluster):
    api.slow_writes = 1.2
    with (
        hold_lock(cluster, "slow", say=lambda _: None) as lock,
        pytest.raises(LockError, match="was lost"),
    ):
        lock.check()


def test_a_slow_renewal_counts_from_when_it_was_begun(api, cluster, monkeypatch):
    """Others compare with the time in the Lease, which is older than the end of our write."""
    monkeypatch.setattr(module, "_RENEW", 0.1)
    with hold_lock(cluster, "slow", say=lambda _: None) as lock:
        api.slow_writes = 1.2
        while len(api.writes) < 2:
            lock._done.wait(0.01)
        lock._done.wait(0.1)  # the answer has come back
        with pytest.raises(LockError, match="was lost"):
            lock.check()


def test_all_environments_of_a_namespace_share_one_lock(api, cluster):
    with hold_lock(cluster, "run", say=lambda _: None):
        assert api.writes == [LEASE]


def test_of_two_jobs_of_one_run_one_holds_the_lock(cluster, monkeypatch):
    monkeypatch.setattr(module, "_RENEW", 0.1)
    monkeypatch.setattr(module, "_DURATION", 30)
    with hold_lock(cluster, "run-1", say=lambda _: None) as first:
        with (
            pytest.raises(LockError, match=r"Another job of this run holds .*: run-1, since"),
            hold_lock(cluster, "run-1", say=lambda _: None),
        ):
            pass
        first.check()


def test_a_lock_that_another_job_of_the_run_took_over_is_lost(api, cluster, monkeypatch):
    monkeypatch.setattr(module, "_RENEW", 0.1)
    with hold_lock(cluster, "run-1", say=lambda _: None) as lock:
        held = api.objects[LEASE]["spec"]
        api.objects[LEASE]["spec"] = {**held, "acquireTime": "2020-01-01T00:00:00.000000Z"}
        assert lock._lost.wait(10)
        with pytest.raises(LockError, match="was lost"):
            lock.check()
    assert api.objects[LEASE]["spec"]["holderIdentity"] == "run-1"  # not ours to give back


def test_a_run_that_was_killed_takes_its_own_lock_back_when_it_has_lapsed(api, cluster):
    said = []
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "run-1", "leaseDurationSeconds": 1, "renewTime": since}
    metadata = {"name": "aksci-deploy", "resourceVersion": "1"}
    api.objects[LEASE] = {"metadata": metadata, "spec": spec}
    with hold_lock(cluster, "run-1", say=said.append) as lock:
        lock.check()
    assert said
