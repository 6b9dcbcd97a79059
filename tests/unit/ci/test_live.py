"""Live lines on a real pseudo-terminal, as a small screen shows them; groups in CI systems."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import termios
import threading
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.ci.choose import choose_reporter
from aksci.ci.console import ConsoleReporter
from aksci.ci.live import LiveReporter, fit

COMMANDS = re.compile(r"\x1b\[(\d*)([AK])|([\s\S])")


class Screen:
    """A terminal that knows what the reporter uses: CUU, EL, CR, LF, and wrapping."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines, self.row, self.column = [""], 0, 0

    def feed(self, text):
        for match in COMMANDS.finditer(text):
            count, command, character = match.groups()
            if command == "A":
                assert int(count) < self.rows, "the cursor would leave the screen"
                self.row -= int(count)
                assert self.row >= 0
            elif command == "K":
                self.lines[self.row] = self.lines[self.row][: self.column]
            else:
                self.put(character)

    def put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row, self.column = self.row + 1, 0
        else:
            if self.column == self.columns:
                self.row, self.column = self.row + 1, 0
            self.grow()
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1
        self.grow()

    def grow(self):
        while len(self.lines) <= self.row:
            self.lines.append("")

    @property
    def text(self):
        return [line.rstrip() for line in self.lines if line.strip()]


class Terminal:
    """A pseudo-terminal and what was written to it."""

    def __init__(self, columns=60, rows=10, encoding="utf-8"):
        self.master, slave = pty.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST  # no \r before each \n
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.columns, self.rows = columns, rows
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.stream = os.fdopen(slave, "w", encoding=encoding)
        self.written = b""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.written += data

    def close(self):
        self.stream.close()
        self.reader.join(5)
        os.close(self.master)

    def screen(self):
        time.sleep(0.05)
        found = Screen(self.columns, self.rows)
        found.feed(self.written.decode("utf-8", "replace"))
        return found.text


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    made.close()


def wait_for(terminal, expected):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if any(re.search(expected, line) for line in terminal.screen()):
            return
    raise AssertionError(terminal.screen())


def test_a_task_has_one_line_with_its_step_and_leaves_one(terminal):
    reporter = LiveReporter(terminal.stream)
    web, api = reporter.task("web"), reporter.task("api-server")
    web.step("[1/2] RUN make")
    api.step("[1/9] RUN \x1b[31mwait\x07\tnow")
    wait_for(terminal, r"^  api-server +0 s  \[1/9\] RUN wait now$")
    web.step("[2/2] RUN test")
    wait_for(terminal, r"^  web +\d s  \[2/2\] RUN test$")
    reporter.line("told above")
    web.line("its output")
    web.warning("look here")
    assert terminal.screen()[:2] == ["told above", "warning: [web] look here"]
    assert len(terminal.screen()) == 4
    web.done("built sha256:1 (0.1 s)")
    api.done("failed (0.2 s)")
    assert terminal.screen() == [
        "told above",
        "warning: [web] look here",
        "[web] built sha256:1 (0.1 s)",
        "[api-server] failed (0.2 s)",
    ]


def test_the_seconds_go_on_while_nothing_is_told(terminal):
    task = LiveReporter(terminal.stream).task("web")
    task.step("RUN sleep")
    wait_for(terminal, "^  web +0 s  RUN sleep$")
    wait_for(terminal, "^  web +1 s  RUN sleep$")
    task.done("built")


def test_nothing_is_written_while_nothing_changes(terminal):
    task = LiveReporter(terminal.stream).task("web")
    task.step("RUN sleep")
    wait_for(terminal, "RUN sleep")
    before = len(terminal.written)
    time.sleep(0.5)
    assert len(terminal.written) - before < 60  # at most one new second
    task.done("built")


def test_more_tasks_than_rows_are_counted_and_long_lines_stay_on_their_row(terminal):
    reporter = LiveReporter(terminal.stream)
    tasks = [reporter.task(f"image-{number}") for number in range(20)]
    for task in tasks:
        task.step("日本語" * 40)
    reporter.line("x" * 150)
    wait_for(terminal, "^  and 12 more$")
    wait_for(terminal, r"^  image-0 +\d s  日本語.*\.\.\.$")
    for task in tasks:
        task.done("built")
    shown = terminal.screen()
    assert shown[:3] == ["x" * 60, "x" * 60, "x" * 30]
    assert shown[3:] == [f"[image-{number}] built" for number in range(20)]


