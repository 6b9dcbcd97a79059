"""The edge: exit statuses, run records, and start-up that imports nothing heavy."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import aksci.core.errors
from aksci.__main__ import main
from aksci.cli.command_line import CommandLine
from aksci.cli.edge import run_session
from aksci.cli.sessions import SESSIONS, SessionSpec
from aksci.core.errors import AksciError

ROOT = Path(__file__).parents[3]
SMALLEST = 'schema = 1\n[project]\nname = "shop"\n'


@pytest.fixture
def project(tmp_path):
    (tmp_path / "aksci.toml").write_text(SMALLEST)
    return tmp_path


@pytest.fixture
def failing_session(monkeypatch, request):
    """A session whose pipeline raises what the test asks for."""
    module = type(sys)("a_pipeline")
    module.go = request.param
    monkeypatch.setitem(sys.modules, "a_pipeline", module)
    spec = SessionSpec(name="a", summary="x", target="a_pipeline:go")
    monkeypatch.setitem(SESSIONS, "a", spec)


def test_every_error_has_its_own_status_or_shares_its_parents():
    classes = [
        value
        for _, value in inspect.getmembers(aksci.core.errors, inspect.isclass)
        if issubclass(value, AksciError)
    ]
    assert ["WORK_TO_DO", *sorted(c.__name__ for c in classes)] == aksci.core.errors.__all__
    by_status: dict[int, list[type]] = {}
    for cls in classes:
        by_status.setdefault(cls.exit_status, []).append(cls)
    for same in by_status.values():
        root = min(same, key=lambda cls: len(cls.__mro__))
        assert all(issubclass(cls, root) for cls in same)
    assert len({cls.code for cls in classes}) == len(classes)


def test_the_tree_in_the_docstring_tells_every_status():
    for name in aksci.core.errors.__all__[1:]:
        status = getattr(aksci.core.errors, name).exit_status
        line = next(x for x in aksci.core.errors.__doc__.splitlines() if f" {name} " in f" {x} ")
        assert f" {status} " in line


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["-C", "{project}", "no-such-session"], 2, "no session"),
        (["-C", "{project}", "biuld"], 2, "Did you mean 'build'?"),
        (["-C", "{project}", "plan", "--onyl", "web"], 2, "Did you mean '--only'?"),
        (["-C", "{project}", "build", "web"], 2, "nox -s build -- --only web"),
        (["-C", "{project}", "plan", "--nope"], 2, "--nope"),
        (["-C", "{project}", "cascade", "--explain-rebase"], 2, "rebase was removed, since"),
        (["-C", "{project}", "plan", "--env", "prod"], 3, "no environment 'prod'; it has: local"),
        (["-C", "/", "plan"], 3, "No aksci.toml"),
        ([], 2, None),
    ],
)
def test_a_users_mistake_has_its_status_and_no_traceback(project, capsys, arguments, status, words):
    assert main([word.format(project=project) for word in arguments]) == status
    error = capsys.readouterr().err
    assert "Traceback" not in error
    if words:
        assert words in error


def _raise(error):
    def go(_env):
        raise error

    return go


@pytest.mark.parametrize(
    ("failing_session", "status", "outcome"),
    [
        (_raise(aksci.core.errors.GateError("no", hint="do it")), 8, "gate"),
        (_raise(KeyboardInterrupt()), 130, "interrupted"),
        (_raise(OSError(28, "No space left on device", "/x")), 28, "interrupted"),
    ],
    indirect=["failing_session"],
)
@pytest.mark.usefixtures("failing_session")
def test_a_failure_ends_with_its_status_and_is_recorded(project, capsys, status, outcome):
    assert run_session("a", [], folder=project) == status
    (record,) = (project / ".aksci/runs").glob("*-a.json")
    document = json.loads(record.read_text())
    assert (document["schema"], document["outcome"]) == (1, outcome)
    assert "Traceback" not in capsys.readouterr().err


def _says_otherwise(env):
    for name in ("outcome", "session", "environment", "error"):
        env.note(name, "all went well")
    raise aksci.core.errors.GateError("the real reason")


@pytest.mark.parametrize("failing_session", [_says_otherwise], indirect=True)
@pytest.mark.usefixtures("failing_session")
def test_what_a_step_notes_does_not_tell_what_became_of_the_run(project):
    assert run_session("a", [], folder=project) == 8
    (record,) = (project / ".aksci/runs").glob("*-a.json")
    document = json.loads(record.read_text())
    told = [document[name] for name in ("outcome", "session", "environment", "error")]
    assert told == ["gate", "a", "local", "the real reason"]


def test_a_run_id_that_cannot_name_a_file_is_refused(project, capsys, monkeypatch):
    monkeypatch.setenv("AKSCI_RUN_ID", "a/b")
    assert main(["-C", str(project), "graph"]) == 2
    assert "AKSCI_RUN_ID='a/b'" in capsys.readouterr().err


@pytest.mark.parametrize("failing_session", [lambda _env: None], indirect=True)
@pytest.mark.usefixtures("failing_session")
def test_a_file_in_the_way_of_our_folder_is_told(project, capsys):
    (project / ".aksci").write_text("in the way")
    assert run_session("a", [], folder=project) == 2
    error = capsys.readouterr().err
    assert ".aksci" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "failing_session", [_raise(aksci.core.errors.GateError("the real reason"))], indirect=True
)
@pytest.mark.usefixtures("failing_session")
def test_a_record_that_cannot_be_written_does_not_hide_the_real_error(project, capsys):
    (project / ".aksci").mkdir()
    (project / ".aksci/runs").write_text("in the way")
    assert run_session("a", [], folder=project) == 8
    assert "the real reason" in capsys.readouterr().err


@pytest.mark.parametrize("session", ["scan", "sign", "push", "up", "down", "lint"])
def test_plan_is_refused_by_sessions_that_would_act(project, capsys, session):
    for others in (False, True):
        line = CommandLine(sessions=(SESSIONS["build"], SESSIONS[session]), others=others)
        assert run_session("build", ["--plan"], folder=project, line=line) == 2
    assert run_session(session, ["--plan"], folder=project) == 2
    assert "--plan means nothing to" in capsys.readouterr().err


SLOW = """
import signal, sys, types
from concurrent.futures import ThreadPoolExecutor
from aksci.__main__ import main
from aksci.cli.sessions import SESSIONS, SessionSpec

