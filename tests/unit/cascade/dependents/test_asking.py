"""The owners of other repositories are asked, each once for a change; nothing of theirs is made."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from aksci.cascade.cascade_report import Cascade, within
from aksci.cascade.cascade_scope import CascadeScope, NamedBases
from aksci.config.loader import load_config
from aksci.core.work_folder import WorkFolder
from aksci.steps.ask_owners_step import ask_owners
from aksci.testing.reporter import RecordingReporter

DEBIAN = "docker.io/library/debian:12"
OLD, NEW = ("sha256:" + digit * 64 for digit in "12")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def github():
    path = Path(__file__).parents[3] / "pipelines_apis.py"
    spec = importlib.util.spec_from_file_location("pipelines_apis", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["pipelines_apis"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    with module.GithubServer("pay/all") as server:
        yield server


@pytest.fixture
def look(world, registry, github, tmp_path):
    """Look at the registry as the project ``shop``; tell what became of each image."""
    toml = tmp_path / "aksci.toml"
    toml.write_text(
        'schema = 1\n[project]\nname = "shop"\n[[cascade.owners]]\nrepositories = ["pay/*"]\n'
        'target = "pay"\n[cascade.targets.pay]\nkind = "github"\nrepository = "pay/all"\n'
        f'api = "{github.api}"\n[[cascade.owners]]\nrepositories = ["web/*"]\ntarget = "web"\n'
        f'[cascade.targets.web]\nkind = "github"\nrepository = "web/app"\napi = "{github.api}"\n'
    )

    def make(*, planning=False, chain=()):
        env = SimpleNamespace(
            registry=registry,
            resolver=SimpleNamespace(digest=lambda _: NEW),
            config=load_config(toml),
            work_folder=WorkFolder(tmp_path),
            note=lambda *_: None,
            variables={"AKSCI_GITHUB_TOKEN": github.token},
            now=lambda: NOW,
            run_id="run",
            cache=tmp_path / "cache",
            reporter=RecordingReporter(),
        )
        env.looking = env
        scope = CascadeScope(
            graph=SimpleNamespace(images={}),
            policy_digests=None,
            chain=chain,
            named=NamedBases(only=frozenset({DEBIAN}), references=(DEBIAN,)),
        )
        cascade = Cascade(
            project="shop",
            environment="local",
            run="run",
            created="",
            planned=planning,
        )
        done = ask_owners(env, within(cascade, scope)).require()
        return {one.repository: (one.action, one.detail) for one in done.dependents}

    world.image("pay/base:1", parents={DEBIAN: OLD})
    return make


def test_an_owner_is_asked_once_for_what_has_moved_and_no_image_of_his_is_touched(
    look, world, server, github
):
    base = server.registry.resolve("pay/base", "1")
    world.image("pay/api:1", "a", parents={"docker.io/pay/base:1": base})
    before = server.registry.store.tagged()
    told = look()
    assert {name: action for name, (action, _) in told.items()} == {
        "pay/base": "asked",
        "pay/api": "asked",
    }
    (request,) = github.requests
    assert request.body["client_payload"]["bases"] == f"{DEBIAN}@{NEW}"
    assert {name: look()[name][0] for name in told} == {"pay/base": "known", "pay/api": "known"}
    assert len(github.requests) == 1
    after = server.registry.store.tagged()
    assert before.items() <= after.items()
    assert {name.partition(":")[0] for name in after.keys() - before.keys()} == {"shop/cascade"}


def test_what_is_based_on_an_image_that_its_owner_is_yet_to_rebuild_waits_for_that(
    look, world, server, github
):
    base = server.registry.resolve("pay/base", "1")
    world.image("web/app:1", "w", parents={"docker.io/pay/base:1": base})
    world.image("free/app:1", "f", parents={DEBIAN: OLD})
    told = look()
    assert told["web/app"] == ("ask", "once what it needs is there")
    assert told["free/app"] == ("none", "no entry of [[cascade.owners]] sees to it")
    (request,) = github.requests
    assert request.body["client_payload"]["bases"] == f"{DEBIAN}@{NEW}"


def test_a_plan_asks_nobody_and_neither_does_a_project_that_was_asked_by_the_owner(
    look, world, github
):
    assert look(planning=True) == {"pay/base": ("ask", "")}
    action, why = look(chain=(f"{world.host}/pay",))["pay/base"]
    assert (action, "in a circle" in why) == ("loop", True)
    assert github.requests == []