def test_a_terminal_that_becomes_narrower_has_wrapped_the_lines_that_are_replaced(terminal):
    reporter = LiveReporter(terminal.stream)
    task = reporter.task("web")
    task.step("y" * 100)
    wait_for(terminal, "yyy")
    before = len(terminal.written)
    fcntl.ioctl(terminal.stream, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 30, 0, 0))
    task.done("built")
    # 59 columns were drawn; in 30 columns, they take 2 rows.
    time.sleep(0.1)
    assert b"\x1b[2A" in terminal.written[before:]


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "caf?"), ("latin-1", "café")])
def test_a_terminal_that_is_not_utf8_gets_readable_lines(encoding, shown):
    terminal = Terminal(encoding=encoding)
    task = LiveReporter(terminal.stream).task("web")
    task.step("café")
    time.sleep(0.3)
    task.done("end → é")
    time.sleep(0.1)
    text = terminal.written.decode(encoding)
    terminal.close()
    assert f"  {shown}" in text
    assert "end -> " in text


def test_masked_values_are_hidden_in_live_lines(terminal):
    reporter = LiveReporter(terminal.stream)
    reporter.mask("hunter2")
    task = reporter.task("web")
    task.step("RUN login hunter2")
    wait_for(terminal, r"RUN login \*\*\*")
    task.done("built")
    assert b"hunter2" not in terminal.written


def test_a_terminal_that_is_gone_ends_nothing():
    terminal = Terminal()
    reporter = LiveReporter(terminal.stream)
    reporter.task("web").step("x")
    terminal.close()
    time.sleep(0.3)
    assert [one for one in threading.enumerate() if one.name == "live-lines"] == []


@given(st.text(), st.integers(0, 30))
def test_what_is_cut_to_a_width_has_it(text, columns):
    cut = fit(text, columns)
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in cut)
    marks = sum(unicodedata.category(one) in {"Mn", "Me"} for one in cut)
    assert len(cut) + wide - 2 * marks <= columns or len(cut) <= columns
    assert text.startswith(cut.removesuffix("...")) or cut == "..."[:columns]


@pytest.mark.parametrize(
    ("variables", "live"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True),
        ({"TERM": "dumb"}, False),
        ({}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, False),
        ({"TERM": "xterm", "GITHUB_ACTIONS": "true"}, False),
    ],
)
def test_lines_are_live_on_a_terminal_that_can_and_not_in_ci(terminal, variables, live):
    assert isinstance(choose_reporter(variables, terminal.stream), LiveReporter) is live


def test_no_colour_means_no_colour_in_live_lines(terminal):
    reporter = choose_reporter({"TERM": "xterm", "NO_COLOR": "1"}, terminal.stream)
    task = reporter.task("web")
    task.warning("x")
    task.done("built")
    time.sleep(0.1)
    assert b"m" not in re.findall(rb"\x1b\[\d*(.)", terminal.written)


def told(reporter):
    web, api = reporter.task("web"), reporter.task("api")
    web.step("to be built: new")
    api.step("to be built: new")
    web.line("a")
    api.line("b")
    web.line("::error::c")
    web.done("built")
    api.done("failed")


def test_in_a_log_file_each_line_says_whose_it_is():
    stream = io.StringIO()
    told(ConsoleReporter(stream))
    assert stream.getvalue().splitlines() == [
        "[web] to be built: new",
        "[api] to be built: new",
        "[web]   a",
        "[api]   b",
        "[web]   ::error::c",
        "[web] built",
        "[api] failed",
    ]


@pytest.mark.parametrize(
    ("variables", "begin", "end"),
    [
        ({"GITHUB_ACTIONS": "true"}, "::group::", "::endgroup::"),
        ({"TF_BUILD": "True"}, "##[group]", "##[endgroup]"),
    ],
)
def test_in_ci_each_task_is_a_group_when_it_ends_and_groups_do_not_nest(variables, begin, end):
    stream = io.StringIO()
    reporter = choose_reporter(variables, stream)
    with reporter.group("build"):
        told(reporter)
        reporter.line("2 images")
    assert stream.getvalue().splitlines() == [
        f"{begin}build",
        "[web] to be built: new",
        "[api] to be built: new",
        end,
        f"{begin}web: built",
        "to be built: new",
        "  a",
        "  : :error::c",
        end,
        f"{begin}api: failed",
        "to be built: new",
        "  b",
        end,
        "2 images",
    ]


def test_a_task_that_says_too_much_for_memory_keeps_the_end():
    stream = io.StringIO()
    task = choose_reporter({"GITHUB_ACTIONS": "true"}, stream).task("web")
    for number in range(10_005):
        task.line(str(number))
    task.done("built")
    lines = stream.getvalue().splitlines()
    assert lines[1] == "(5 lines before these are left out)"
    assert lines[-2:] == ["  10004", "::endgroup::"]
