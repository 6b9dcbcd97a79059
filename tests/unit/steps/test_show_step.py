"""What goes to stdout is data, in the form that was asked for."""

from __future__ import annotations

import io
import json
import os
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.errors import UsageError
from aksci.core.text import safe_json
from aksci.core.work_folder import WorkFolder
from aksci.deploy.lint.lint_project import LintFinding, LintReport
from aksci.steps.show_step import place_for, show
from aksci.testing.reporter import RecordingReporter


@pytest.fixture
def env(tmp_path):
    work = tmp_path / ".aksci"
    return SimpleNamespace(
        root=tmp_path, work=work, work_folder=WorkFolder(work), reporter=RecordingReporter()
    )


def test_a_text_is_shown_as_it_is_less_what_commands_a_terminal_or_a_ci_system(env, capsys):
    show(env, "two\nlines \x1b[31m##vso[x]")
    shown = capsys.readouterr().out
    assert shown.startswith("two\nlines ")
    assert "\x1b" not in shown
    assert "##vso[" not in shown


def test_a_value_is_shown_by_the_functions_of_its_type(env, capsys):
    finding = LintFinding(path="web", line=3, level="error", rule="R1", message="no")
    show(env, LintReport(findings=(finding, finding)))
    assert capsys.readouterr().out == "web:3: error: no [R1]\n" * 2


def test_what_the_encoding_of_stdout_lacks_is_replaced(env, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    show(env, "a → 名")
    sys.stdout.flush()
    assert written.getvalue() == b"a -> ?\n"


def test_output_is_a_file_of_the_project_and_stdout_stays_empty(env, capsys):
    show(env, "kept", output=".aksci/shown.txt")
    assert (env.root / ".aksci/shown.txt").read_text() == "kept\n"
    assert capsys.readouterr().out == ""
    assert f"written: {env.root}/.aksci/shown.txt" in env.reporter.lines


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (".", r"--output \.: .* is a folder, and not a file"),
        ("none/x", r"--output none/x: the folder .*/none does not exist"),
        ("/proc/x", r"/proc/x is no file"),
    ],
)
def test_a_place_that_takes_no_file_is_refused(env, output, told):
    with pytest.raises(UsageError, match=told):
        show(env, "text", output=output)


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "/dev/null", "/dev/stdout"])
def test_a_device_is_not_replaced_by_a_file(env, tmp_path, kind):
    """As root, a rename(2) onto /dev/null would take it from every program of the machine."""
    output = kind
    if "pipe" in kind:
        output = str(tmp_path / "place")
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "place").symlink_to("pipe")
    if kind == "pipe":
        output = str(tmp_path / "pipe")
    # Not written to at all: the test runs as root, too.
    with pytest.raises(UsageError, match="is no file"):
        place_for(env, "--output", output)


def test_text_that_utf8_cant_hold_is_written_all_the_same(env):
    show(env, "a \ud800 file", output="shown.txt")
    assert (env.root / "shown.txt").read_text() == "a ? file\n"


def test_a_form_that_a_value_does_not_have_is_refused_with_those_that_it_has(env):
    with pytest.raises(UsageError, match=r"can't be shown as 'dot'; it takes --format text\."):
        show(env, LintReport(findings=()), format="dot")


def test_a_value_that_nothing_shows_is_refused_by_its_type(env):
    with pytest.raises(UsageError, match="type 'dict' can't be shown"):
        show(env, {})


@given(st.text(alphabet="#vso[]:\n\r\x1b% a\u2028") | st.just("##vso[x]"))
def test_json_holds_no_command_of_a_ci_system_and_says_the_same(text):
    document = {text: [text]}
    shown = safe_json(document)
    assert "##" not in shown
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())
    assert "\x1b" not in shown
    assert json.loads(shown) == document
