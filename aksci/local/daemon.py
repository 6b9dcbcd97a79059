"""Processes that outlive us: start, recognise and stop them.

This module is the one exception to "programs start through ``aksci.core.process``": a ``Runner``
waits for the end of what it starts and ends it with the run, and a daemon is there to stay.

A process is ours when it carries the mark ``AKSCI_PLATFORM=<state folder>`` in its environment. A
record file names the part's process at once; it counts only while boot, pid and start time all
agree, so that a recycled pid is never killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.files import write_atomically
from aksci.core.strict_json import read_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Process", "find_marked", "read_record", "spawn", "stop"]

MARK = "AKSCI_PLATFORM"
PART = "AKSCI_PART"
_LOG_LIMIT = 8 * 2**20  # bytes; a larger log is set aside as <part>.log.1 when its part starts
_POLL = 0.02  # seconds


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process, named so that no other process can ever be taken for it."""

    pid: int
    started: int
    """Field 22 of /proc/<pid>/stat: clock ticks after boot."""
    boot: str
    """/proc/sys/kernel/random/boot_id."""
    fingerprint: str = ""
    """A hash of what it was started with."""

    def alive(self) -> bool:
        """Tell whether this very process still runs (a zombie does not)."""
        with contextlib.suppress(ChildProcessError, OSError):
            os.waitpid(self.pid, os.WNOHANG)  # it may be our own child, then it must be reaped
        return self.boot == _boot() and _started(self.pid) == self.started


def spawn(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    state: Path,
    part: str,
    log: Path,
    record: Path,
    fingerprint: str,
) -> Process:
    """Start a daemon in a session of its own, with its output in ``log``, and record it.

    It shares nothing with us that could end with us: no terminal, no pipe, no working directory, no
    lock.
    """
    import subprocess  # the documented exception, see the module's first lines

    # Before the start: a daemon keeps its file open, and would write on into the one that was set
    # aside.
    _rotate(log)
    with log.open("ab") as output:
        started = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env={**environment, **marks(state, part)},
        )
    # Popen would warn that its child still runs, when it is collected; that is the purpose here.
    started.returncode = 0
    process = Process(
        pid=started.pid,
        started=_started(started.pid) or 0,
        boot=_boot(),
        fingerprint=fingerprint,
    )
    # After the start: a kill in between leaves a process without a record, which its mark finds.
    write_atomically(record, json.dumps(asdict(process)) + "\n")
    return process


def marks(state: Path, part: str) -> dict[str, str]:
    """Return the environment variables by which a process, and its children, are known as ours."""
    return {MARK: str(state), PART: part}


def read_record(record: Path) -> Process | None:
    """Return the recorded process if it is alive and still the same one."""
    try:
        process = read_document(Process, record.read_bytes())
    except (OSError, ValueError):
        return None
    return process if process.alive() else None


def started_at(record: Path) -> float:
    """Return when a part was last started, in seconds of the epoch; infinity when it was not."""
    try:
        return record.stat().st_mtime
    except OSError:
        return float("inf")


def find_marked(state: Path, part: str | None = None) -> list[Process]:
    """Find every process that was started for this state folder (and part), however it got lost.

    Children inherit the mark: containerd's shims are found under the part ``containerd``.
    """
    marks = {f"{MARK}={state}".encode()}
    if part:
        marks.add(f"{PART}={part}".encode())
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if marks <= set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")):
                process = identify(pid)
                if process and pid != os.getpid():
                    found.append(process)
    return found


def identify(pid: int) -> Process | None:
    """Return a process by its pid, or None when there is none."""
    started = _started(pid)
    return Process(pid=pid, started=started, boot=_boot()) if started is not None else None


def descendants(processes: Iterable[Process]) -> list[Process]:
    """Return all processes below the given ones, without these."""
    # One pass over all processes: not every kernel tells a process's children.
    children: dict[int, list[int]] = {}
    for pid in _pids():
        fields = _stat(pid)
        if fields:
            children.setdefault(int(fields[1]), []).append(pid)
    found: list[Process] = []
    todo = [process.pid for process in processes]
    while todo:
        for pid in children.get(todo.pop(), ()):
            process = identify(pid)
            if process:
                found.append(process)
                todo.append(pid)
    return found


def stop(processes: Iterable[Process], *, grace: float) -> None:
    """End processes: SIGTERM, then SIGKILL after ``grace`` seconds. Return when they are gone."""
    alive = [process for process in processes if process.alive()]
    # SIGKILL can't be ignored; 10 seconds are for a disk that holds a process in the kernel.
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                # Single processes, not their groups: containerd's shims are to outlive it.
                os.kill(process.pid, number)
        deadline = time.monotonic() + seconds
        while alive and time.monotonic() < deadline:
            alive = [process for process in alive if process.alive()]
            if alive:
                time.sleep(_POLL)
        if not alive:
            return


def part_of(pid: int) -> str | None:
    """Return the part that a marked process belongs to."""
    with contextlib.suppress(OSError):
        for word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if word.startswith(f"{PART}=".encode()):
                return word.partition(b"=")[2].decode()
    return None


def name_of(pid: int) -> str:
    """Return the program's name, as the kernel has it."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "?"


def _pids() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat from the third (state) on, proc(5)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The last bracket: a program's name, which comes before, may hold brackets and blanks.
    return text.rpartition(")")[2].split()


def _started(pid: int) -> int | None:
    fields = _stat(pid)
    if not fields:
        return None
    # A process whose first thread has ended is shown as a zombie while others still hold its ports.
    ended = fields[0] in "ZX" and int(fields[17]) <= 1
    return None if ended else int(fields[19])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _rotate(log: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_name(f"{log.name}.1"))
