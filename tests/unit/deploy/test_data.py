"""Command lines and judgements as data: one JSON file a case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aksci.deploy.targets.helm import template_argv, upgrade_argv
from aksci.deploy.tracking.workload_health import Patience, workload_health
from aksci.oci.references import ImageRef

HERE = Path(__file__).parent


def cases(folder):
    paths = sorted((HERE / folder).glob("*.json"))
    assert paths
    return [pytest.param(json.loads(path.read_text()), id=path.stem) for path in paths]


@pytest.mark.parametrize("case", cases("argv"))
def test_helm_is_called_with_exactly_this(case):
    arguments = case["arguments"]
    arguments["images"] = {key: ImageRef.parse(ref) for key, ref in arguments["images"].items()}
    arguments["values"] = [Path(each) for each in arguments["values"]]
    arguments["chart"] = Path(arguments["chart"])
    name, chart = arguments.pop("name"), arguments.pop("chart")
    function = {"upgrade": upgrade_argv, "template": template_argv}[case["call"]]
    assert function(name, chart, **arguments) == case["argv"]


def test_helm_is_never_told_to_wait():
    for case in (HERE / "argv").glob("*.json"):
        assert "--wait" not in case.read_text()


@pytest.mark.parametrize("case", cases("health"))
def test_a_workload_is_judged_like_this(case):
    health = workload_health(
        case["workload"], case["pods"], case["replicaSets"], patience=Patience()
    )
    assert health.done == case["done"]
    assert (health.fault.code if health.fault else None) == case["fault"]
