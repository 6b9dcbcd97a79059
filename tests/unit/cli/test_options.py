"""Options are declared once; the parser, its help and what a session takes follow from that."""

from __future__ import annotations

from dataclasses import fields

import pytest

from aksci.cli.options import Options, options_of, parse_options, require_known, usage
from aksci.cli.sessions import SESSIONS
from aksci.core.errors import UsageError

NAMES = {each.name for each in fields(Options)}


def test_every_option_is_for_a_session_that_there_is_and_for_no_other():
    taken = {each.name: each.metadata["declaration"].sessions for each in fields(Options)}
    assert taken.pop("env") == {""}
    assert set().union(*taken.values()) <= SESSIONS.keys()
    assert all(taken.values())


def test_a_session_takes_what_is_declared_for_it_and_its_environment():
    assert options_of("rollback") == {"env", "plan", "to"}
    assert options_of("lint") == {"env"}
    assert options_of("a session of a test") == {"env"}
    assert set().union(*map(options_of, SESSIONS)) == NAMES


def test_nothing_given_is_the_defaults():
    assert parse_options([]) == Options()


def test_each_kind_of_option_is_read_as_its_type_says():
    words = ["--base", "a b", "--base", " c", "--force", "d e", "x", "y", "--exit-code"]
    options = parse_options([*words, "--matrix", "azure", "--to", "r"])
    assert options.base == ("a", "b", "c")
    assert options.force == ("d e",)
    assert options.words == ("x", "y")
    assert (options.exit_code, options.matrix, options.to) == (True, "azure", "r")


@pytest.mark.parametrize("words", [["--plan=x"], ["--matrix", "jenkins"], ["--to"], ["--expl"]])
def test_what_is_not_declared_so_is_refused(words):
    with pytest.raises(UsageError):
        parse_options(words)


def test_help_says_for_whom_each_option_is():
    text = " ".join(usage().split())
    assert "--keep-going build: when images failed" in text
    assert "--output PATH plan, why, graph, cascade, scan, verify, release: write" in text
    assert "export: the folder" in text
    assert "--env NAME environment of aksci.toml" in text
    assert "--explain-rebase" not in text


def test_an_option_of_another_session_is_refused_and_those_that_there_are_are_named():
    options = parse_options(["--until", "scan", "--keep-going", "w"])
    message = (
        "--keep-going, --until, WORD means nothing to 'rollback'; it takes --env, --plan, --to"
    )
    with pytest.raises(UsageError, match=message):
        require_known("rollback", options, shared=False)
    require_known("rollback", options, shared=True)
