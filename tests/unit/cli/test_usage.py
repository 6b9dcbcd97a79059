"""Each session's usage: what is declared, and the exit statuses that its steps can end with."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import aksci.core.errors
import aksci.errors
from aksci.__main__ import main
from aksci.cli.options import options_of
from aksci.cli.sessions import SESSIONS
from aksci.cli.usage import session_usage, status_meanings
from aksci.core.errors import WORK_TO_DO, AksciError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("spec", SESSIONS.values(), ids=lambda spec: spec.name)
def test_a_usage_tells_the_options_of_its_session_and_no_others(spec, capsys):
    assert main([spec.name, "--help"]) == 0
    told = capsys.readouterr().out
    assert told.rstrip() == session_usage(spec).rstrip()
    assert spec.summary in told
    options = re.findall(r"^  (--[a-z-]+|WORD)", told, re.MULTILINE)
    assert options == [*(each.written for each in options_of(spec).values()), "--help"]
    assert f"nox -s {spec.name}" in told.partition("example:")[2]
    statuses = re.findall(r"^ +(\d+)  [A-Z]", told, re.MULTILINE)
    assert [int(each) for each in statuses] == list(spec.statuses)
    assert max(map(len, told.splitlines())) <= 100


def test_defaults_and_choices_are_told():
    told = " ".join(session_usage(SESSIONS["build"]).split())
    assert "(one of build, validate, scan, sign, push; default: push)" in told
    told = " ".join(session_usage(SESSIONS["plan"]).split())
    assert "(one of text, json, markdown; default: text)" in told
    assert "--explain-rebase" not in session_usage(SESSIONS["cascade"])


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C"}])
@pytest.mark.parametrize(
    "arguments", [["--help"], [], ["build", "--help"], ["--version"], ["→"], ["graph", "→"]]
)
def test_whatever_the_terminal_can_write_there_is_no_traceback(tmp_path, arguments, variables):
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "aksci", "-C", tmp_path, *arguments],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONCOERCECLOCALE": "0"} | variables,
    )
    asked = {"--help", "--version"} & set(arguments)
    assert done.returncode == (0 if asked else 2), done.stderr
    assert b"Traceback" not in done.stderr
    assert bool(done.stderr) == (not asked and bool(arguments))


def test_help_without_a_session_lists_them_and_says_how_to_go_on(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {spec.name} " in told and spec.summary in told for spec in SESSIONS.values())
    assert "python -m aksci SESSION --help" in told
    assert "--until" not in told


def _status_of(name):
    found = getattr(aksci.core.errors, name, None)
    return found.exit_status if isinstance(found, type) and issubclass(found, AksciError) else None


def _raised(path):
    """Return the statuses of the errors that a module raises, or says that it raises."""
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"\braise (\w+)\(|:raises (\w+):", text)
    return {status for pair in names for status in map(_status_of, filter(None, pair)) if status}


def _steps(path):
    """Return the modules of the steps that a pipeline names."""
    names = [
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "steps"
    ]
    places = [ROOT / f"aksci/steps/{name}_step.py" for name in names]
    return [place for place in places if place.exists()]


@pytest.mark.parametrize("spec", SESSIONS.values(), ids=lambda spec: spec.name)
def test_a_session_declares_what_its_steps_say_that_they_raise(spec):
    """As far as can be told from sources: who calls what at run time, only a run knows."""
    path = ROOT / f"{spec.target.partition(':')[0].replace('.', '/')}.py"
    others = [one for one in SESSIONS.values() if one.target.partition(":")[0] in spec.target]
    raised = set().union(*(_raised(each) for each in [path, *_steps(path)]))
    declared = set().union(*(set(one.statuses) for one in others))  # of all in the module
    assert raised <= declared


def test_a_pipeline_can_catch_every_error_by_its_public_name():
    assert aksci.errors.__all__ == aksci.core.errors.__all__
    assert aksci.errors.GateError is aksci.core.errors.GateError


def test_every_status_that_is_declared_is_of_an_error_and_every_error_is_of_a_session():
    statuses = {_status_of(name) for name in aksci.core.errors.__all__} - {None}
    declared = set().union(*(spec.fails for spec in SESSIONS.values()))
    assert declared <= statuses | {WORK_TO_DO}
    assert set().union(*(spec.statuses for spec in SESSIONS.values())) == {0, WORK_TO_DO, *statuses}
    assert all(spec.fails for spec in SESSIONS.values())
    assert status_meanings().keys() == {0, WORK_TO_DO, *statuses}
