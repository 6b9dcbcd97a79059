"""The installed wheel in somebody else's repository, on each Python that can be had."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import aksci
from aksci.cli.sessions import SESSIONS
from aksci.testing.registry_server import serve

NOXFILE = """\
from aksci.nox import register
from pipelines.plan import OURS

register()
assert OURS
"""
CONFIG = """\
schema = 1
[project]
name = "theirs"
[discover]
dockerfiles = ["**/Dockerfile"]
[environments.near]
platform = "external"
registry = "{registry}"
plain_http = true
builder = "none"
namespace = "theirs"
"""
TYPED = """\
from aksci import Environment, steps


def ours(env: Environment) -> tuple[str, ...]:
    planned = steps.plan(env, only=("web",))
    reveal_type(planned)
    return planned.to_build
"""
WRONG = """\
from aksci import Environment, nothing, steps

with Environment.open("near") as env:
    steps.plan(env, only=3)
    steps.plann(env)
"""


@pytest.fixture
def repository(tmp_path):
    """A repository with a package ``pipelines`` of its own, as we ask for."""
    folder = tmp_path / "theirs"
    (folder / "web").mkdir(parents=True)
    (folder / "web/Dockerfile").write_text("FROM scratch\nCOPY page /\n")
    (folder / "web/page").write_text("hello\n")
    (folder / "pipelines").mkdir()
    (folder / "pipelines/__init__.py").write_text("")
    (folder / "pipelines/plan.py").write_text("OURS = True\n")
    (folder / "noxfile.py").write_text("import sys\nsys.path.insert(0, '.')\n" + NOXFILE)
    with serve() as server:
        (folder / "aksci.toml").write_text(CONFIG.format(registry=server.host))
        yield folder


def test_it_imports_and_says_its_version(installed, tmp_path):
    told = installed.run("python", "-c", "import aksci; print(aksci.__file__)", cwd=tmp_path)
    assert f"venv-{installed.version}" in told
    assert installed.run("aksci", "--version", cwd=tmp_path) == f"aksci {aksci.__version__}\n"
    assert installed.run("python", "-m", "aksci", "--version", cwd=tmp_path).startswith("aksci ")


def test_every_module_of_it_imports(installed, tmp_path):
    code = (
        "import pkgutil, importlib, aksci\n"
        "for each in pkgutil.walk_packages(aksci.__path__, 'aksci.'):\n"
        "    if not each.name.endswith('__main__'):\n"
        "        importlib.import_module(each.name)\n"
    )
    installed.run("python", "-c", code, cwd=tmp_path)


def test_nox_lists_and_runs_the_sessions(installed, repository):
    listed = installed.run("nox", "-l", cwd=repository)
    assert [name for name in SESSIONS if f" {name} -> " not in listed] == []
    told = installed.run("nox", "-s", "plan", "--", "--env", "near", cwd=repository)
    assert "1 to build" in told


def test_a_package_called_pipelines_hides_none_of_our_sessions(installed, repository):
    """It did: the sessions were in a package of that name, and ended in ModuleNotFoundError."""
    argv = ("python", "-m", "aksci", "plan", "--env", "near", "--format", "json")
    told = installed.run(*argv, cwd=repository)
    document = json.loads(told[: told.rindex("}") + 1])
    assert [each["image"] for each in document["work"]] == ["web"]


def test_without_a_project_the_hint_is_all_that_one_needs(installed, tmp_path):
    told = installed.run("aksci", "plan", cwd=tmp_path, expect=3)
    hint = told.partition("smallest one:\n\n")[2]
    (tmp_path / "aksci.toml").write_text(hint)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert "shop" in installed.run("aksci", "graph", "--format", "json", cwd=tmp_path)


def check_types(foreign, folder, text):
    """Check a file that uses aksci as a stranger does: strictly, with the wheel alone."""
    (folder / "consumer.py").write_text(text)
    python = foreign.install("3.11").python
    argv = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "consumer.py"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_a_type_checker_knows_the_steps(foreign, tmp_path):
    status, told = check_types(foreign, tmp_path, TYPED)
    assert status == 0, told
    assert 'Revealed type is "aksci.images.build_plan.BuildPlan"' in told


def test_a_type_checker_refuses_what_is_wrong(foreign, tmp_path):
    status, told = check_types(foreign, tmp_path, WRONG)
    assert status == 1
    assert 'has no attribute "nothing"' in told
    assert '"only"' in told
    assert 'has no attribute "plann"' in told
