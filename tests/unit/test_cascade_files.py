"""The scheduled CI files: what they call is there, and what others send them is no code."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from aksci.cli.command_line import CommandLine
from aksci.cli.sessions import SESSIONS

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github/workflows/cascade.yml"
AZURE = ROOT / "azure-pipelines-cascade.yml"
FILES = (GITHUB, AZURE)


def nodes(node):
    """Find every mapping in a file."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


def scripts(path):
    """Find each script, with the variables that it is given."""
    for node in nodes(yaml.safe_load(path.read_text())):
        script = node.get("run") or node.get("inputs", {}).get("inlineScript")
        if isinstance(script, str):
            yield script, node.get("env", {})


def words_of(script, **variables):
    """Return what the session gets, as the shell makes it of the script."""
    _, _, arguments = script.partition(" -- ")
    found = []
    for word in shlex.split(arguments):
        filled = re.sub(r"\$(\w+)", lambda one: variables[one[1]], word)
        found += [filled] if filled or not word.startswith("$BATCH") else []
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("batch", ["", "--batch"])
@pytest.mark.parametrize(
    ("bases", "expected"),
    [
        ("", ()),
        (" ", ()),
        ("debian:bookworm-slim python:3", ("debian:bookworm-slim", "python:3")),
        ("--plan", ("--plan",)),
    ],
)
def test_the_session_has_these_options(path, batch, bases, expected):
    ((script, _),) = scripts(path)
    words = words_of(script, ENVIRONMENT="staging", BASES=bases, BATCH=batch)
    cascade = SESSIONS["cascade"]
    given = CommandLine(sessions=(cascade,)).values_for(cascade, words)
    assert script.startswith("./dev -s cascade -- ")
    batches = {"batch": True} if batch else {}
    wanted = {"env": "staging", "base": expected, **batches}
    assert {name: given.get(name) for name in [*wanted, "plan"]} == {**wanted, "plan": None}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_somebody_sends_comes_by_variables_and_never_in_the_script(path):
    ((script, variables),) = scripts(path)
    assert "${{" not in script
    assert "$(" not in script
    assert {"AKSCI_CASCADE_CHAIN", "BASES", "ENVIRONMENT"} <= variables.keys()
    for quoted in ("$ENVIRONMENT", "$BASES"):
        assert f'"{quoted}"' in script


def test_github_starts_it_for_a_request_and_twice_on_a_schedule():
    text = GITHUB.read_text()
    triggers = yaml.safe_load(text)[True]  # YAML 1.1: "on" is a boolean
    weekly = triggers["schedule"][1]["cron"]
    assert triggers["repository_dispatch"] == {"types": ["aksci-cascade"]}
    assert triggers["workflow_dispatch"]["inputs"].keys() == {"environment", "bases", "batch"}
    assert f"github.event.schedule == '{weekly}'" in text
    assert "github.event.client_payload.chain" in text


def test_two_cascades_of_an_environment_never_run_at_once():
    workflow = yaml.safe_load(GITHUB.read_text())
    (job,) = workflow["jobs"].values()
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert workflow["concurrency"]["group"] == f"cascade-{job['environment']}"
    assert yaml.safe_load(AZURE.read_text())["lockBehavior"] == "sequential"


def test_azure_pipelines_takes_what_the_dispatcher_sends_and_runs_on_its_schedules_only():
    pipeline = yaml.safe_load(AZURE.read_text())
    assert {"bases", "chain"} <= {one["name"] for one in pipeline["parameters"]}
    assert all("default" in one for one in pipeline["parameters"])
    assert (pipeline["trigger"], pipeline["pr"]) == ("none", "none")
    assert [one["always"] for one in pipeline["schedules"]] == ["true", "true"]
    assert f"'{pipeline['schedules'][1]['displayName']}'" in AZURE.read_text()


def test_each_ci_file_is_checked_by_the_style_session():
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    named = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    assert sorted(named["WORKFLOWS"]) == sorted(path.stem for path in GITHUB.parent.glob("*.yml"))
    assert sorted(named["PIPELINES"]) == sorted(path.name for path in ROOT.glob("azure-*.yml"))
