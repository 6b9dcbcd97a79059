"""The one place that starts programs, over ``sh`` and without a shell.

argv is logged and redacted, time-outs end the whole process group, output passes the sanitiser.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shlex
import signal
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DiskFullError, Interrupted, ProcessError, ProcessTimeout, ToolError
from aksci.core.secret import Concealer, Secret
from aksci.core.text import sanitise

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Limits", "Result", "Runner"]

_TAIL_LINES = 60
# sh raises its own exceptions for all other statuses: which of them is an error is ours to say.
_EVERY_STATUS = [*range(256), *range(-64, 0)]
_CHUNK = 1 << 16
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
# Seconds after SIGKILL, which takes effect at once but for a moment in the kernel. No more: where
# process 1 reaps nobody, as in many containers, the dead stay in their group for ever.
_REAPED = 1.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a program may take that reads what an attacker wrote."""

    memory: int
    """Bytes that it may write to (setrlimit(2), RLIMIT_DATA). Address space says less: Go's runtime
    reserves most of a gigabyte that it never touches."""
    cpu: int
    """Seconds of its own work, however busy the machine is (RLIMIT_CPU)."""
    output: int
    """Characters of stdout and of stderr; the rest is thrown away."""

    def impose(self) -> None:
        """Hold this process to them: for a child, before it becomes the program."""
        import resource

        for kind, soft, hard in (
            (resource.RLIMIT_DATA, self.memory, self.memory),
            # Programs in Go ignore the signal that the first one sends (runtime, SIGXCPU): the
            # second ends them.
            (resource.RLIMIT_CPU, self.cpu, self.cpu + 1),
        ):
            most = resource.getrlimit(kind)[1]
            limits = soft, hard
            if most != resource.RLIM_INFINITY:
                limits = min(soft, most), min(hard, most)
            # macOS knows them, and takes not all of them.
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(kind, limits)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a program did."""

    argv: tuple[str, ...]
    status: int
    """Exit status; negative for the signal that ended it."""
    stdout: str
    """All of stdout, as written (not sanitised: it may be data)."""
    stderr: str
    seconds: float


@dataclass(kw_only=True)
class Runner:
    """Start programs with one base environment, one log and one set of secrets to redact.

    ``environment`` is the whole environment of each program unless a call adds to it or replaces
    it. ``log`` receives each ``+ argv`` line, redacted. Safe to use from several threads;
    ``terminate_all`` ends whatever is still running.
    """

    environment: Mapping[str, str] = field(repr=False)
    log: Callable[[str], None]
    _secrets: Concealer = field(default_factory=Concealer, repr=False)
    _live: set[int] = field(default_factory=set, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _stopped: threading.Event = field(default_factory=threading.Event, repr=False)

    def redact(self, text: str) -> str:
        """Replace every secret that this runner has been handed by ``***``."""
        return self._secrets.hide(text)

    def conceal(self, secret: Secret) -> None:
        """Redact a secret that programs learn from elsewhere, such as a file."""
        self._learn(secret)

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str | Secret] | None = None,
        only_env: bool = False,
        stdin: str | bytes | Secret | None = None,
        timeout: float | None = None,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        raw: bool = False,
        quiet: bool = False,
        limits: Limits | None = None,
        last: int | None = None,
    ) -> Result:
        """Run a program to its end and return what it did.

        :param env: added to the base environment, or all of it with ``only_env``. Secrets belong
            here or in ``stdin``.
        :param timeout: seconds; then the whole process group gets SIGTERM and, 5 seconds later,
            SIGKILL.
        :param check: raise when the status is not 0.
        :param on_line: receives each line of stdout and stderr as it appears, redacted and
            sanitised.
        :param raw: ``on_line`` receives lines as they are: to redact a part of a document whose
            text is encoded would destroy it. It must redact and sanitise what it shows.
        :param quiet: don't log the ``+ argv`` line.
        :param limits: the program, and its children each, are ended beyond them.
        :param last: keep only so many characters, the last ones, and stderr among stdout as they
            were written. For a program that may write without end.
        :raises Interrupted: ``terminate_all`` has been called: nothing is started any more.
        :raises ToolError: the program does not exist or may not be executed.
        :raises ProcessTimeout: it was stopped at its time-out.
        :raises ProcessError: it ended with another status than 0, and ``check`` is on.
        :raises DiskFullError: it could not be started, or it failed saying so, because no space is
            left.
        """
        self._go_on()
        words = tuple(str(word) for word in argv)
        # Before the log line: what is handed in here is redacted in it.
        environment = self._environment(env or {}, only=only_env)
        if isinstance(stdin, Secret):
            stdin = self._learn(stdin)
        shown = self.redact(shlex.join(words))
        if not quiet:
            self.log(f"+ {shown}")
        started = time.monotonic()
        sink = _Sink(on_line, self.redact, raw=raw, limits=limits, last=last)
        status, timed_out = self._wait(words, cwd, environment, stdin, timeout, sink)
        seconds = time.monotonic() - started
        result = Result(
            argv=words, status=status, stdout=sink.stdout, stderr=sink.stderr, seconds=seconds
        )
        # It may have ended because ``stop`` ended it: its status would be a misleading error.
        self._go_on()
        if timed_out:
            raise ProcessTimeout(
                f"{shown} did not end within {timeout:g} s and was stopped.",
                status=status,
                output=sink.tail,
            )
        if check and status != 0:
            raise _failure(shown, status, sink.tail)
        return result

    def ask(
        self,
        argv: Sequence[str | Path],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a program that only tells something, as ``git status`` does; any status will do.

        Neither logged nor followed, and so without ``sh``: to import that takes longer than git.

        :param timeout: seconds, as for ``run``.
        :param env: all of its environment. Default: the base environment.
        :raises Interrupted: as ``run``; so do ``ToolError`` and ``ProcessTimeout``.
        """
        import subprocess

        self._go_on()
        words = tuple(str(word) for word in argv)
        environment = dict(self.environment if env is None else env)
        started = time.monotonic()
        try:
            process = subprocess.Popen(
                [_locate(words[0], environment), *words[1:]],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A group of its own: it can be ended with its children, and the terminal's Ctrl-C
                # reaches it through us, in order.
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(f"{words[0]!r} could not be started: {error.strerror}.") from None
        with self._guarded(process.pid):
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except BaseException as error:
                _end(process)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                shown = self.redact(shlex.join(words))
                raise ProcessTimeout(
                    f"{shown} did not end within {timeout:g} s and was stopped.",
                    status=process.returncode,
                    output="",
                ) from None
        self._go_on()
        return Result(
            argv=words,
            status=process.returncode,
            stdout=stdout.decode(errors="replace"),
            stderr=stderr.decode(errors="replace"),
            seconds=time.monotonic() - started,
        )

    @contextlib.contextmanager
    def _guarded(self, group: int) -> Iterator[None]:
        """Let ``stop`` find a process group while it runs, and let it not outlive us."""
        with self._lock:
            self._live.add(group)
        if self._stopped.is_set():  # terminate_all came between the start and here
            _terminate_group(group)
        try:
            yield
        except BaseException:
            # Ctrl-C: nothing of ours may outlive us.
            _terminate_group(group)
            raise
        finally:
            with self._lock:
                self._live.discard(group)

    def stop(self) -> None:
        """Send SIGTERM to whatever runs, start no more, and don't wait: fit for a signal handler.

        Threads that would have started another program get ``Interrupted`` instead. No lock is
        taken, since the interrupted code may hold it.
        """
        self._stopped.set()
        # A copy, made in one step under the interpreter's lock: other threads go on adding.
        for group in list(self._live):
            _signal_group(group, signal.SIGTERM)

    def terminate_all(self) -> None:
        """End every process group that still runs, by SIGTERM, then SIGKILL; start no more."""
        self.stop()
        with self._lock:
            groups = list(self._live)
        # All have the same grace at once: one after the other would have 5 seconds each.
        _await_end(groups, _GRACE)
        for group in groups:
            _signal_group(group, signal.SIGKILL)
        _await_end(groups, _REAPED)

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise Interrupted("The run was stopped.")

    def _learn(self, secret: Secret) -> str:
        """Remember what to redact."""
        value = secret.reveal()
        self._secrets.learn(value)
        return value

    def _environment(self, env: Mapping[str, str | Secret], *, only: bool) -> dict[str, str]:
        environment = {} if only else dict(self.environment)
        for key, value in env.items():
            if isinstance(value, Secret):
                environment[key] = self._learn(value)
            else:
                environment[key] = value
        return environment

    def _wait(
        self,
        words: tuple[str, ...],
        cwd: Path | None,
        environment: dict[str, str],
        stdin: str | bytes | None,
        timeout: float | None,
        sink: _Sink,
    ) -> tuple[int, bool]:
        process = _start(words, cwd, environment, stdin, sink)
        group: int = process.process.pid  # the leader's pid is the group's id
        timed_out = threading.Event()
        timer = threading.Timer(timeout or 0, _expire, (group, timed_out))
        # A daemon: a time-out that is far away must not keep an interrupted process from ending.
        timer.daemon = True
        with self._guarded(group):
            if timeout is not None:
                timer.start()
            try:
                process.wait()
            finally:
                timer.cancel()
            if timed_out.is_set():
                # The program is gone, and its children may have the rest of their grace.
                timer.join()
        return int(process.exit_code), timed_out.is_set()


def _start(
    words: tuple[str, ...],
    cwd: Path | None,
    environment: dict[str, str],
    stdin: str | bytes | None,
    sink: _Sink,
) -> Any:
    import sh

    try:
        return _begin(words, cwd, environment, stdin, sink)
    except sh.CommandNotFound:
        raise ToolError(f"{words[0]!r} is not installed, or may not be executed.") from None
    except sh.ForkException as error:  # the child could not become the program; sh passes on text
        reason = str(error).strip().splitlines()[-1].strip()
        raise ToolError(f"{words[0]!r} could not be started: {reason}.") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"No space left to start {words[0]!r}.") from None
        raise ToolError(f"{words[0]!r} could not be started: {error.strerror}.") from None


