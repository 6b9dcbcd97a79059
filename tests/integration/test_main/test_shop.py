"""The main job: the shop is built and deployed, answers, and a second run changes nothing."""

from __future__ import annotations

import json
import urllib.request

import pytest

ADDRESS = "http://127.0.0.1:30080"


@pytest.fixture(scope="module")
def deployed(shop):
    shop.run("build")
    shop.run("deploy")
    return shop


def _get(path):
    with urllib.request.urlopen(ADDRESS + path, timeout=30) as response:
        return response.read().decode()


def test_the_shop_answers_through_all_its_services(deployed):
    overview = json.loads(_get("/api/overview"))
    assert overview["degraded"] == []
    assert {"mug", "rope"} <= {product["sku"] for product in overview["products"]}


def test_an_order_goes_through_two_services_into_the_database(deployed):
    request = urllib.request.Request(
        f"{ADDRESS}/api/orders",
        data=json.dumps({"sku": "mug", "quantity": 2}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 201
        made = json.load(response)
    latest = json.loads(_get("/api/overview"))["orders"]
    assert made["id"] in [order["id"] for order in latest]


def test_a_second_run_builds_signs_and_changes_nothing(deployed, kubectl):
    def revisions():
        secrets = kubectl("get", "secrets", "-n", "shop", "-l", "owner=helm", "-o", "name")
        return sorted(secrets.split())

    def jobs():
        names = kubectl("get", "jobs", "-n", "shop", "-l", "aksci.dev/step", "-o", "name")
        return sorted(names.split())

    before, before_jobs = revisions(), jobs()
    deployed.run("build")
    deployed.run("deploy")
    build, deploy = deployed.last_record("build"), deployed.last_record("deploy")
    assert {image["action"] for image in build["build"]["images"].values()} == {"reused"}
    assert build["sign"]["signed"] == []
    assert deploy["deploy"]["changed"] is False
    assert revisions() == before
    assert jobs() == before_jobs != []


def test_status_tells_that_all_is_well_and_which_digests_run(deployed):
    document = json.loads(deployed.run("status", "--format", "json"))
    assert all(part["healthy"] for part in document["platform"])
    services = document["environment"]["services"]
    assert {service["name"] for service in services} == {
        "postgres",
        "catalog",
        "orders",
        "recommend",
        "gateway",
    }
    assert all(service["healthy"] for service in services)
    pods = [pod for service in services for pod in service["pods"]]
    assert all("@sha256:" in pod["desired"] for pod in pods)
    assert all(pod["running"].endswith(pod["desired"].partition("@")[2]) for pod in pods)


def test_the_plan_has_nothing_to_build(deployed):
    work = json.loads(deployed.run("plan", "--format", "json"))["work"]
    assert len(work) == 9
    assert {item["action"] for item in work} == {"reuse"}


def test_the_shop_is_free_of_lint(deployed):
    deployed.run("lint")
