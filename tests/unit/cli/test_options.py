"""Options are declared once; what a session takes, and reading it, follow from that."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from aksci.cli.arguments import read_arguments
from aksci.cli.command_line import CommandLine
from aksci.cli.option import DeclaredOption
from aksci.cli.options import BUILD_STAGES, OPTIONS, options_of
from aksci.cli.sessions import SESSIONS, SessionSpec
from aksci.core.errors import ConfigError, UsageError


def values(arguments, *names, others=False):
    """Return what the first of some sessions gets."""
    sessions = tuple(SESSIONS[name] for name in names)
    return CommandLine(sessions=sessions, others=others).values_for(sessions[0], arguments)


def test_every_option_that_a_session_names_is_declared_and_every_declared_one_is_taken():
    named = [set(spec.options) for spec in SESSIONS.values()]
    assert set().union(*named) | {"env"} == OPTIONS.keys()
    for name, option in OPTIONS.items():
        special = option.meanings.keys() | option.narrowed.keys()
        assert special <= {spec.name for spec in SESSIONS.values() if name in spec.options}


def test_what_a_session_can_be_shown_as_is_declared_for_each():
    taking = {spec.name for spec in SESSIONS.values() if "format" in spec.options}
    assert OPTIONS["format"].narrowed.keys() == taking
    assert set().union(*OPTIONS["format"].narrowed.values()) == {*OPTIONS["format"].choices}


@pytest.mark.parametrize("spec", SESSIONS.values(), ids=lambda spec: spec.name)
def test_a_pipelines_parameters_are_its_options_with_the_defaults_that_are_told(spec):
    """The edge passes what was given: for all else, the function's own defaults hold."""
    module, _, name = spec.target.partition(":")
    _, *parameters = inspect.signature(getattr(import_module(module), name)).parameters.values()
    assert {each.name for each in parameters} == set(spec.options)
    for each in parameters:
        option = OPTIONS[each.name]
        if option.flag:
            assert each.default is False
        elif option.many or option.bare:
            assert each.default == ()
        elif each.default is not None:
            assert each.default == option.default


def test_a_session_takes_what_it_names_and_its_environment():
    assert list(options_of(SESSIONS["rollback"])) == ["env", "plan", "to"]
    assert list(options_of(SESSIONS["lint"])) == ["env"]


def test_nothing_given_is_nothing_and_a_default_that_was_given_is_something():
    assert values([], "build") == {}
    assert values(["--until", BUILD_STAGES[-1]], "build") == {"until": "push"}
    with pytest.raises(UsageError, match="--until means nothing to 'deploy'"):
        values(["--until", "push"], "deploy")


def test_what_a_script_leaves_empty_is_not_given_where_there_is_a_default():
    assert values(["--release=", "--plan"], "deploy") == {"plan": True}
    assert values(["--output", "", "--save", "", "--compare=", "--force", "x"], "plan") == {
        "force": ("x",)
    }
    # An environment, or a release to go back to, is never guessed.
    assert values(["--to=", "--env", ""], "rollback") == {"env": "", "to": ""}


def test_each_kind_of_option_is_read_as_it_is_declared():
    words = ["--base", "a b", "--base", " c", "--base=", "--force", "d e", "--force=--x", "x", "-"]
    given = read_arguments([*words, "--exit-code", "--matrix", "azure", "--", "--y"], OPTIONS)
    assert given.values == {
        "base": ("a", "b", "c"),
        "force": ("d e", "--x"),
        "words": ("x", "-", "--y"),
        "exit_code": True,
        "matrix": "azure",
    }
    number = DeclaredOption(name="number", help="", type=int, many=True)
    assert read_arguments(["--number", "7"], {"number": number}).values == {"number": (7,)}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--plan=x"], "--plan takes no value"),
        (["--to"], "--to needs a value: --to REF"),
        (["--to", "--plan"], "--to needs a value"),
        (["--expl"], "takes no option --expl"),
        (["--pla"], "takes no option --pla. Did you mean '--plan'?"),
    ],
)
def test_what_is_not_written_so_is_refused(words, told):
    with pytest.raises(UsageError) as caught:
        values(words, "rollback")
    assert told in caught.value.message


def test_a_number_that_is_none_is_refused():
    number = DeclaredOption(name="number", help="", type=int)
    with pytest.raises(UsageError, match=r"--number x: invalid literal"):
        read_arguments(["--number", "x"], {"number": number})


def test_what_a_session_lacks_is_refused_and_what_it_has_is_named():
    words = ["--until", "scan", "--keep-going"]
    message = "--until, --keep-going means nothing to 'rollback'; it takes --env, --plan, --to"
    with pytest.raises(UsageError, match=message):
        values(words, "rollback")
    assert values(words, "rollback", "build") == {}
    assert values([*words, "-x", "y"], "rollback", others=True) == {}


def test_one_option_that_is_declared_twice_needs_two_calls():
    one, two = (
        SessionSpec(name=name, summary="", target="", own=(DeclaredOption(name="x", help=name),))
        for name in ("one", "two")
    )
    with pytest.raises(UsageError, match="--x is not the same option for all of 'one' and 'two'"):
        CommandLine(sessions=(one, two)).values_for(one, [])


@pytest.mark.parametrize(
    "declared",
    [
        {"name": "a-b"},
        {"name": "help"},
        {"name": "a", "flag": True, "many": True},
        {"name": "a", "choices": ("1",), "type": int},
    ],
)
def test_an_option_that_could_not_be_given_is_refused_where_it_is_declared(declared):
    with pytest.raises(ConfigError):
        DeclaredOption(help="", **declared)