def _begin(
    words: tuple[str, ...],
    cwd: Path | None,
    environment: dict[str, str],
    stdin: str | bytes | None,
    sink: _Sink,
) -> Any:
    import sh

    # sh logs argv at INFO and the first bytes of stdin at DEBUG: neither may ever reach a handler.
    logging.getLogger("sh").setLevel(logging.CRITICAL + 1)
    # sh itself would look on our PATH, and the program may be given another one.
    command = sh.Command(_locate(words[0], environment))
    return command(
        *words[1:],
        # In the background, and without its exceptions: the time-out and Ctrl-C are ours to
        # handle.
        _bg=True,
        _bg_exc=False,
        _new_session=True,
        # Pipes, as in CI: with a terminal, programs would draw progress bars and ask questions.
        _tty_in=False,
        _tty_out=False,
        _cwd=str(cwd) if cwd else None,
        _env=environment,
        # None would be an open pipe, on which a program that reads stdin waits for ever.
        _in="" if stdin is None else stdin,
        _out=sink.out,
        # One pipe for both, where they are kept as one: what was written in turns is read so.
        **({"_err_to_out": True} if sink.last else {"_err": sink.err}),
        # Line by line; but a line may have no end.
        _out_bufsize=_CHUNK if sink.limits or sink.last else 1,
        _err_bufsize=_CHUNK if sink.limits else 1,
        _preexec_fn=sink.limits.impose if sink.limits else None,
        _no_out=True,
        _no_err=True,
        _encoding="utf-8",
        # A log with a byte that is no UTF-8 must not end the run.
        _decode_errors="replace",
        _ok_code=_EVERY_STATUS,
        _return_cmd=True,
        # sh's own message holds argv, unredacted.
        _log_msg=lambda *_: "",
    )


