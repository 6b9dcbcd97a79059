"""nox itself, really run on small noxfiles: what it is given is checked before a session runs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from aksci.cli.command_line import CommandLine
from aksci.cli.sessions import SESSIONS
from aksci.nox import _line_of

PIPELINES = '''"""A team's pipelines: they tell how they were called."""
import json

def _called(name, env, given):
    print("called", json.dumps([name, env.name, given], sort_keys=True), flush=True)

def release(env, *, only=("all",), canary=False):
    _called("release", env, {"only": list(only), "canary": canary})

def ship(env, *, release=None, plan=False):
    _called("ship", env, {"release": release, "plan": plan})

def smoke(env):
    env.note("smoke", {"requests": 7})
    _called("smoke", env, {})
'''
OURS = "from aksci.nox import register\nregister()\n"
THEIRS = """
import nox
from aksci.nox import Option, register, session
register(exclude=("build", "deploy"))
canary = Option(name="canary", flag=True, help="shift a tenth of the traffic first")
session("pipelines.release:release", name="build", options=("only", canary))
session("pipelines.release:ship", name="deploy", options=("plan", "release"))
session("pipelines.release:smoke")

@nox.session(python=False)
def plain(session):
    print("plain", session.posargs, flush=True)

@nox.session(python=False)
def notifies(session):
    session.notify("build", session.posargs[1:] or ["--only", "web"])
"""


@pytest.fixture
def nox(tmp_path):
    """Write a project and its noxfile; return what runs nox on it."""
    (tmp_path / "aksci.toml").write_text(
        'schema = 1\n[project]\nname = "shop"\n[images.web]\ndockerfile = "Dockerfile"\n'
    )
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY aksci.toml /\n")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/__init__.py").touch()
    (tmp_path / "pipelines/release.py").write_text(PIPELINES)

    def run(noxfile, *arguments, expect=0, **variables):
        (tmp_path / "noxfile.py").write_text(noxfile)
        done = subprocess.run(
            [sys.executable, "-m", "nox", "-f", tmp_path / "noxfile.py", *arguments],
            capture_output=True,
            cwd="/",
            check=False,
            env={**os.environ, "NO_COLOR": "1", **variables},
        )
        output = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == expect, output
        return output

    run.folder = tmp_path
    return run


def calls(output):
    """Return name and options of each pipeline that was called."""
    lines = [line.removeprefix("called ") for line in output.splitlines() if "called " in line]
    return [(name, given) for name, _, given in map(json.loads, lines)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-s", "deploy", "--", "--only", "web"], "--only means nothing to 'deploy'; it takes"),
        (["-s", "build", "deploy", "--", "--onyl", "web"], "Did you mean '--only'?"),
        (["-s", "build", "--", "shop"], "hint: nox -s build -- --only shop"),
        (["-s", "build", "--", "deploy"], "hint: nox -s build deploy"),
        (["-s", "rollback", "--", "v1"], "hint: nox -s rollback -- --to v1"),
        (["-s", "build", "--", "--until", "scna"], "Did you mean 'scan'?"),
        (["-s", "build", "scan", "--", "--plan"], "--plan means nothing to 'scan'"),
        (["-s", "plan", "graph", "--", "--format", "dot"], "plan can't be shown as 'dot'"),
        (["-k", "deploy or rollback", "--", "--only", "web"], "'deploy' and 'rollback'; they take"),
        (["--", "--registry-wide"], "--registry-wide means nothing to 'build' and 'deploy'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_none_of_the_sessions_takes_is_refused_before_the_first_of_them_runs(
    nox, arguments, told
):
    output = nox(OURS, *arguments, expect=1)
    assert told in output
    assert "(exit status 2)" in output
    assert output.count("Running session") == 1
    assert not (nox.folder / ".aksci").exists()
    assert "Traceback" not in output


def test_the_sessions_are_found_when_an_environment_variable_names_them(nox):
    assert "means nothing to 'deploy'" in nox(
        OURS, "--", "--only", "web", expect=1, NOXSESSION="deploy"
    )


def test_each_session_of_the_line_gets_what_it_takes_and_only_what_was_given(nox):
    output = nox(THEIRS, "-s", "build", "deploy", "--", "--only", "a", "--release=r", "--only", "b")
    assert calls(output) == [
        ("release", {"only": ["a", "b"], "canary": False}),
        ("ship", {"plan": False, "release": "r"}),
    ]
    assert calls(nox(THEIRS, "-s", "build")) == [("release", {"only": ["all"], "canary": False})]
    given = nox(THEIRS, "-s", "build", "--", "--canary")
    assert calls(given) == [("release", {"only": ["all"], "canary": True})]


def test_ready_made_sessions_of_one_line_ignore_what_is_for_the_other(nox):
    output = nox(OURS, "-s", "graph", "plan", "--", "--only", "base", expect=1)
    assert "Session graph was successful" in output
    assert "'base'" in output
    assert "means nothing" not in output


def test_beside_other_peoples_sessions_only_what_looks_misspelt_is_refused(nox):
    assert "plain ['-k', 'x']" in nox(THEIRS, "-s", "smoke", "plain", "--", "-k", "x")
    output = nox(THEIRS, "-s", "build", "plain", "--", "--olny", "web", expect=1)
    assert "'build' takes no option --olny. Did you mean '--only'?" in output
    assert "plain [" not in output
    output = nox(THEIRS, "-s", "smoke", "plain", "--", "--plan", expect=0)
    assert "plain ['--plan']" in output


def test_a_notified_session_may_have_arguments_of_its_own(nox):
    assert calls(nox(THEIRS, "-s", "notifies", "smoke", "--", "-x")) == [
        ("smoke", {}),
        ("release", {"only": ["web"], "canary": False}),
    ]
    output = nox(THEIRS, "-s", "notifies", "--", "-x", "--nope", expect=1)
    assert "'build' takes no option --nope" in output


def test_in_nox_workers_which_know_of_one_session_each_what_is_for_another_is_not_refused(nox):
    arguments = ["-j", "2", "--allow-parallel", "-s", "build", "deploy", "--", "--only", "web"]
    output = nox(THEIRS, *arguments)
    assert "Session build was successful" in output
    assert "Session deploy was successful" in output


@pytest.mark.parametrize("runner", [None, SimpleNamespace(), SimpleNamespace(manifest=3)])
def test_where_nox_no_longer_tells_its_sessions_others_may_take_part(runner):
    spec = SESSIONS["build"]
    found = _line_of(SimpleNamespace(_runner=runner), spec)
    assert found == CommandLine(sessions=(spec,), others=True)


def test_a_run_of_a_teams_session_is_recorded_with_what_its_steps_noted(nox):
    nox(THEIRS, "-s", "smoke")
    (record,) = (nox.folder / ".aksci/runs").glob("*-smoke.json")
    document = json.loads(record.read_text())
    assert (document["outcome"], document["smoke"]) == ("ok", {"requests": 7})


@pytest.mark.parametrize("variables", [{}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C"}])
def test_each_session_has_a_usage_of_its_own_whatever_can_be_written(nox, variables):
    (nox.folder / "aksci.toml").unlink()
    for arguments in (["-s", "deploy", "--", "--help"], ["--usage", "deploy"]):
        told = nox(OURS, *arguments, **variables)
        assert "usage: nox -s deploy -- [options]" in told
        assert "--release REF" in told
        assert "--until" not in told
        assert "   12  The rollout failed" in told
        assert "Traceback" not in told
    summary = "register(only=('plan',))\nfrom aksci.nox import session\nsession('a:b', summary='→')"
    assert "* b ->" in nox(f"from aksci.nox import register\n{summary}", "-l", **variables).replace(
        "- b", "* b"
    )


def test_a_teams_session_has_a_usage_too(nox):
    for arguments in (["-s", "build", "--", "-h"], ["--usage", "build"]):
        told = nox(THEIRS, *arguments)
        assert "--canary              shift a tenth of the traffic first" in told
        assert "Run pipelines.release:release." in told
        assert "python -m aksci" not in told
        assert calls(told) == []


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (
            'session("pipelines.relase:release")',
            "there is no module 'pipelines.relase' in {folder}",
        ),
        ('session("nowhere:release")', "there is no module 'nowhere' in {folder}"),
        ('session("pipelines.release:go", name="go")', "release.py has no 'go'"),
        ('session("pipelines.release", name="go")', "is not written as module:function"),
        ('session("pipelines.release:json", name="go")', "is no function, but 'module'"),
        ('session("pipelines.release:smoke", options=("only",))', "takes no 'only', which --only"),
        ('session("pipelines.release:_called", name="go")', "needs 'env', which is none of its"),
    ],
)
def test_a_wrong_target_is_told_with_the_noxfile_and_without_a_traceback(nox, declared, told):
    name = declared.rpartition('name="')[2].partition('"')[0] if "name=" in declared else ""
    name = name or declared.partition('"')[2].partition('"')[0].rpartition(":")[2]
    noxfile = f"from aksci.nox import session\n{declared}\n"
    output = nox(noxfile, "-s", name, expect=1)
    assert told.format(folder=nox.folder) in output
    assert f"error: {nox.folder}/noxfile.py: session '{name}': pipelines" in output or (
        "nowhere" in output
    )
    assert "(exit status 3)" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("body", "traceback", "told"),
    [
        ("import nowhere", True, "No module named 'nowhere'"),
        ("def go(env):\n raise KeyError('mine')", True, "KeyError: 'mine'"),
        ("def go(env):\n open('/nowhere/x')", True, "FileNotFoundError"),
        (
            "import aksci.errors as e\ndef go(env):\n raise e.ValidationError('too slow')",
            False,
            "go failed (exit status 17)",
        ),
        ("def go(env):\n return 7", False, "go failed (exit status 7)"),
        (
            "def go(env):\n return 'x'",
            False,
            "mine:go returned 'x'; it must return None, or an exit status",
        ),
        ("def go(env):\n return True", False, "mine:go returned True"),
        ("def go(env):\n return 256", False, "mine:go returned 256"),
        ("def go(env, *, only):\n pass", False, "go needs --only."),
    ],
)
def test_how_a_teams_session_can_fail(nox, body, traceback, told):
    (nox.folder / "mine.py").write_text(body)
    output = nox(
        'from aksci.nox import session\nsession("mine:go", options=("only",))\n'
        if "only" in body
        else 'from aksci.nox import session\nsession("mine:go")\n',
        "-s",
        "go",
        expect=1,
    )
    assert told in output
    assert ("Traceback" in output) == traceback


OWN_BUILD = 'session("mine:build", options=[Option(name="canary", flag=True, help="first")])'


@pytest.mark.parametrize("lines", [("register()", OWN_BUILD), (OWN_BUILD, "register()")])
def test_a_teams_session_takes_the_place_of_ours_of_that_name(nox, lines):
    (nox.folder / "mine.py").write_text("def build(env, *, canary=False):\n print('mine', canary)")
    noxfile = "\n".join(("from aksci.nox import Option, register, session", *lines, ""))
    # nox warns of a name that is registered twice, and will refuse it one day.
    strict = {"PYTHONWARNINGS": "error::FutureWarning"}
    assert "mine True" in nox(noxfile, "-s", "build", "--", "--canary", **strict)
    assert "--canary              first" in nox(noxfile, "--usage", "build")
    assert "--only means nothing" in nox(noxfile, "-s", "build", "--", "--only", "web", expect=1)
    assert "* plan" in nox(noxfile, "-l") or "- plan" in nox(noxfile, "-l")


@pytest.mark.parametrize(
    ("noxfile", "told"),
    [
        ('session("p:x")\nsession("q:x")', "there are two sessions 'x'"),
        ('session("p:x", name="../x")', "'../x' can't be a session's name"),
        ('register(exclude=("biuld",))', "there is no session 'biuld'. Did you mean 'build'?"),
        ('session("p:x", options=("olny",))', "no option 'olny'. Did you mean 'only'?"),
        ('session("p:x", options=(Option(name="only", help=""),))', "--only is an option of ours"),
        ('session("p:x", options=("only", "only"))', "session 'x': it has two options 'only'"),
        ('session("p:x", options="only")', "hint: options=['only']"),
        ('register(exclude="build")', "hint: exclude=['build']"),
        ('register(only="build")', "hint: only=['build']"),
    ],
)
def test_a_noxfile_that_contradicts_itself_is_refused_when_it_is_read(nox, noxfile, told):
    output = nox(f"from aksci.nox import Option, register, session\n{noxfile}\n", "-l", expect=1)
    assert told in output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["high"], "hint: nox -s level -- --help"),  # not --env high
        (["--level"], "--level needs a value: --level LEVEL. It takes low, high."),
    ],
)
def test_what_a_teams_option_lacks_is_told(nox, arguments, told):
    own = 'Option(name="level", help="", choices=("low", "high"))'
    noxfile = (
        "from aksci.nox import Option, session\n"
        f'session("pipelines.release:smoke", name="level", options=({own},))\n'
    )
    assert told in nox(noxfile, "-s", "level", "--", *arguments, expect=1)


def test_ctrl_c_in_a_teams_session_ends_nox_too(nox):
    (nox.folder / "mine.py").write_text("def go(env):\n raise KeyboardInterrupt")
    noxfile = 'from aksci.nox import session\nsession("mine:go")\nsession("mine:go", name="two")\n'
    output = nox(noxfile, "-s", "go", "two", expect=130)
    assert "go was interrupted" in output
    assert "Running session two" not in output


def test_after_a_session_that_failed_no_other_runs_whoever_has_made_it(nox):
    (nox.folder / "mine.py").write_text("def go(env):\n return 7")
    noxfile = 'from aksci.nox import session\nsession("mine:go")\nsession("mine:go", name="two")\n'
    assert "Running session two" not in nox(noxfile, "-s", "go", "two", expect=1)


def test_what_the_page_shows_is_what_happens(nox):
    """docs/sessions.md: its noxfile, and its console."""
    page = (Path(__file__).parents[3] / "docs/sessions.md").read_text(encoding="utf-8")
    noxfile = page.partition("```python\n")[2].partition("```")[0]
    body = "def ship(env, *, only=(), canary=False):\n print('called ship', only, canary)\n"
    (nox.folder / "pipelines/ship.py").write_text(body)
    output = nox(noxfile, "-s", "ship", "--", "--only", "web", "--canary")
    assert "called ship ('web',) True" in output
    console = page.partition("```\n$ ")[2].partition("```")[0]
    for command, _, shown in (each.partition("\n") for each in console.split("\n$ ")):
        assert shown.strip() in nox(noxfile, *shlex.split(command)[1:], expect=1)


def test_sessions_can_be_left_out_and_then_nox_alone_runs_nothing(nox):
    left = 'from aksci.nox import register\nregister(exclude=("deploy",))\n'
    listed = nox(left, "-l")
    assert "- build -> Build, validate" in listed
    assert "deploy ->" not in listed
    assert "No sessions selected" in nox(left)
    only = nox('from aksci.nox import register\nregister(only=("plan", "graph"))\n', "-l")
    assert [line.split()[1] for line in only.splitlines() if " -> " in line] == ["plan", "graph"]


def test_a_teams_session_is_of_the_project_that_register_names_in_whatever_order(nox):
    (nox.folder / "aksci.toml").rename(nox.folder / "pipelines/aksci.toml")
    two = 'session("pipelines.release:smoke")\nregister("pipelines")\n'
    nox(f"from aksci.nox import register, session\n{two}", "-s", "smoke")
    assert (nox.folder / "pipelines/.aksci/runs").is_dir()


def test_what_lies_beside_the_noxfile_is_in_nobody_elses_way(nox):
    (nox.folder / "sqlite3.py").write_text("raise RuntimeError('taken for the library')")
    both = 'register()\nsession("pipelines.release:smoke")\n'
    code = "import nox\n@nox.session(python=False)\ndef after(session):\n    import sqlite3\n"
    noxfile = f"from aksci.nox import register, session\n{both}{code}"
    # nox itself puts no folder of the noxfile's first: `python -m nox` is started elsewhere.
    nox(noxfile, "-s", "smoke", "after")
