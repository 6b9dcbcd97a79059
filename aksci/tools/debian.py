"""Install Debian packages without letting any of their services start."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import PrivilegeError, ProcessError, ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter

__all__ = ["ensure_packages", "install_argv", "missing_packages"]

_POLICY = Path("/usr/sbin/policy-rc.d")
_KEPT = Path("/usr/sbin/policy-rc.d.aksci-kept")
_LOCK = Path("/run/lock/aksci-packages.lock")
_MARK = "aksci's, for the time of one installation"
_OWNER = re.compile(rf"{_MARK}, by process (\d+)")
_QUIET = {
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_SUSPEND": "1",  # Ubuntu's needrestart would restart services of others
}


def ensure_packages(names: Iterable[str], runner: Runner, reporter: Reporter) -> tuple[str, ...]:
    """Install the packages that are missing, and return their names. No service is started.

    :raises PrivilegeError: something is missing and we are not root.
    :raises ToolError: there is no apt here, or it failed.
    """
    packages = sorted(set(names))
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        raise ToolError(
            "These Debian packages are needed, and there is no apt here to install them: "
            f"{' '.join(packages)}.",
            hint="install what they hold by your own system's means",
        )
    # Before the question who we are: where all is there, nobody needs root.
    if not missing_packages(packages, runner):
        _sweep()
        return ()
    if os.geteuid() != 0:
        command = f"sudo apt-get install {' '.join(missing_packages(packages, runner))}"
        raise PrivilegeError(
            f"Debian packages are missing, and only root can install them: {' '.join(packages)}.",
            hint=command,
        )
    # policy-rc.d is one file for the machine, so one process at a time may change it.
    with _alone(reporter), _nothing_starts():
        missing = missing_packages(packages, runner)  # another process may have installed them
        if missing:
            reporter.line(f"installing Debian packages: {' '.join(missing)}")
            _install(missing, runner)
    return missing


def missing_packages(names: Iterable[str], runner: Runner) -> tuple[str, ...]:
    """Return those that dpkg does not call installed."""
    names = list(names)
    answer = runner.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *names],
        check=False,  # 1 when it knows nothing of one of them
        quiet=True,
    )
    states = dict(line.split(maxsplit=1) for line in answer.stdout.splitlines() if " " in line)
    return tuple(name for name in names if states.get(name) != "installed")


def install_argv(names: Sequence[str]) -> list[str]:
    """Return the command that installs: nothing recommended, no questions, no hurry."""
    # apt fails at once where another apt works, such as the daily upgrade; and dpkg would ask what
    # to do with a changed configuration file.
    options = ["-o", "DPkg::Lock::Timeout=600", "-o", "Dpkg::Options::=--force-confold"]
    return ["apt-get", "install", "-y", "-q", "--no-install-recommends", *options, "--", *names]


def _install(names: Sequence[str], runner: Runner) -> None:
    try:
        # First: an image's lists are old, and name versions that mirrors no longer have.
        runner.run(["apt-get", "update", "-q", "-o", "DPkg::Lock::Timeout=600"], env=_QUIET)
        runner.run(install_argv(names), env=_QUIET)
    except ProcessError as error:
        raise ToolError(
            f"Debian packages could not be installed: {error.message}",
            hint=f"apt-get install {' '.join(names)} shows why",
        ) from None


@contextmanager
def _alone(reporter: Reporter) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(_LOCK)
    try:
        # Tried once without waiting, to be able to say that we wait.
        lock.acquire(timeout=0)
    except Timeout:
        reporter.line("another process installs Debian packages; waiting")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _nothing_starts() -> Iterator[None]:
    """Forbid services to start: ``policy-rc.d`` answers 101 (invoke-rc.d(8)).

    Our file forbids only as long as this process lives. One that a killed run left lets the
    machine's own policy decide, which it kept aside; the next run puts that back.
    """
    _sweep(alone=True)
    draft = _POLICY.with_name(f".policy-rc.d.{os.getpid()}")
    draft.write_text(_policy(os.getpid()), encoding="utf-8")
    draft.chmod(0o755)
    if _POLICY.exists():
        # A link and a rename: at no moment is there no policy, whenever we are killed.
        os.link(_POLICY, _KEPT)
    draft.rename(_POLICY)
    try:
        yield
    finally:
        _restore()


def _policy(pid: int) -> str:
    return f"""#!/bin/sh
# {_MARK}, by process {pid}
kill -0 {pid} 2>/dev/null && exit 101
[ -x {_KEPT} ] && exec {_KEPT} "$@"
exit 0
"""


def _sweep(*, alone: bool = False) -> None:
    """Put back what a killed run of ours left changed.

    :param alone: we hold the lock, so that whatever is there is a left-over, even if its process's
        number is in use again.
    """
    with suppress(FileNotFoundError, PermissionError):
        owner = _OWNER.search(_POLICY.read_text(encoding="utf-8", errors="replace"))
        if owner and (alone or not Path(f"/proc/{owner[1]}").exists()):
            _restore()
        elif alone and not owner:
            _KEPT.unlink(missing_ok=True)  # the run was killed just before its own was in place


def _restore() -> None:
    if _KEPT.exists():
        _KEPT.rename(_POLICY)
    else:
        _POLICY.unlink(missing_ok=True)