def go(context):
    def sleep(_):
        argv = ["sh", "-c", "echo $$; sleep 60"]
        context.runner.run(argv, on_line=context.reporter.line, check=False)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(sleep, range(9)))

signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))
module = types.ModuleType("slow"); module.go = go; sys.modules["slow"] = module
SESSIONS["slow"] = SessionSpec(name="slow", summary="x", target="slow:go")
sys.exit(main(["slow"]))
"""


def _programs(process):
    """Yield the number of each program of a slow session as it is started."""
    return (int(line) for line in process.stderr if line.strip().isdigit())


@contextlib.contextmanager
def _slow_session(folder, *, hangup):
    """Start a session that runs 9 programs, 2 at once; end them all, whatever becomes of the test.

    Yields the process and the number of its first program, as it has told it on stderr. Who runs
    the tests may have SIGHUP ignored, as nohup does, and so would all that they start.
    """
    argv = [sys.executable, "-c", SLOW, hangup]
    with subprocess.Popen(argv, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, next(_programs(process))
        finally:
            process.terminate()  # not by SIGKILL, which what it has started would outlive


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_a_pool_of_programs_at_once_even_if_pressed_twice(project, number):
    with _slow_session(project, hangup="SIG_DFL") as (process, _):
        process.send_signal(number)
        time.sleep(0.2)
        process.send_signal(number)
        _, error = process.communicate(timeout=10)
    assert process.returncode == 130, error
    assert "was interrupted" in error
    assert "Traceback" not in error


def test_under_nohup_a_closed_terminal_ends_nothing(project):
    with _slow_session(project, hangup="SIG_IGN") as (process, first):
        process.send_signal(signal.SIGHUP)
        os.killpg(first, signal.SIGTERM)
        for program in _programs(process):  # the session goes on as long as it has programs to run
            os.killpg(program, signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_the_hint_after_an_interruption_keeps_the_arguments(project, capsys, monkeypatch):
    module = type(sys)("a_pipeline")
    module.go = _raise(KeyboardInterrupt())
    monkeypatch.setitem(sys.modules, "a_pipeline", module)
    spec = SessionSpec(name="a", summary="x", target="a_pipeline:go")
    monkeypatch.setitem(SESSIONS, "a", spec)
    run_session("a", ["--env", "local"], folder=project)
    assert "nox -s a -- --env local" in capsys.readouterr().err


def test_every_session_names_a_function_that_exists():
    for spec in SESSIONS.values():
        module, _, function = spec.target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_listing_sessions_imports_nothing_heavy():
    code = textwrap.dedent("""
        import sys, aksci.nox
        before = {"argparse"} & set(sys.modules)  # nox has it; a later one may not
        aksci.nox.register()
        aksci.nox.session("pipelines.ship:ship", options=("only",))
        heavy = {"azure", "docker", "lightkube", "rich", "sh", "pydantic", "cryptography"}
        heavy |= {"aksci.cli.usage", "aksci.cli.command_line", "aksci.environment", "pipelines"}
        print(sorted((heavy | {"argparse"}) & set(sys.modules) - before))
    """)
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert out.stdout.strip() == "[]"
