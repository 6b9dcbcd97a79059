"""Run commands side by side, and measure each run: wall clock, processor time, peak memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.figures import Figures, summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Contender", "FailedError", "Sample", "compare", "measure"]

_AS_INSTALLED = {"PYTHONDONTWRITEBYTECODE": ""}
"""Python keeps what it has compiled, unless the environment forbids it, as in many containers."""
_TAIL = 3000
"""Bytes of a failed command's output to show."""


class FailedError(Exception):
    """A command that was to be measured failed."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One command of a comparison."""

    name: str
    argv: Sequence[str | Path]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """Beyond the process's own."""
    every: int = 1
    """Take part in every so-many-th round only: for what takes long."""
    before: Callable[[], None] = lambda: None
    """Brings about the state to measure from; not measured."""
    after: Callable[[], Mapping[str, float]] = dict
    """Looks at what the run has done: raises ``FailedError`` if that isn't what was to be measured,
    and returns the seconds of parts of it by name, where the run itself tells them."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run."""

    seconds: float
    cpu: float
    """User and system time of the command and its children, in seconds."""
    memory: float
    """Peak of the largest process, in MB (10^6 bytes); never below this runner's own, about 50 MB,
    because the kernel counts from the fork on."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """Seconds of parts of it, as the command itself tells them."""


def measure(contender: Contender) -> Sample:
    """Run a command once; its output is dropped.

    :raises FailedError: it did, so that there is nothing to compare.
    """
    contender.before()
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in contender.argv],
            cwd=contender.folder,
            env={**os.environ, **_AS_INSTALLED, **contender.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        # wait4 tells what this child and its children used, as GNU time does.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL))
            tail = output.read().decode(errors="replace")
            raise FailedError(f"{contender.name} ended with status {process.returncode}:\n{tail}")
    kilobytes = usage.ru_maxrss  # KiB on Linux: getrusage(2)
    return Sample(
        seconds=seconds,
        cpu=usage.ru_utime + usage.ru_stime,
        memory=kilobytes * 1024 / 1e6,
        parts=contender.after(),
    )


def compare(
    contenders: Sequence[Contender],
    *,
    runs: int,
    warm: int = 1,
    tell: Callable[[str], None] = lambda _: None,
    run: Callable[[Contender], Sample] = measure,
) -> dict[str, Figures]:
    """Run all contenders in turn, several times over, and summarise each.

    What disturbs the machine for a while so disturbs all of them. Who begins changes each round.
    One that fails is told and has no figures; the others go on. What the runs tell of parts of
    theirs has figures, too, by the parts' names.

    :param warm: rounds before those that count.
    """
    samples: dict[str, list[Sample]] = {one.name: [] for one in contenders}
    for number in range(-warm, runs):
        shift = number % len(contenders)
        for contender in [*contenders[shift:], *contenders[:shift]]:
            if contender.name not in samples or (number > 0 and number % contender.every):
                continue
            try:
                sample = run(contender)
            except FailedError as failed:
                del samples[contender.name]
                tell(str(failed))
                continue
            if number >= 0:
                samples[contender.name].append(sample)
            when = f"run {number + 1}" if number >= 0 else "warm-up"
            told = "".join(f"; {name}: {value:.3f} s" for name, value in sample.parts.items())
            tell(f"{contender.name}: {sample.seconds:.3f} s{told} ({when})")
    figures = {name: _summary(found) for name, found in samples.items()}
    for found in samples.values():
        figures |= _of_parts(found)
    return figures


def _summary(samples: Sequence[Sample]) -> Figures:
    return summarise(
        [one.seconds for one in samples],
        cpu=[one.cpu for one in samples],
        memory=[one.memory for one in samples],
    )


def _of_parts(samples: Sequence[Sample]) -> dict[str, Figures]:
    """Summarise the parts of one contender's runs; nobody knows their processor time and memory."""
    names = dict.fromkeys(name for sample in samples for name in sample.parts)
    return {
        name: _summary(
            [
                Sample(seconds=one.parts[name], cpu=0.0, memory=0.0)
                for one in samples
                if name in one.parts
            ]
        )
        for name in names
    }
