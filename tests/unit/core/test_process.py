"""The runner: no shell, redaction, time-outs that end the group, errors that tell."""

from __future__ import annotations

import base64
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from aksci.core.errors import (
    AksciError,
    DiskFullError,
    Interrupted,
    ProcessError,
    ProcessTimeout,
    ToolError,
)
from aksci.core.process import Limits, Runner
from aksci.core.secret import Secret


@pytest.fixture
def log():
    return []


@pytest.fixture
def runner(log):
    return Runner(environment={"PATH": os.environ["PATH"]}, log=log.append)


def test_streams_are_kept_apart_and_stdin_arrives(runner):
    result = runner.run(["sh", "-c", "cat; echo problem >&2"], stdin="data\n")
    assert (result.status, result.stdout, result.stderr) == (0, "data\n", "problem\n")


def test_arguments_reach_the_program_unchanged_because_there_is_no_shell(runner):
    words = ["$HOME", "a b", "*", "; exit 7", "`id`", "--x=y"]
    result = runner.run(["printf", "%s\n", *words])
    assert result.stdout.splitlines() == words


def test_a_program_without_stdin_reads_end_of_file(runner):
    assert runner.run(["cat"], timeout=5).stdout == ""


def test_only_the_given_environment_is_passed(runner):
    result = runner.run(["env"], env={"ONLY": "this"}, only_env=True)
    assert result.stdout.splitlines() == ["ONLY=this"]


def test_lines_are_passed_on_while_the_program_runs(runner):
    seen: list[float] = []
    runner.run(
        ["sh", "-c", "echo a; sleep 0.5; echo b"], on_line=lambda _: seen.append(time.time())
    )
    assert seen[1] - seen[0] > 0.3


def test_a_failure_tells_command_status_and_the_last_lines(runner):
    with pytest.raises(ProcessError, match="exit status 3") as caught:
        runner.run(["sh", "-c", "echo the reason >&2; exit 3"])
    assert caught.value.status == 3
    assert "the reason" in str(caught.value)


def test_a_signal_is_told_as_such(runner):
    with pytest.raises(ProcessError, match="ended by signal 9"):
        runner.run(["sh", "-c", "kill -9 $$"])


def test_a_status_may_be_expected(runner):
    assert runner.run(["false"], check=False).status == 1


def test_a_missing_program_is_named(runner):
    with pytest.raises(ToolError, match="'no-such-program' is not installed"):
        runner.run(["no-such-program"])


def test_secrets_never_reach_log_lines_errors_or_sh_loggers(runner, log, caplog):
    caplog.set_level(logging.DEBUG)
    lines: list[str] = []
    with pytest.raises(ProcessError) as caught:
        runner.run(
            ["sh", "-c", "cat; echo $TOKEN; exit 1"],
            env={"TOKEN": Secret("s3cr3t-env")},
            stdin=Secret("s3cr3t-in"),
            on_line=lines.append,
        )
    everything = "\n".join([*log, *lines, str(caught.value), caught.value.output, caplog.text])
    assert "***" in everything
    assert "s3cr3t" not in everything


def test_output_passes_the_sanitiser(runner):
    lines: list[str] = []
    script = r"printf '##vso[task.x]\n::error::x\n\033[31mred\033[0m\rover\n'"
    runner.run(["sh", "-c", script], on_line=lines.append)
    assert lines == ["# #vso[task.x]", ": :error::x", "red", "over"]


def test_a_time_out_ends_the_whole_process_group(runner, tmp_path):
    pid_file = tmp_path / "pid"
    started = time.monotonic()
    with pytest.raises(ProcessTimeout, match=r"did not end within 0\.5 s"):
        runner.run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout=0.5)
    assert time.monotonic() - started < 8
    assert not _alive(int(pid_file.read_text()))


def test_a_time_out_waits_for_children_that_the_program_left_behind(runner, monkeypatch, tmp_path):
    monkeypatch.setattr("aksci.core.process._GRACE", 0.5)
    pid_file = tmp_path / "pid"
    # It ignores SIGTERM and holds no pipe of ours, so that nothing but its group tells of it.
    child = f"(trap '' TERM; exec sleep 60) >/dev/null 2>&1 & echo $! > {pid_file}; wait"
    with pytest.raises(ProcessTimeout):
        runner.run(["sh", "-c", child], timeout=0.5)
    assert not _alive(int(pid_file.read_text()))


def test_a_program_that_ignores_sigterm_is_killed(runner, monkeypatch):
    monkeypatch.setattr("aksci.core.process._GRACE", 0.3)
    with pytest.raises(ProcessTimeout):
        runner.run(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], timeout=0.3)


def test_terminate_all_ends_what_other_threads_started_and_lets_them_start_no_more(runner):
    outcomes: list[type] = []

    def work():
        for _ in range(2):
            try:
                runner.run(["sleep", "60"])
            except AksciError as error:
                outcomes.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    while not runner._live:
        time.sleep(0.01)
    runner.terminate_all()
    thread.join(10)
    assert outcomes == [Interrupted, Interrupted]


def test_an_empty_secret_redacts_nothing(runner, log):
    runner.run(["true"], env={"EMPTY": Secret("")})
    assert log == ["+ true"]


def test_each_line_of_a_secret_with_several_is_redacted(runner):
    lines: list[str] = []
    key = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n-----END KEY-----\n"
    runner.run(["sh", "-c", 'echo "$KEY"'], env={"KEY": Secret(key)}, on_line=lines.append)
    assert lines == ["***", "***", "***"]


