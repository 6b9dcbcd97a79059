"""One environment: what it opens, when, for whom, and that it gives all of it back."""

from __future__ import annotations

import io
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aksci.ci.choose import choose_reporter
from aksci.config.deploy_models import EnvironmentConfig
from aksci.config.models import Config
from aksci.core.errors import ClusterError, ConfigError, UsageError
from aksci.core.process import Runner
from aksci.core.reporting import ReporterContext
from aksci.environment import Environment
from aksci.images.build.build_record import Build, write_build_record
from aksci.images.validate.validator import Validator
from aksci.oci.client import RegistryClient
from aksci.parts import PartContext

TOML = """\
schema = 1
[project]
name = "shop"
[environments.staging]
registry = "staging.example"
namespace = "shop"
[environments.production]
registry = "production.example"
namespace = "shop"
"""
THINGS = ("toolbox", "registry", "resolver", "bases", "builder", "validator", "trust", "signers")


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "aksci.toml").write_text(TOML)
    return folder


@pytest.fixture
def open_environment(project, tmp_path):
    """Open an environment of the project, on a machine whose home is empty."""
    opened, path = [], os.environ["PATH"]

    def make(name="staging", **options):
        given = {
            "root": project,
            "variables": {"HOME": str(tmp_path / "home"), "PATH": path},
            "reporter": choose_reporter({}, io.StringIO()),
            **options,
        }
        opened.append(Environment.open(name, **given))
        return opened[-1]

    yield make
    for env in opened:
        env.close()


@pytest.fixture
def closed(monkeypatch):
    """What is closed, in order."""
    found = []

    def watch(kind, name_of):
        close = kind.close

        def noted(self):
            found.append(name_of(self))
            close(self)

        monkeypatch.setattr(kind, "close", noted)

    watch(RegistryClient, lambda client: client.host)
    watch(Validator, lambda _: "validator")
    return found


def test_what_was_opened_is_closed_the_last_first(open_environment, closed):
    with open_environment() as env:
        assert env.registry.host == "staging.example"
        env.resolver.client("bases.example")
        assert env.validator
        assert env.at("production").registry.host == "production.example"
        assert closed == []
    assert closed == ["production.example", "validator", "bases.example", "staging.example"]
    env.close()
    assert len(closed) == 4


def test_what_nobody_has_read_is_not_opened_to_be_closed(open_environment, closed):
    with open_environment() as env:
        env.at("production")
    assert closed == []


def test_an_environment_that_another_one_led_to_is_closed_with_that_one(open_environment, closed):
    with open_environment() as env:
        with env.at("production") as other:
            assert other.registry
        assert closed == []
    assert closed == ["production.example"]


def test_who_only_looks_starts_and_writes_nothing(open_environment, tmp_path):
    begun = []
    before = sorted(tmp_path.rglob("*"))
    runner = Runner(environment={}, log=begun.append)
    with open_environment("local", start=False, runner=runner) as env:
        assert env.prepare(cluster=True) is env.endpoints
        assert env.looking is env
        for name in THINGS:
            assert getattr(env, name)
        with pytest.raises(ClusterError, match="local cluster is not up"):
            env.cluster()
    assert begun == []
    assert sorted(tmp_path.rglob("*")) == before


def test_a_look_leaves_the_environment_itself_free_to_start(open_environment):
    env = open_environment()
    assert env.start
    assert not env.looking.start
    assert not env.looking.at("production").start
    assert (env.looking.name, env.looking.settings) == (env.name, env.settings)
    assert env.looking.registry is not env.registry


def test_another_environment_shares_run_and_tools_and_nothing_of_its_own(open_environment):
    env = open_environment()
    other = env.at("production")
    shared = ("root", "config", "variables", "now", "runner", "reporter", "run_id", "toolbox")
    for name in shared:
        assert getattr(other, name) is getattr(env, name), name
    for name in ("settings", "registry", "resolver", "trust", "signers", "builder"):
        assert getattr(other, name) is not getattr(env, name), name
    assert env.at("production") is other
    assert other.at("staging") is env


@pytest.mark.parametrize("first", ["", ".", "node_modules/.bin", "./bin"])
def test_no_program_of_the_sources_is_found_by_path(open_environment, project, monkeypatch, first):
    """POSIX: an empty folder of PATH is the working directory."""
    program = project / first / "git"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\ntouch ran\n")
    program.chmod(0o755)
    monkeypatch.chdir(project)
    path = f"{first}:{os.environ['PATH']}"
    own = Runner(environment={"PATH": path}, log=lambda _line: None)
    for given in ({}, {"runner": own}):
        env = open_environment(variables={"HOME": str(project), "PATH": path}, **given)
        for variables in (env.variables, env.runner.environment):
            assert variables["PATH"] == os.environ["PATH"]
        assert env.commit == ""  # asks the machine's git, in no repository
    assert not (project / "ran").exists()


def test_an_environment_that_there_is_not_is_told_with_those_that_there_are(open_environment):
    with pytest.raises(ConfigError, match="no environment 'prod'; it has: local, production, st"):
        open_environment().at("prod")


