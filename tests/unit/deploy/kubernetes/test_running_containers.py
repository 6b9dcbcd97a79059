"""What the cluster runs: every kind of container, and nothing that can't run again."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from aksci.core.errors import DeployError
from aksci.deploy.kubernetes.running_containers import (
    Running,
    containers_of_pod,
    containers_of_workload,
    other_chart,
    read_running,
)
from aksci.deploy.state.deploy_record import DeployRecord, ServiceRecord
from aksci.deploy.targets.deploy_target import Revision, ServiceState

NAMESPACE = "namespaces/shop"
IMAGE = "localhost:5000/shop/web@sha256:" + "1" * 64
TEMPLATE = {"template": {"spec": {"containers": [{"name": "main", "image": IMAGE}]}}}
SPECS = {
    "Deployment": TEMPLATE,
    "StatefulSet": TEMPLATE,
    "DaemonSet": TEMPLATE,
    "ReplicaSet": TEMPLATE,
    "Job": TEMPLATE,
    "CronJob": {"jobTemplate": {"spec": TEMPLATE}},
}
PATHS = {
    "CronJob": "/apis/batch/v1",
    "DaemonSet": "/apis/apps/v1",
    "Deployment": "/apis/apps/v1",
    "Job": "/apis/batch/v1",
    "Pod": "/api/v1",
    "ReplicaSet": "/apis/apps/v1",
    "StatefulSet": "/apis/apps/v1",
}


def thing(name="web", owner=None, **more):
    metadata = {"name": name, "uid": f"uid-{name}", **more.pop("metadata", {})}
    if owner:
        metadata["ownerReferences"] = [{"uid": f"uid-{owner}", "controller": True}]
    return {"metadata": metadata, **more}


def pod(name="web-1", image=IMAGE, running="", phase="Running", **more):
    statuses = [{"name": "main", "imageID": running}]
    return thing(
        name,
        spec={"containers": [{"name": "main", "image": image}]},
        status={"phase": phase, "containerStatuses": statuses},
        **more,
    )


@pytest.fixture
def put(api):
    def put(kind, each):
        path = f"{PATHS[kind]}/{NAMESPACE}/{kind.lower()}s/{each['metadata']['name']}"
        api.objects[path] = each

    return put


def found(cluster):
    return {f"{each.place}, {each.name}" for each in read_running(cluster).containers}


@pytest.mark.parametrize("kind", SPECS)
def test_a_workload_of_each_kind_is_looked_at_though_no_pod_of_it_runs(put, cluster, kind):
    put(kind, thing(spec=SPECS[kind]))
    assert found(cluster) == {f"{kind}/web, container main"}


@pytest.mark.parametrize("phase", ["Running", "Pending", "Unknown", "", "Weird"])
def test_a_pod_counts_in_each_phase_in_which_it_may_run(put, cluster, phase):
    put("Pod", pod(phase=phase))
    assert found(cluster) == {"Pod/web-1, container main"}


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_does_not_count(put, cluster, phase):
    put("Pod", pod(phase=phase))
    assert found(cluster) == set()


def test_a_job_counts_until_it_has_ended(put, cluster):
    put("Job", thing("going", spec=TEMPLATE, status={"conditions": []}))
    for name, kind in (("done", "Complete"), ("lost", "Failed")):
        conditions = [{"type": kind, "status": "True"}]
        put("Job", thing(name, spec=TEMPLATE, status={"conditions": conditions}))
    assert found(cluster) == {"Job/going, container main"}


def test_nobody_hides_a_deployment_by_giving_it_an_owner(put, cluster):
    put("Deployment", thing("web", spec=TEMPLATE))
    put("Deployment", thing("hidden", owner="web", spec=TEMPLATE))
    assert "Deployment/hidden, container main" in found(cluster)


def test_the_replica_sets_of_a_deployment_show_by_their_pods(put, cluster):
    put("Deployment", thing("web", spec=TEMPLATE))
    put("ReplicaSet", thing("web-5c", owner="web", spec=TEMPLATE))
    put("ReplicaSet", thing("stray", owner="gone", spec=TEMPLATE))
    assert found(cluster) == {
        "Deployment/web, container main",
        "ReplicaSet/stray, container main",
    }


@pytest.mark.parametrize(("kind", "owner"), [("ReplicaSet", "DaemonSet"), ("Job", "Deployment")])
def test_only_what_makes_replica_sets_and_jobs_hides_them(put, cluster, kind, owner):
    """Anybody can write an owner; no controller gives up one of a kind that is none."""
    put(owner, thing("web", spec=TEMPLATE))
    put(kind, thing("hidden", owner="web", spec=TEMPLATE))
    assert f"{kind}/hidden, container main" in found(cluster)


def test_init_and_ephemeral_containers_and_image_volumes_are_looked_at():
    spec = {
        "initContainers": [{"name": "setup", "image": "i"}],
        "containers": [{"name": "main", "image": "m"}],
        "ephemeralContainers": [{"name": "debug", "image": "e"}],
        "volumes": [{"name": "model", "image": {"reference": "v"}}, {"name": "tmp"}],
    }
    status = {
        "initContainerStatuses": [{"name": "setup", "imageID": "si"}],
        "containerStatuses": [{"name": "main", "imageID": "sm"}],
        "ephemeralContainerStatuses": [{"name": "debug", "imageID": "se"}],
    }
    each = containers_of_pod(thing(spec=spec, status=status), {})
    assert {one.name: (one.image, one.running) for one in each} == {
        "init container setup": ("i", "si"),
        "container main": ("m", "sm"),
        "ephemeral container debug": ("e", "se"),
        "volume model": ("v", ""),
    }


def test_a_pod_that_has_not_started_reports_nothing_to_run():
    each = pod()
    del each["status"]
    (one,) = containers_of_pod(each, {})
    assert (one.image, one.running) == (IMAGE, "")


def test_a_pod_belongs_to_the_helm_release_of_its_uppermost_owner(put, cluster):
    helm = {"annotations": {"meta.helm.sh/release-name": "shop"}}
    put("Deployment", thing("web", spec=TEMPLATE, metadata=helm))
    put("ReplicaSet", thing("web-5c", owner="web", spec=TEMPLATE))
    put("Pod", pod("web-5c-1", owner="web-5c"))
    put("Pod", pod("stray"))
    services = {each.place: each.service for each in read_running(cluster).containers}
    assert services == {"Deployment/web": "shop", "Pod/web-5c-1": "shop", "Pod/stray": ""}


def test_owners_in_a_circle_end():
    known = {"uid-a": thing("a", owner="b"), "uid-b": thing("b", owner="a")}
    (one,) = containers_of_workload("Job", thing("a", owner="b", spec=TEMPLATE), known)
    assert one.service == ""


def test_a_step_job_belongs_to_its_service():
    step = thing(spec=TEMPLATE, metadata={"labels": {"aksci.dev/service": "shop"}})
    (one,) = containers_of_workload("Job", step, {})
    assert one.service == "shop"


def test_an_empty_namespace_is_empty_and_a_refusing_cluster_is_an_error(api, cluster):
    assert read_running(cluster).empty
    api.refuse("/pods", 403)
    with pytest.raises(DeployError, match="forbids"):
        read_running(cluster)


@pytest.fixture
def deployed():
    good = ServiceRecord(desired="d", revision=2, release="r", inputs={"chart": "c"}, workloads=())
    revision = Revision(number=2, status="deployed")
    return Running(
        record=DeployRecord(services={"web": good}),
        helm={"web": ServiceState(name="web", revisions=(revision,))},
        containers=(),
    )


def test_the_chart_that_was_deployed_is_the_one_that_is_installed(deployed):
    assert other_chart("web", "c", deployed) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"helm": {}}, "no release of this name"),
        ({"record": DeployRecord()}, "aksci has not deployed"),
        (
            {
                "helm": {
                    "web": ServiceState(name="web", revisions=(Revision(number=3, status="x"),))
                }
            },
            r"revision 3 \(x\) is installed",
        ),
    ],
)
def test_what_somebody_else_has_installed_is_another_chart(deployed, changes, words):
    assert re.search(words, other_chart("web", "c", replace(deployed, **changes)))


def test_another_chart_than_the_recorded_one_is_told(deployed):
    assert "another chart" in other_chart("web", "other", deployed)


def test_a_service_that_runs_is_there_though_helm_does_not_know_it_any_more(deployed):
    """Else deleting Helm's Secrets would leave the chart verified that is not installed."""
    (one,) = containers_of_pod(
        pod(metadata={"annotations": {"meta.helm.sh/release-name": "web"}}), {}
    )
    assert deployed.has("web")
    assert replace(deployed, helm={}, containers=(one,)).has("web")
    assert not replace(deployed, helm={}).has("web")
