"""The sanitiser and the reporters: attacker text is never obeyed, ours is."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.ci.azure_pipelines import AzurePipelinesReporter
from aksci.ci.choose import choose_reporter
from aksci.ci.console import ConsoleReporter
from aksci.ci.github import GitHubReporter
from aksci.ci.own_reporter import OwnReporter
from aksci.core.errors import UsageError
from aksci.core.text import sanitise
from aksci.testing.reporter import RecordingReporter

HOSTILE = st.lists(
    st.sampled_from(
        [
            "##vso[",
            "##[",
            "#",
            "::",
            ":",
            "\r",
            "\n",
            "\x1b[31m",
            "\x1b]0;",
            "\x07",
            "%0A",
            " ",
            "x",
        ]
    )
).map("".join)


@given(HOSTILE)
def test_nothing_that_a_ci_system_obeys_survives(text):
    clean = sanitise(text)
    assert "##vso[" not in clean.lower()
    assert "##[" not in clean
    assert "\r" not in clean
    assert "\x1b" not in clean
    assert not any(line.lstrip().startswith("::") for line in clean.splitlines())


@given(HOSTILE)
def test_sanitising_twice_changes_nothing_more(text):
    assert sanitise(sanitise(text)) == sanitise(text)


def test_ordinary_text_is_left_alone():
    text = "→ naïve 10:30::x  #1 ## heading\n\ttabbed %0A"
    assert sanitise(text) == text


def test_github_gets_groups_annotations_and_escaped_data():
    stream = io.StringIO()
    reporter = GitHubReporter(stream)
    with reporter.group("build"):
        reporter.line("::set-output name=x::evil")
        reporter.error("50% of\nlines")
    assert stream.getvalue().splitlines() == [
        "::group::build",
        ": :set-output name=x::evil",
        "::error::50%25 of%0Alines",
        "::endgroup::",
    ]


def test_azure_gets_groups_issues_and_escaped_data():
    stream = io.StringIO()
    reporter = AzurePipelinesReporter(stream)
    with reporter.group("build"):
        reporter.line("a ##vso[task.setvariable variable=x]evil")
        reporter.warning("50% of\nlines")
    assert stream.getvalue().splitlines() == [
        "##[group]build",
        "a # #vso[task.setvariable variable=x]evil",
        "##vso[task.logissue type=warning]50%AZP25 of%0Alines",
        "##[endgroup]",
    ]


def test_summaries_are_appended_on_github_and_never_overwritten(tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    reporter = GitHubReporter(io.StringIO(), summary_file=str(path))
    reporter.summary("# one")
    reporter.summary("# two")
    assert path.read_text() == "before\n# one\n# two\n"


def test_azure_attaches_each_summary_as_its_own_file(tmp_path):
    stream = io.StringIO()
    reporter = AzurePipelinesReporter(stream, summary_folder=str(tmp_path))
    reporter.summary("# one")
    reporter.summary("# two")
    assert len(list(tmp_path.iterdir())) == 2
    assert stream.getvalue().count("##vso[task.uploadsummary]") == 2


def test_nothing_is_left_of_a_masked_value_that_holds_another():
    stream = io.StringIO()
    reporter = ConsoleReporter(stream)
    for length in range(8):
        reporter.mask("hunter2" + "x" * length)
    reporter.line("password hunter2xxxxxxx")
    assert stream.getvalue() == "password ***\n"


def test_a_masked_value_is_hidden_everywhere():
    stream = io.StringIO()
    reporter = ConsoleReporter(stream)
    reporter.mask("hunter2")
    reporter.line("password hunter2")
    assert stream.getvalue() == "password ***\n"


def test_a_terminal_that_is_not_utf8_gets_readable_output():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    ConsoleReporter(stream).line("café → ok")
    assert raw.getvalue() == b"caf? -> ok\n"


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({}, ConsoleReporter),
        ({"GITHUB_ACTIONS": "true"}, GitHubReporter),
        ({"TF_BUILD": "True"}, AzurePipelinesReporter),
    ],
)
def test_the_ci_system_is_recognised_by_its_own_variable(variables, kind):
    assert type(choose_reporter(variables, io.StringIO())) is kind


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colour_follows_the_conventions(variables, coloured):
    stream = io.StringIO()
    choose_reporter(variables, stream).error("x")
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_a_github_output_cannot_be_forged_by_its_value(tmp_path):
    path = tmp_path / "output"
    reporter = GitHubReporter(io.StringIO(), output_file=str(path))
    reporter.output("release", "x\nEOF\nother=evil")
    first, *rest = path.read_text().splitlines()
    name, delimiter = first.split("<<")
    assert (name, rest) == ("release", ["x", "EOF", "other=evil", delimiter])


def test_an_azure_output_is_one_escaped_line():
    stream = io.StringIO()
    AzurePipelinesReporter(stream).output("release", "a%\nb")
    expected = "##vso[task.setvariable variable=release;isOutput=true]a%AZP25%0Ab\n"
    assert stream.getvalue() == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a\nPATH=evil",
        "a<<EOF",
        "a=b",
        "a;isSecret=true",
        "a]evil",
        "1",
        "\u202ea",
        "a\ud800",
        "ä",
    ],
)
def test_an_output_has_a_name_that_is_one(tmp_path, name):
    stream, path = io.StringIO(), tmp_path / "output"
    for reporter in (
        GitHubReporter(stream, output_file=str(path)),
        AzurePipelinesReporter(stream),
    ):
        with pytest.raises(UsageError, match="name of an output"):
            reporter.output(name, "x")
    assert stream.getvalue() == ""
    assert not path.exists()


@pytest.mark.parametrize("value", ["\ud800", "a\u202eb", "\x00", "x" * 100_000])
def test_outputs_and_summaries_of_any_text_are_written(tmp_path, value):
    stream = io.StringIO()
    files = {"summary_file": str(tmp_path / "summary"), "output_file": str(tmp_path / "output")}
    for reporter in (
        GitHubReporter(stream, **files),
        AzurePipelinesReporter(stream, summary_folder=str(tmp_path)),
    ):
        reporter.output("a", value)
        reporter.summary(value)
    for path in tmp_path.iterdir():
        assert path.read_bytes().decode()


def test_a_summary_that_github_would_refuse_is_cut_and_said_to_be(tmp_path):
    path, stream = tmp_path / "summary.md", io.StringIO()
    reporter = GitHubReporter(stream, summary_file=str(path))
    reporter.summary("# first\n" + "ä line\n" * 200_000)
    reporter.summary("# second")
    text = path.read_bytes().decode()
    assert len(text.encode()) <= 1 << 20
    assert text.startswith("# first\nä line\n")
    assert text.endswith("ä line\n\nThe rest is left out: GitHub shows 1 MiB of a step.\n")
    assert stream.getvalue().count("::warning::") == 2


def test_a_reporter_of_ones_own_is_told_nothing_that_a_terminal_or_a_ci_system_obeys():
    theirs = RecordingReporter()
    reporter = OwnReporter(theirs)
    hostile = "\x1b[31m##vso[task.setvariable]x"
    for tell in (reporter.line, reporter.warning, reporter.error, reporter.summary):
        tell(hostile)
    with reporter.group(hostile):
        task = reporter.task(hostile)
    for tell in (task.step, task.line, task.warning, task.done):
        tell(hostile)
    told = [*theirs.told, *theirs.summaries]
    assert len(told) == 9
    assert not [text for text in told if "\x1b" in text or "##vso" in text]
    reporter.mask(hostile)
    reporter.output("name", hostile)
    assert (theirs.masked, theirs.outputs) == ([hostile], {"name": hostile})


UNSEEN = (
    "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066"
    "\u2067\u2068\u2069\ufeff\U000e0041"
)


@pytest.mark.parametrize("kind", [ConsoleReporter, GitHubReporter, AzurePipelinesReporter])
def test_what_is_not_seen_is_in_no_line_warning_error_heading_or_summary(kind, tmp_path):
    stream = io.StringIO()
    summary = tmp_path / "summary.md"
    options = {
        GitHubReporter: {"summary_file": str(summary)},
        AzurePipelinesReporter: {"summary_folder": str(tmp_path)},
    }
    reporter = kind(stream, **options.get(kind, {}))
    text = f"a{UNSEEN}b"
    for tell in (reporter.line, reporter.warning, reporter.error, reporter.summary):
        tell(text)
    with reporter.group(text):
        reporter.line(text)
    told = stream.getvalue() + "".join(path.read_text() for path in tmp_path.glob("*.md"))
    assert not set(told) & set(UNSEEN)
    assert told.count("ab") >= 5
