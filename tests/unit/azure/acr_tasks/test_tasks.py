"""Which images ACR Tasks can build, and what each task says: one JSON file a case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from aksci.azure.acr_tasks.export_files import task_yaml
from aksci.azure.acr_tasks.plan_tasks import registry_name, task_name

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_export_of_a_project_is(case, export_of):
    document = json.loads(case.read_text())
    export = export_of(document["files"], document.get("toml", ""))
    tasks = {
        task.image: {
            "build": yaml.safe_load(task_yaml(task, export))["steps"][0]["build"],
            "trigger": task.trigger,
            "notes": list(task.notes),
        }
        for task in export.tasks
    }
    left_out = {one.image: list(one.reasons) for one in export.left_out}
    assert {"tasks": tasks, "leftOut": left_out} == document["expected"]


def test_tasks_stand_in_the_order_of_their_images(export_of):
    export = export_of(
        {
            "a/Dockerfile": "ARG REGISTRY=docker.io\nFROM ${REGISTRY}/shop/z:latest\n",
            "z/Dockerfile": "FROM debian\n",
        }
    )
    assert [task.image for task in export.tasks] == ["z", "a"]


@pytest.mark.parametrize(
    ("login", "name"),
    [
        ("shopstaging.azurecr.io", "shopstaging"),
        ("ShopStaging.azurecr.io", "shopstaging"),
        ("shopstaging-e3b0c442.azurecr.io", "shopstaging"),
        ("shopstaging.azurecr.cn", "shopstaging"),
        ("localhost:5000", None),
        ("shopstaging.azurecr.io.evil.example", None),
        ("evil.example/shopstaging.azurecr.io", None),
        ("shop.azurecr.io", None),  # names have 5 characters and more
    ],
)
def test_the_registry_s_name_is_known_of_an_azure_registry_only(login, name):
    assert registry_name(login) == name


def test_a_task_s_name_is_allowed_and_its_own():
    images = ["web", "a/b", "a-b", "a.b", "a_b", "x" * 128, "x" * 127, "x" * 45, "x" * 46]
    names = [task_name("shop", image) for image in images]
    assert len(set(names)) == len(names)
    for name in [*names, task_name("a", "b")]:
        assert 5 <= len(name) <= 50
        assert name.replace("-", "").isalnum()
        assert name.isascii()
    assert names[0] == "shop-web"
    assert names[2] == "shop-a-b"


def test_a_registry_that_is_not_known_yet_gives_the_same_tasks(export_of):
    files = {
        "base/Dockerfile": "FROM debian\n",
        "web/Dockerfile": "ARG REGISTRY=docker.io\nFROM ${REGISTRY}/shop/base\n",
    }
    known, open_ = export_of(files), export_of(files, login="localhost:5000")
    assert (known.registry, open_.registry) == ("shopstaging", None)
    assert known.tasks == open_.tasks


@pytest.mark.parametrize(
    ("timeout", "step", "run"), [(100, 100, 300), (3600, 3600, 7200), (86_400, 14_400, 28_800)]
)
def test_no_run_is_shorter_or_longer_than_acr_tasks_allows(export_of, timeout, step, run):
    export = export_of({"web/Dockerfile": "FROM debian\n"}, build=f"timeout = {timeout}\n")
    assert (export.step_timeout, export.run_timeout) == (step, run)
