"""One container of runc, from its start to its end: ``RuncContainer``.

runc runs it in the foreground. So its exit status is the process's, its output is a pipe of ours,
and why it could not start a process it says in a log of its own, apart from what the image writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import AksciError, Interrupted, PlatformError
from aksci.core.text import sanitise
from aksci.images.validate.image_runner import SETTLE, CheckOutcome, end_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.core.process import Result, Runner
    from aksci.images.validate.image_runner import CheckTask
    from aksci.local.layout import Layout

__all__ = ["Runc", "RuncContainer"]

_ARRIVAL = 60.0  # seconds for runc to start a process
_POLL = 0.05
_EACH = 1.0  # seconds between two attempts of a health check
_KEPT = 2**16  # characters of output
_TIMEOUT = 30.0  # seconds for one call of runc
_DISK = 2 * 2**30
"""Bytes that it may write."""
_LOOK = 3.0  # seconds between two looks at them
_BLOCK = 512  # bytes: what ``st_blocks`` counts, inode(7)
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class Runc:
    """Calls runc for the container of a folder, which is its bundle and gives its name."""

    layout: Layout
    runner: Runner

    def call(self, folder: Path, *words: str | Path, timeout: float | None = _TIMEOUT) -> Result:
        """Call it; any status will do. Its log is ``<word>.log`` in the folder."""
        options: tuple[str | Path, ...] = (
            *("--root", self.layout.run / "runc-containers"),
            *("--log", folder / f"{words[0]}.log", "--log-format", "json"),
        )
        return self.runner.run(
            ["runc", *options, *words, folder.name],
            check=False,
            quiet=True,
            timeout=timeout,
            last=_KEPT,
        )

    def group(self, folder: Path) -> str:
        """Return the control group of the container."""
        return f"{self.layout.cgroup}/containers/{folder.name}"


class RuncContainer:
    """One container, from its start to its end."""

    def __init__(
        self, runc: Runc, *, engine: str, task: CheckTask, folder: Path, halt: threading.Event
    ) -> None:
        self._runc = runc
        self._engine = engine
        self._task = task
        self._folder = folder
        self._halt = halt
        self._program: _Program | None = None
        self._refusal: str | None = None
        self._attempts: list[_Program] = []
        """The last one: it writes into the folder."""
        self._begun = 0.0
        self._is_gone = False

    def refuse(self, reason: str) -> None:
        """Note that no process can be started, and why."""
        self._refusal = reason

    def start(self) -> None:
        """Start it, and wait until its process runs, has ended, or never will."""
        words = ("--keep", "--bundle", self._folder, "--pid-file", self._folder / "pid")
        self._program = _Program(self._runc, self._folder, "run", *words)
        deadline = time.monotonic() + _ARRIVAL
        while not (self._folder / "pid").exists():
            if self._program.ended:
                # It may have ended between the two looks.
                if not (self._folder / "pid").exists():
                    self._refusal = _last_error(self._folder / "run.log") or self._program.output
                break
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"{self._task.image} could not be run: runc did not start its process within "
                    f"{_ARRIVAL:g} s."
                )
            self._wait(_POLL)
        self._begun = time.monotonic()

    def run(self) -> CheckOutcome:
        """Follow it until its check is decided."""
        check = self._task.check
        limit = min(SETTLE, check.timeout) if check.kind == "start" else check.timeout
        attempt, due, said, looked = None, 0.0, "", 0.0
        while True:
            seconds = time.monotonic() - self._begun
            if seconds - looked > _LOOK:
                looked = seconds
                self._require_little_written()
            if attempt and attempt.ended:
                said, healthy = attempt.output, attempt.status == 0
                if healthy and not self.has_ended:
                    return self.outcome(healthy=True)
                attempt = None
            if self.has_ended or seconds >= limit:
                return self.outcome(said=said or (attempt.output if attempt else ""))
            if check.probe and not attempt and seconds >= due:
                attempt, due = self._probe(check.probe_timeout), seconds + _EACH
            self._wait(min(_POLL, limit - seconds))

    def _require_little_written(self) -> None:
        """Hold it to its share of the disk, as kubelet does: by looking from time to time.

        :raises PlatformError: it has written more.
        """
        if _written(self._folder / "rootfs") > _DISK:
            raise PlatformError(
                f"{self._task.image} was ended while it was validated: it has written more than "
                f"{_DISK / 2**30:g} GiB of files."
            )

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended, or could not be started."""
        return self._program is None or self._program.ended

    def outcome(self, *, healthy: bool = False, said: str = "") -> CheckOutcome:
        """Return what has become of it, and end it; only then its last output is there."""
        seconds = time.monotonic() - self._begun
        if self._program is None or self._refusal is not None:
            refusal = sanitise(self._refusal or "").strip()
            return CheckOutcome(engine=self._engine, started=False, refusal=refusal)
        ended = self._program.ended
        memory = _was_out_of_memory(self._runc.group(self._folder))
        self.end()
        return CheckOutcome(
            engine=self._engine,
            started=True,
            exit_code=self._program.status if ended else None,
            healthy=healthy,
            out_of_memory=memory,
            probe_output=end_of(said),
            log=end_of(self._program.output),
            seconds=seconds,
        )

    def end(self) -> None:
        """End it at once, and wait until runc has seen it."""
        if self._program is None or self._is_gone:
            return
        deadline = time.monotonic() + _TIMEOUT
        while True:
            ended = self._program.ended
            self._runc.call(self._folder, "delete", "--force")
            # Once more, where it was only being started: runc did not know it yet.
            if ended or time.monotonic() > deadline:
                break
            self._program.join(_POLL)
        self._is_gone = True
        for attempt in self._attempts:
            attempt.join(_TIMEOUT)

    @property
    def address(self) -> str:
        """Its IPv4 address in the network; empty where it was not started."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self._folder / "network.json").read_text())
            return str(found["ips"][0]["address"]).partition("/")[0]
        return ""

    def _probe(self, timeout: float) -> _Program:
        number = self._folder / "probe.pid"
        number.unlink(missing_ok=True)
        words = ("--process", self._folder / "probe.json", "--pid-file", number)
        attempt = _Program(self._runc, self._folder, "exec", *words)
        self._attempts = [attempt]
        timer = threading.Timer(timeout, self._end_probe, (number, attempt))
        timer.daemon = True
        timer.start()
        attempt.timer = timer
        return attempt

    def _end_probe(self, number: Path, attempt: _Program) -> None:
        """End an attempt that takes too long: it may ignore whatever can be ignored."""
        with contextlib.suppress(OSError, ValueError):
            process = int(number.read_text())
            group = Path(f"/proc/{process}/cgroup").read_text()
            # The number may be another process's by now.
            if not attempt.ended and f"/{self._folder.name}" in group:
                os.kill(process, signal.SIGKILL)

    def _wait(self, seconds: float) -> None:
        if self._halt.wait(max(0.0, seconds)):
            raise Interrupted(f"Stopped while {self._task.image} was validated.")


class _Program(threading.Thread):
    """One call of runc that lasts, in a thread of its own."""

    timer: threading.Timer | None = None

    def __init__(self, runc: Runc, folder: Path, *words: str | Path) -> None:
        super().__init__(name=f"runc {words[0]}", daemon=True)
        self._call: Callable[[], Result] = lambda: runc.call(folder, *words, timeout=None)
        self._result: Result | AksciError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._call()
        except AksciError as error:
            self._result = error
        finally:
            if self.timer:
                self.timer.cancel()

    @property
    def ended(self) -> bool:
        return self._result is not None

    @property
    def status(self) -> int:
        """Of the program; only once it has ended.

        :raises AksciError: runc itself could not be run.
        """
        if isinstance(self._result, AksciError):
            raise self._result
        return self._result.status if self._result else 0

    @property
    def output(self) -> str:
        """The end of what it has written; empty while it runs."""
        found = self._result
        return "" if found is None or isinstance(found, AksciError) else found.stdout


def _last_error(log: Path) -> str:
    """Return why runc gave up: the last entry of its log, one JSON document a line."""
    found = ""
    with contextlib.suppress(OSError, ValueError):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            entry = json.loads(line)
            if entry.get("level") in {"error", "fatal"}:
                found = str(entry.get("msg", ""))
    return found


def _written(rootfs: Path) -> int:
    """Return the bytes on disk of what was written into an overlay (mount_overlay(8), upperdir)."""
    found = 0
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        if words[4] == str(rootfs):
            options = dict(each.partition("=")[::2] for each in words[-1].split(","))
            for folder, _, names in os.walk(options.get("upperdir", "")):
                for name in names:
                    with contextlib.suppress(OSError):
                        found += Path(folder, name).lstat().st_blocks * _BLOCK
    return found


def _was_out_of_memory(group: str) -> bool:
    """Tell whether the kernel has ended a process of a control group for want of memory."""
    name = group.lstrip("/")
    # Version 2 of control groups, and version 1.
    for file in (
        _CGROUPS / name / "memory.events",
        _CGROUPS / "memory" / name / "memory.oom_control",
    ):
        with contextlib.suppress(OSError):
            pairs = (line.split() for line in file.read_text().splitlines())
            return any(key == "oom_kill" and value != "0" for key, value in pairs)
    return False