@pytest.mark.parametrize("command", ["base64", "base64 -w0", "basenc --base64url -w0"])
@pytest.mark.parametrize("before", ["", "u:", "user:", "robot:"])
def test_a_secret_in_base64_is_redacted_whatever_stands_before_it(runner, before, command):
    """``Authorization: Basic`` holds the name and the password in one word."""
    lines: list[str] = []
    secret = "p4ss>>w0rd??of?a?robot>" * (4 if not before else 1)
    runner.run(
        ["sh", "-c", f'printf "%s" "$NAME$KEY" | {command}'],
        env={"KEY": Secret(secret), "NAME": before},
        on_line=lines.append,
    )
    shown = "".join(lines).replace("***", "")
    assert "***" in "".join(lines)
    assert len(shown) <= len(before) * 2 + 6  # the name, and what it shares with the secret


def test_what_a_program_learns_from_a_file_is_redacted_too(runner, tmp_path):
    (tmp_path / "token").write_text("s3cr3t-file\n")
    runner.conceal(Secret("s3cr3t-file\n"))
    lines: list[str] = []
    runner.run(["cat", tmp_path / "token"], on_line=lines.append)
    assert lines == ["***"]


def test_no_space_left_is_its_own_error(runner):
    with pytest.raises(DiskFullError, match="No space left"):
        runner.run(["cp", "/etc/hostname", "/dev/full"])


def test_bytes_that_are_not_utf8_do_not_stop_the_run(runner):
    assert runner.run(["printf", r"\377\n"]).stdout == "\ufffd\n"


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_question_gets_its_answer_whatever_the_status(runner):
    answer = runner.ask(["sh", "-c", "echo yes; echo no >&2; exit 3"], timeout=10)
    assert (answer.status, answer.stdout, answer.stderr) == (3, "yes\n", "no\n")


def test_a_question_without_an_answer_ends_with_its_children(runner):
    started = time.monotonic()
    with pytest.raises(ProcessTimeout, match=r"did not end within 0\.2 s"):
        runner.ask(["sh", "-c", "sleep 60 & wait"], timeout=0.2)
    assert time.monotonic() - started < 5


def test_a_stopped_runner_asks_nothing(runner):
    runner.terminate_all()
    with pytest.raises(Interrupted):
        runner.ask(["true"], timeout=10)


def test_a_question_to_a_missing_program_is_an_error(runner):
    with pytest.raises(ToolError, match="could not be started"):
        runner.ask(["no-such-program"], timeout=10)


def test_a_reader_of_documents_gets_lines_as_they_are_and_errors_stay_redacted():
    """BuildKit's logs are base64 in JSON: with a part redacted, the whole line would be lost."""
    lines = []
    runner = Runner(environment=dict(os.environ), log=lambda _: None)
    secret = Secret("hunter2hunter2")
    data = base64.b64encode(b"it is hunter2hunter2\n").decode()
    code = f"print({data!r}); raise SystemExit(3)"
    with pytest.raises(ProcessError) as caught:
        runner.run(
            [sys.executable, "-c", code], env={"TOKEN": secret}, on_line=lines.append, raw=True
        )
    assert lines == [data]
    assert data not in caught.value.output


LIMITS = Limits(memory=200_000_000, cpu=60, output=100_000)


def test_a_program_that_takes_more_memory_than_it_may_is_ended(runner):
    code = "x = bytearray(100_000_000); print(len(x)); x = bytearray(1_000_000_000); print('no')"
    result = runner.run([sys.executable, "-c", code], check=False, limits=LIMITS)
    assert result.status != 0
    assert result.stdout.split() == ["100000000"]


def test_a_program_that_works_for_longer_than_it_may_is_ended(runner):
    limits = Limits(memory=LIMITS.memory, cpu=1, output=LIMITS.output)
    result = runner.run(
        [sys.executable, "-c", "while True: pass"], check=False, timeout=60, limits=limits
    )
    assert result.status < 0


def test_a_program_that_ignores_the_signal_is_ended_too(runner):
    limits = Limits(memory=LIMITS.memory, cpu=1, output=LIMITS.output)
    # As all programs in Go do.
    code = "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    result = runner.run([sys.executable, "-c", code], check=False, timeout=60, limits=limits)
    assert result.status == -signal.SIGKILL


def test_output_without_an_end_is_thrown_away(runner):
    code = (
        "import sys; [sys.stdout.write('x' * 100_000) for _ in range(100)]; sys.stderr.write('e')"
    )
    result = runner.run([sys.executable, "-c", code], limits=LIMITS)
    assert (len(result.stdout), result.stderr) == (LIMITS.output, "e")


def test_of_output_without_an_end_the_last_of_both_streams_is_kept_in_its_order(runner):
    code = (
        "import sys\nfor number in range(200_000): print('x' * 50, number)\n"
        "for word in 'abcd':\n"
        "    print(word, file=sys.stdout if word in 'ac' else sys.stderr, flush=True)\n"
    )
    result = runner.run([sys.executable, "-c", code], last=20_000)
    assert (len(result.stdout), result.stderr) == (20_000, "")
    assert result.stdout.split()[-5:] == ["199999", "a", "b", "c", "d"]


def test_of_little_output_all_is_kept(runner):
    result = runner.run([sys.executable, "-c", "print('no end', end='')"], last=20_000)
    assert result.stdout == "no end"
