"""``cascade --registry-wide``: another project's images follow, or its pipeline is asked to run."""

from __future__ import annotations

import importlib.util
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
    yield one, other
    one.close()
    other.close()


@pytest.fixture
def github():
    with load(TESTS / "pipelines_apis.py").GithubServer() as server:
        yield server


def _owners(other, github, **changes):
    told = {"rebase": "true", "depth": "5", **changes}
    return (
        f"[cascade]\ndepth = {told['depth']}\n"
        f'[[cascade.owners]]\nrepositories = ["{other.name}/*"]\nrebase = {told["rebase"]}\n'
        'target = "other"\n[cascade.targets.other]\nkind = "github"\n'
        f'repository = "example/other"\napi = "{github.api}"\n'
    )


def _dependents(project):
    listed = project.report()["dependents"]
    found = listed["listed"] if isinstance(listed, dict) else listed
    return {one["repository"].rpartition("/")[2]: one["action"] for one in found}


def test_other_projects_are_rebased_where_that_is_provable_and_asked_where_it_is_not(
    projects, github
):
    one, other = projects
    token = {"AKSCI_GITHUB_TOKEN": github.token}
    one.configure(_owners(other, github), cascade="false")
    one.run("build")
    other.run("build")
    before = {name: other.digest(name) for name in ("mid", "web", "side")}
    one.move_base("second")
    planned = one.run("cascade", "--plan", "--registry-wide")  # without a token: nobody is asked
    assert other.name in planned or "rebased" in planned
    assert github.requests == []
    output = one.run("cascade", "--registry-wide", **token)
    assert github.token not in output
    assert _dependents(one) == {"mid": "rebased", "web": "rebased", "side": "asked"}
    after = {name: other.digest(name) for name in before}
    assert after["mid"] != before["mid"]
    assert after["web"] != before["web"]
    assert after["side"] == before["side"]
    (request,) = github.requests
    payload = request.body["client_payload"]
    mid = f"{one.registry.host}/{one.name}/mid:latest"
    assert payload["bases"] == f"{mid}@{one.digest('mid')}"
    assert payload["chain"] == f"{one.registry.host}/{one.name}"
    # Again: nothing is rebased, and nobody is asked twice.
    one.run("cascade", "--registry-wide", **token)
    assert _dependents(one) == {"side": "known"}
    assert len(github.requests) == 1
    # The other project's pipeline takes the request; what was rebased is what it would have made.
    asked = {"AKSCI_CASCADE_CHAIN": payload["chain"]}
    other.run("cascade", "--base", payload["bases"], **asked)
    assert other.actions() == {"mid": "kept", "web": "kept", "side": "rebuilt"}
    assert "0 built" in other.run("build", "--until", "sign")


def test_nobody_is_asked_in_a_circle_and_what_nobody_signed_is_not_rebased(projects, github):
    one, other = projects
    one.configure(_owners(other, github), cascade="false")
    one.run("build")
    other.run("build")
    one.move_base("second")
    chain = f"{one.registry.host}/{other.name}"
    token = {"AKSCI_GITHUB_TOKEN": github.token, "AKSCI_CASCADE_CHAIN": chain}
    one.run("cascade", "--registry-wide", **token)
    assert _dependents(one) == {"mid": "rebased", "web": "rebased", "side": "loop"}
    assert github.requests == []
    one.run("cascade", "--registry-wide", expect=2, AKSCI_CASCADE_CHAIN="$(id), rubbish")