def _locate(program: str, environment: Mapping[str, str]) -> str:
    """Find the program on the PATH that it will itself run with, as execvp would."""
    import shutil

    return shutil.which(program, path=environment.get("PATH", os.defpath)) or program


class _Sink:
    """Collect both streams, remember the last lines, and pass each on as it comes."""

    def __init__(
        self,
        on_line: Callable[[str], None] | None,
        redact: Callable[[str], str],
        *,
        raw: bool,
        limits: Limits | None = None,
        last: int | None = None,
    ) -> None:
        self.limits = limits
        self.last = last
        self._left = {True: limits.output, False: limits.output} if limits else None
        self._on_line = on_line
        self._redact = redact
        self._raw = raw
        self._stdout: list[str] = []
        self._stderr: list[str] = []
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    @property
    def stdout(self) -> str:
        text = "".join(self._stdout)
        return text if self.last is None else text[-self.last :]

    @property
    def stderr(self) -> str:
        return "".join(self._stderr)

    @property
    def tail(self) -> str:
        return "\n".join(self._tail)

    def out(self, chunk: str) -> None:
        self._keep(chunk, self._stdout)

    def err(self, chunk: str) -> None:
        self._keep(chunk, self._stderr)

    def _keep(self, chunk: str, kept: list[str]) -> None:
        if self._left is not None:
            stream = kept is self._stdout
            chunk = chunk[: self._left[stream]]
            self._left[stream] -= len(chunk)
        kept.append(chunk)
        if self.last is None:
            self._pass_on(chunk)
        elif sum(map(len, kept)) > 2 * self.last:  # a few chunks: seldom joined, never many
            kept[:] = ["".join(kept)[-self.last :]]

    def _pass_on(self, chunk: str) -> None:
        shown = [line for line in sanitise(self._redact(chunk)).splitlines() if line.strip()]
        self._tail.extend(shown)
        if self._on_line is None:
            return
        for line in filter(str.strip, chunk.split("\n")) if self._raw else shown:
            self._on_line(line)


def _failure(shown: str, status: int, tail: str) -> ProcessError | DiskFullError:
    how = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
    message = f"{shown} {how}."
    if tail:
        message += "\n\n" + "\n".join(f"  {line}" for line in tail.splitlines()[-20:])
    if os.strerror(errno.ENOSPC).lower() in tail.lower():
        # Programs have no exit status of their own for ENOSPC; the C library's text is all they
        # pass on.
        return DiskFullError(
            message, hint="df -h shows which file system is full; free some space and run again."
        )
    return ProcessError(message, status=status, output=tail)


def _expire(group: int, timed_out: threading.Event) -> None:
    timed_out.set()
    _terminate_group(group)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the group that a process leads; wait until its pipes are closed."""
    import subprocess

    _signal_group(process.pid, signal.SIGTERM)
    try:
        process.communicate(timeout=_GRACE)
    except subprocess.TimeoutExpired:
        _signal_group(process.pid, signal.SIGKILL)
        process.communicate()


def _terminate_group(group: int) -> None:
    _signal_group(group, signal.SIGTERM)
    _await_end({group}, _GRACE)
    _signal_group(group, signal.SIGKILL)
    _await_end({group}, _REAPED)


def _await_end(groups: Collection[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_group_alive(group) for group in groups):
        time.sleep(0.05)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
