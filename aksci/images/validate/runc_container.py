"""One container of runc, from its start to its end: ``RuncContainer``.

runc runs it in the foreground. So its exit status is the process's, its output is a pipe of ours,
and why it could not start a process it says in a log of its own, apart from what the image writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import Interrupted, PlatformError
from aksci.core.text import sanitise
from aksci.images.validate.image_runner import SETTLE, CheckOutcome, end_of
from aksci.images.validate.runc import RuncCall

if TYPE_CHECKING:
    import threading

    from aksci.images.validate.image_runner import CheckTask
    from aksci.images.validate.runc import Runc

__all__ = ["RuncContainer"]

_ARRIVAL = 60.0  # seconds for runc to start a process
_POLL = 0.05
_EACH = 1.0  # seconds between two attempts of a health check
_TIMEOUT = 30.0  # seconds for runc to end a container
_DISK = 2 * 2**30
"""Bytes that it may write."""
_LOOK = 3.0  # seconds between two looks at them
_BLOCK = 512  # bytes: what ``st_blocks`` counts, inode(7)
_CGROUPS = Path("/sys/fs/cgroup")


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
        self._program: RuncCall | None = None
        self._refusal: str | None = None
        self._probe = _Probe(runc, folder, timeout=task.check.probe_timeout)
        self._begun = 0.0
        self._is_gone = False

    def refuse(self, reason: str) -> None:
        """Note that no process can be started, and why."""
        self._refusal = reason

    def start(self) -> None:
        """Start it, and wait until its process runs, has ended, or never will."""
        words = ("--keep", "--bundle", self._folder, "--pid-file", self._folder / "pid")
        self._program = RuncCall(self._runc, self._folder, "run", *words)
        deadline = time.monotonic() + _ARRIVAL
        while not (self._folder / "pid").exists():
            if self._program.ended:
                # It may have ended between the two looks.
                if self._program.status and not (self._folder / "pid").exists():
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
        looked = 0.0
        while True:
            seconds = time.monotonic() - self._begun
            if seconds - looked > _LOOK:
                looked = seconds
                self._require_little_written()
            healthy = bool(check.probe) and not self.has_ended and self._probe.passes(seconds)
            if healthy or self.has_ended or seconds >= limit:
                return self.outcome(healthy=healthy)
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

    def outcome(self, *, healthy: bool = False) -> CheckOutcome:
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
            healthy=healthy and not ended,
            out_of_memory=memory,
            probe_output="" if healthy else end_of(self._probe.output),
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
        self._probe.join()

    @property
    def address(self) -> str:
        """Its IPv4 address in the network; empty where it was not started."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self._folder / "network.json").read_text())
            return str(found["ips"][0]["address"]).partition("/")[0]
        return ""

    def _wait(self, seconds: float) -> None:
        if self._halt.wait(max(0.0, seconds)):
            raise Interrupted(f"Stopped while {self._task.image} was validated.")


class _Probe:
    """A health check: asked each second, one attempt at a time.

    :param timeout: seconds for one attempt.
    """

    def __init__(self, runc: Runc, folder: Path, *, timeout: float) -> None:
        self._runc = runc
        self._folder = folder
        self._timeout = timeout
        self._attempts: list[RuncCall] = []
        self._begun = 0.0

    def passes(self, seconds: float) -> bool:
        """Tell whether the last attempt has passed; begin the next one when it is time.

        :param seconds: since the container's start.
        """
        if not self._attempts:
            self._begin(seconds)
            return False
        last, since = self._attempts[-1], seconds - self._begun
        if last.ended and last.status == 0:
            return True
        if not last.ended and since >= self._timeout:
            self._kill()
        # A child of it may hold its output open for ever: that is not waited for.
        if since >= _EACH and (last.ended or since >= self._timeout + _EACH):
            self._begin(seconds)
        return False

    @property
    def output(self) -> str:
        """What the last attempt has said that has ended with a word."""
        return next((each.output for each in reversed(self._attempts) if each.output), "")

    def join(self) -> None:
        """Wait for all attempts, once the container has ended: they write into its folder."""
        for attempt in self._attempts:
            attempt.join(_TIMEOUT)

    def _begin(self, seconds: float) -> None:
        self._begun = seconds
        number = self._folder / "probe.pid"
        number.unlink(missing_ok=True)
        words = ("--process", self._folder / "probe.json", "--pid-file", number)
        # Of those that have ended, the last that said something is enough.
        said = [each for each in self._attempts if each.ended and each.output][-1:]
        going = [each for each in self._attempts if not each.ended]
        self._attempts = [*said, *going, RuncCall(self._runc, self._folder, "exec", *words)]

    def _kill(self) -> None:
        """End an attempt that takes too long: it may ignore whatever can be ignored."""
        with contextlib.suppress(OSError, ValueError):
            process = int((self._folder / "probe.pid").read_text())
            group = Path(f"/proc/{process}/cgroup").read_text()
            # The number may be another process's by now.
            if f"/{self._folder.name}" in group:
                os.killpg(process, signal.SIGKILL)  # it leads a group of its own


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
