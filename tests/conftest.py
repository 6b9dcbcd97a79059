"""Fixtures of the real parts. They install and start what is missing; nothing is ever skipped."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path

import hypothesis
import pytest

from aksci.ci.choose import choose_reporter
from aksci.core.process import Runner

# A shell that starts the tests in the background has SIGINT ignored, by them and by all that they
# start; some of them press Ctrl-C. SIGHUP stays ignored under nohup, so that the tests go on when
# the terminal closes: a test that sends it says how what it starts is to take it.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)

# An example's time tells how busy the machine is, and nothing of the code: no deadline.
hypothesis.settings.register_profile(
    "aksci", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("aksci")

ROOT = Path(__file__).parents[1]
SEEDS = {"debian:bookworm-slim": ("ca-certificates",)}


def _xdg(name: str, default: str) -> Path:
    return Path(os.environ.get(name) or Path.home() / default) / "aksci"


@pytest.fixture(scope="session")
def reporter():
    """Report installations on the real stderr, whatever pytest captures."""
    return choose_reporter({}, sys.__stderr__)


def _runner():
    return Runner(environment=dict(os.environ), log=lambda _line: None)


@pytest.fixture
def runner():
    """One a test: a test that presses Ctrl-C stops its runner for good."""
    return _runner()


def _module(name):
    """Load a module that lies beside this one: tests are no package to import from."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def notary():
    """The module that writes signatures, good and bad ones."""
    return _module("notary")


@pytest.fixture(scope="session")
def library_page():
    """The module that makes a team's repository of docs/library.md."""
    return _module("library_page")


def pytest_generate_tests(metafunc):
    """Run what asks for ``installed`` with the wheel in an environment of each Python."""
    if "installed" in metafunc.fixturenames:
        metafunc.parametrize("installed", _module("foreign").pythons(), indirect=True)


@pytest.fixture(scope="session")
def foreign(tmp_path_factory):
    """Environments with the installed wheel, made when they are first asked for."""
    return _module("foreign").Foreign(folder=tmp_path_factory.mktemp("foreign"))


@pytest.fixture
def installed(foreign, request):
    """aksci as a user installs it, for one Python: ``.run("aksci", "plan", cwd=…)``."""
    return foreign.install(request.param)


@pytest.fixture(scope="session")
def toolbox(reporter):
    from aksci.tools.toolbox import Toolbox

    cache = _xdg("XDG_CACHE_HOME", ".cache")
    return Toolbox(cache=cache, runner=_runner(), reporter=reporter, variables=os.environ)


@pytest.fixture(scope="session")
def platform(toolbox, reporter):
    """The embedded platform of this user, started; stopped afterwards if it did not run before."""
    from aksci.local.platform import down, status, up

    state = _xdg("XDG_STATE_HOME", ".local/state") / "local"
    ran_before = status(state=state).healthy
    yield up(state=state, toolbox=toolbox, runner=_runner(), reporter=reporter, seeds=SEEDS)
    if not ran_before:
        down(state=state, runner=_runner(), reporter=reporter)