@pytest.fixture
def restless():
    """Let threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_threads_that_ask_for_the_same_first_get_the_same(open_environment):
    for _ in range(5):
        env, start = open_environment(), threading.Barrier(24)

        def read(number, env=env, start=start):
            start.wait()
            other = env.at("production")
            names = THINGS[number % 3 :] + THINGS[: number % 3]
            return {name: id(getattr(other, name)) for name in names} | {"at": id(other)}

        with ThreadPoolExecutor(24) as pool:
            first, *others = pool.map(read, range(24))
        assert all(each == first for each in others)


@pytest.mark.usefixtures("restless")
def test_threads_are_led_to_the_same_environment(open_environment):
    env = open_environment()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(300):
            again, start = replace(env), threading.Barrier(8)

            def lead(_, env=again, start=start):
                start.wait()
                return env.at("production")

            assert len(set(pool.map(lead, range(8)))) == 1


class Untouchable(dict):
    """The variables of a process that nobody may look at."""

    def _refuse(self, *_):
        raise AssertionError("the process's variables were read")

    __getitem__ = __contains__ = __iter__ = get = items = keys = copy = _refuse


def test_nothing_is_asked_of_the_process_where_all_is_handed_in(
    open_environment, project, monkeypatch, tmp_path
):
    for name in THINGS:  # libraries may look around when they are imported
        getattr(open_environment(), name)
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", Untouchable())
        patch.setattr(os, "getcwd", lambda: pytest.fail("the working directory was asked for"))
        env = open_environment(now=lambda: now)
        for name in (*THINGS, "endpoints"):
            getattr(env, name)
    assert env.endpoints.kubeconfig == tmp_path / "home/.kube/config"
    assert env.state == tmp_path / "home/.local/state/aksci"
    assert env.run_id.startswith("20260102T030405Z-")
    assert env.root == project


def test_the_run_is_named_by_who_opens_it_or_by_the_variables(open_environment):
    assert open_environment(run_id="mine").run_id == "mine"
    assert open_environment(variables={"AKSCI_RUN_ID": "theirs"}).run_id == "theirs"
    with pytest.raises(UsageError, match="can't name files"):
        open_environment(run_id="a/b")


def test_aksci_toml_is_found_from_a_folder_below_it(open_environment, project):
    (project / "deep" / "down").mkdir(parents=True)
    assert open_environment(root=project / "deep" / "down").root == project


def test_the_last_build_of_another_environment_is_not_taken_for_this_ones(open_environment):
    env = open_environment()
    with pytest.raises(UsageError):
        env.last_build()
    record = Build(run_id="r", commit="", environment="staging", images={})
    write_build_record(env.work_folder, record)
    assert env.last_build() == record
    with pytest.raises(UsageError, match="for 'staging', not 'production'") as caught:
        env.at("production").last_build()
    assert caught.value.hint == "nox -s build -- --env production"


def somewhere(**more):
    return EnvironmentConfig(registry="r.example", namespace="shop", **more)


@pytest.fixture
def production(make_environment):
    """The environment ``production``, and others beside it."""
    smallest = Config.model_validate({"schema": 1, "project": {"name": "shop"}})

    def make(promote_from, **others):
        here = somewhere(promote_from=promote_from)
        config = smallest.model_copy(update={"environments": {"production": here, **others}})
        return make_environment("production", config=config)

    return make


def test_the_environment_before_takes_the_place_of_this_one_and_nothing_else_changes(production):
    staging = somewhere()
    here = production("staging", staging=staging)
    found = here.promoted_from
    assert (found.name, found.settings) == ("staging", staging)
    assert vars(found) | {"name": "production", "settings": here.settings} == vars(here)


def test_the_local_environment_need_not_be_in_the_file(production):
    found = production("local").promoted_from
    assert (found.name, found.settings.platform) == ("local", "embedded")
    assert found.settings.namespace == "shop"


def test_an_environment_that_names_none_is_an_error_that_says_what_to_write(production):
    with pytest.raises(UsageError) as caught:
        assert production(None).promoted_from
    assert 'promote_from = "…" under [environments.production]' in caught.value.hint


@pytest.mark.parametrize("name", ["production", "nowhere"])
def test_an_environment_can_be_promoted_from_another_that_there_is(production, name):
    with pytest.raises(ConfigError, match=r"environments\.production\.promote_from"):
        assert production(name).promoted_from


def test_nothing_that_can_be_shown_shows_the_variables_of_the_process(open_environment, project):
    # A pipeline that prints what it was handed must not print the tokens of a CI job.
    variables = {"HOME": str(project.parent / "home"), "PATH": "", "TOKEN": "not-to-be-shown"}
    env = open_environment(variables=variables)
    given = dict.fromkeys(("options", "registry", "runner", "reporter"))
    part = PartContext(
        **given, name="a", where="a", project="shop", environment="staging", root=project,
        cache=project, variables=variables, now=env.now, run_id="1",
    )  # fmt: skip
    reporter = ReporterContext(name="a", stream=sys.stderr, variables=variables, usual=env.reporter)
    for each in (env, env.runner, env.toolbox, env.signers, env._preparation, part, reporter):
        assert "not-to-be-shown" not in repr(each), type(each)


def test_what_json_can_t_hold_is_told_where_it_is_noted(make_environment, tmp_path):
    (tmp_path / "aksci.toml").write_text('schema = 1\n[project]\nname = "shop"\n')
    env = make_environment()
    env.note("load-test", {"requests": 75})
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        env.note("load-test", {"failed": {1}})
    assert env.notes == {"load-test": {"requests": 75}}
