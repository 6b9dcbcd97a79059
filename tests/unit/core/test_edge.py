"""The edge: exit statuses, run records, and start-up that imports nothing heavy."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import aksci.errors
from aksci.__main__ import main
from aksci.edge import run_session
from aksci.errors import AksciError
from aksci.options import parse_options
from aksci.sessions import SESSIONS, SessionSpec

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
    spec = SessionSpec(summary="x", module="a_pipeline", function="go")
    monkeypatch.setitem(SESSIONS, "a", spec)


def test_every_error_has_its_own_status_or_shares_its_parents():
    classes = [
        value
        for _, value in inspect.getmembers(aksci.errors, inspect.isclass)
        if issubclass(value, AksciError)
    ]
    assert sorted(c.__name__ for c in classes) == aksci.errors.__all__
    by_status: dict[int, list[type]] = {}
    for cls in classes:
        by_status.setdefault(cls.exit_status, []).append(cls)
    for same in by_status.values():
        root = min(same, key=lambda cls: len(cls.__mro__))
        assert all(issubclass(cls, root) for cls in same)
    assert len({cls.code for cls in classes}) == len(classes)


def test_the_tree_in_the_docstring_tells_every_status():
    for name in aksci.errors.__all__:
        status = getattr(aksci.errors, name).exit_status
        line = next(x for x in aksci.errors.__doc__.splitlines() if f" {name} " in f" {x} ")
        assert f" {status} " in line


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["-C", "{project}", "no-such-session"], 2, "no session"),
        (["-C", "{project}", "plan", "--nope"], 2, "--nope"),
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
    def go(_context, _options):
        raise error

    return go


@pytest.mark.parametrize(
    ("failing_session", "status", "outcome"),
    [
        (_raise(aksci.errors.GateError("no", hint="do it")), 8, "gate"),
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


def test_every_session_names_a_function_that_exists():
    for spec in SESSIONS.values():
        module = __import__(spec.module, fromlist=["x"])
        assert callable(getattr(module, spec.function))


def test_all_sessions_accept_one_list_of_arguments():
    options = parse_options(["--env", "staging", "--force", "a", "--force", "b", "--plan"])
    assert (options.env, options.force, options.plan) == ("staging", ("a", "b"), True)


def test_listing_sessions_imports_nothing_heavy():
    code = textwrap.dedent("""
        import sys, aksci.nox_sessions
        heavy = {"azure", "docker", "lightkube", "rich", "sh", "pydantic", "cryptography"}
        print(sorted(heavy & set(sys.modules)))
    """)
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert out.stdout.strip() == "[]"
