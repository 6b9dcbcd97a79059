"""``cascade --registry-wide``: the pipelines of other projects are asked to run."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]


def load(path):
    """Import a module of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def projects(tmp_path, platform, toolbox):
    """A platform team's project, and one in the same registry that builds on its images."""
    Project = load(Path(__file__).with_name("test_session.py")).Project  # noqa: N806 - a class
    one = Project(tmp_path / "one", platform, toolbox)
    other = Project(tmp_path / "other", platform, toolbox)
    host = platform.registry
    other.configure(cascade="false")
    other.write("mid/Dockerfile", f"FROM {host}/{one.name}/mid:latest\nCOPY --link mid /opt/own\n")
    other.write("web/Dockerfile", f"FROM {other.name}/mid:latest\nCOPY --link hello /srv/own\n")
    other.write("side/Dockerfile", f"FROM {host}/{one.name}/mid:latest\nRUN test -e /opt/mid\n")
    other.write("deep/Dockerfile", f"FROM {other.name}/mid:latest\nRUN test -e /opt/own\n")
    yield one, other
    one.close()
    other.close()


@pytest.fixture
def github():
    with load(TESTS / "pipelines_apis.py").GithubServer("example/other") as server:
        yield server


def _owners(other, github):
    return (
        f'[[cascade.owners]]\nrepositories = ["{other.name}/*"]\n'
        'target = "other"\n[cascade.targets.other]\nkind = "github"\n'
        f'repository = "example/other"\napi = "{github.api}"\n'
    )


def _dependents(project, other):
    return _told(project.report(), other)


def _told(report, other):
    """Return what became of another project's images; the registry has those of many."""
    listed = report["dependents"]
    found = listed["listed"] if isinstance(listed, dict) else listed
    return {
        one["repository"].rpartition("/")[2]: one["action"]
        for one in found
        if one["repository"].startswith(f"{other.name}/")
    }


def test_other_projects_are_asked_once_and_nothing_of_theirs_is_made_here(projects, github):
    one, other = projects
    token = {"AKSCI_GITHUB_TOKEN": github.token}
    one.configure(_owners(other, github), cascade="false")
    one.run("build")
    other.run("build")
    names = ("mid", "web", "side", "deep")
    before = {name: other.digest(name) for name in names}
    one.move_base("second")
    plan = one.folder / ".aksci/plan.json"  # without a token: nobody is asked
    one.run("cascade", "--plan", "--registry-wide", "--format", "json", "--output", str(plan))
    assert _told(json.loads(plan.read_text()), other) == dict.fromkeys(names, "ask")
    assert github.requests == []
    output = one.run("cascade", "--registry-wide", **token)
    assert github.token not in output
    assert _dependents(one, other) == dict.fromkeys(names, "asked")
    assert {name: other.digest(name) for name in names} == before
    (request,) = github.requests
    payload = request.body["client_payload"]
    # What is based on their own image follows that one, in their own cascade.
    mid = f"{one.registry.host}/{one.name}/mid:latest"
    assert payload["bases"].split() == [f"{mid}@{one.digest('mid')}"]
    assert payload["chain"] == f"{one.registry.host}/{one.name}"
    # Again: nobody is asked twice.
    one.run("cascade", "--registry-wide", **token)
    assert _dependents(one, other) == dict.fromkeys(names, "known")
    assert len(github.requests) == 1
    # The other project's pipeline takes the request, and nothing is left to ask for.
    asked = {"AKSCI_CASCADE_CHAIN": payload["chain"]}
    other.run("cascade", "--base", payload["bases"], **asked)
    assert other.actions() == dict.fromkeys(names, "rebuilt")
    assert "0 built" in other.run("build", "--until", "sign")
    one.run("cascade", "--registry-wide", **token)
    assert _dependents(one, other) == {}


def test_nobody_is_asked_in_a_circle(projects, github):
    one, other = projects
    one.configure(_owners(other, github), cascade="false")
    one.run("build")
    other.run("build")
    one.move_base("second")
    chain = f"{one.registry.host}/{other.name}"
    token = {"AKSCI_GITHUB_TOKEN": github.token, "AKSCI_CASCADE_CHAIN": chain}
    one.run("cascade", "--registry-wide", **token)
    assert _dependents(one, other) == dict.fromkeys(("mid", "web", "side", "deep"), "loop")
    assert github.requests == []
    one.run("cascade", "--registry-wide", expect=2, AKSCI_CASCADE_CHAIN="$(id), rubbish")
