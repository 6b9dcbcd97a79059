"""Going back to an earlier release, and looking at what runs."""

from __future__ import annotations

import json

import pytest

from aksci.core.errors import PlanChangedError
from aksci.deploy.namespace_status import read_status
from aksci.deploy.rollback import choose_release
from aksci.deploy.state.deploy_record import read_record
from aksci.deploy.targets.helm import read_helm_states


def test_rollback_deploys_the_release_before_without_its_pre_steps(world):
    step = world.job("migrate")
    first = world.release()
    world.deploy(first)
    world.values(version="2")
    world.deploy(world.release())

    back = choose_release(read_record(world.cluster), None)
    assert back == first.reference
    world.values()
    result = world.deploy(world.release(number=1), rollback=True, web={"pre": [step]})

    assert world.ask() == "hello from 1"
    assert result.services[0].steps == ()
    assert read_record(world.cluster).current == first.reference


def test_status_tells_the_digest_that_the_pods_really_run(world):
    release = world.release()
    world.deploy(release)
    status = read_status(world.cluster, ["web", "absent"])
    web = status.services[1]
    assert status.release == release.reference
    assert (web.name, web.healthy, web.state) == ("web", True, "deployed")
    assert [pod.running.partition("@")[2] for pod in web.pods] == [world.image.digest]
    assert status.services[0].state == "absent"
    assert json.loads(json.dumps(status.as_json()))["schema"] == 1
    assert "web     revision 1 (deployed), healthy, 1/1 containers ready" in status.text()


def test_a_hand_made_change_is_noticed_and_put_right(world):
    release = world.release()
    world.deploy(release)
    world.run_helm(
        "upgrade",
        "web",
        str(release.services["web"].chart),
        "--reuse-values",
        "--set-string",
        "version=9",
    )
    result = world.deploy(release)
    assert result.plan.services[0].reasons == ({"code": "FOREIGN_CHANGE"},)
    assert world.ask() == "hello from 1"


def test_a_plan_is_done_while_it_holds_and_refused_once_somebody_has_changed_something(world):
    world.deploy(world.release())
    world.values(version="2")
    release = world.release()
    planned = world.plan(release)
    assert [each.action for each in planned.services] == ["upgrade"]
    chart = str(release.services["web"].chart)
    by_hand = ["upgrade", "web", chart, "--reuse-values", "--set-string", "version=9"]
    world.run_helm(*by_hand)
    with pytest.raises(PlanChangedError, match=r"web: Helm has revision 2 .*, and had revision 1"):
        world.deploy(release, planned=planned)
    assert read_record(world.cluster).attempt == ""
    assert len(read_helm_states(world.cluster)["web"].revisions) == 2

    planned = world.plan(release)
    assert world.deploy(release, planned=planned).plan.services == planned.services
    assert world.ask() == "hello from 2"


def test_a_deleted_workload_is_made_again_and_its_pre_steps_run_again(world):
    """What the steps had prepared may be gone with it: a replaced database has no schema."""
    release, services = world.release(), {"web": {"pre": [world.job("migrate")]}}
    world.deploy(release, **services)
    world.cluster.delete("Deployment", "web", wait=30)
    result = world.deploy(release, **services)
    assert [step.action for step in result.services[0].steps] == ["ran"]
    assert result.plan.services[0].reasons == ({"code": "MISSING", "workload": "Deployment/web"},)
    assert world.ask() == "hello from 1"


def test_an_image_set_by_hand_is_noticed_and_put_right(world):
    """As ``kubectl set image`` does it: by another field manager, and the service stays healthy."""
    release = world.release()
    world.deploy(release)
    # The same content under a name that was never scanned.
    foreign = f"{world.image.name}:1@{world.image.digest}"
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": foreign}]}}}}
    response = world.cluster._http.patch(
        f"/apis/apps/v1/namespaces/{world.namespace}/deployments/web",
        params={"fieldManager": "kubectl-set"},
        headers={"Content-Type": "application/strategic-merge-patch+json"},
        content=json.dumps(patch),
    )
    assert response.is_success
    result = world.deploy(release)
    reason = {"workload": "Deployment/web", "container": "main", "image": foreign}
    assert result.plan.services[0].reasons[0] == {"code": "DRIFT", **reason}
    pod = world.cluster.get("Deployment", "web")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == str(world.image)
    assert not world.deploy(release).changed
