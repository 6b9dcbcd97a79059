"""A part of the platform as a value, and how to bring one up: ``Part``, ``start_part``.

A part that can't listen says who has its port.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import os
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import PlatformError, PortTakenError
from aksci.core.files import write_atomically
from aksci.core.text import sanitise
from aksci.local.daemon import Process, find_marked, read_record, spawn, stop

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from aksci.local.layout import Layout

__all__ = ["Part", "answers", "holder_of", "listens", "require_free", "start_part"]

_POLL = 0.05  # seconds between two looks at a starting part
_PROBE_TIMEOUT = 5.0  # seconds for one health question
_TAIL_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Part:
    """One daemon, declared: what it runs, with which files, where it listens, when it is well."""

    name: str
    argv: tuple[str, ...]
    healthy: Callable[[], bool]
    address: str
    """For people: a URL or a socket."""
    listens: tuple[tuple[str, int], ...] = ()
    """TCP addresses that must be free before it starts."""
    files: Mapping[Path, str] = field(default_factory=dict)
    """Configuration files that are written before it starts."""
    folders: tuple[Path, ...] = ()
    depends_on: str = ""
    """More of what it was made from, e.g. a hash of the certificates: a change restarts it."""
    patience: float = 60.0
    """Seconds that it may take to become healthy."""
    grace: float = 5.0
    """Seconds between SIGTERM and SIGKILL."""

    @property
    def fingerprint(self) -> str:
        """A hash of all that it is started with; a running part with another one is restarted."""
        files = {str(path): content for path, content in sorted(self.files.items())}
        text = json.dumps([self.argv, files, self.depends_on])
        return hashlib.sha256(text.encode()).hexdigest()


def running(part: Part, layout: Layout) -> Process | None:
    """Return the part's process if it runs with today's declaration and is healthy."""
    process = read_record(layout.record(part.name))
    # Alive after healthy: somebody else may answer on the port of a part that has just ended.
    if process and process.fingerprint == part.fingerprint and part.healthy() and process.alive():
        return process
    return None


def start_part(
    part: Part, layout: Layout, environment: Mapping[str, str], stopping: threading.Event
) -> bool:
    """Make sure that a part runs as declared and is healthy; return whether it had to be started.

    :param stopping: when it is set, nobody waits for the part's health any more.
    :raises PortTakenError: somebody else listens where it would.
    :raises PlatformError: it ended, or did not become healthy in time.
    """
    if running(part, layout):
        return False
    old = read_record(layout.record(part.name))
    if old and old.fingerprint == part.fingerprint and _await_health(part, old, 3.0, stopping):
        return False  # somebody's kill left it while it was starting
    # What is left of it goes; its children (shims with their pods, for example) stay.
    # By the mark, and not the record: a run that was killed between start and record left none.
    stop([p for p in find_marked(layout.state, part.name) if _leads_session(p)], grace=part.grace)
    # Only now that our own is gone: whoever still has the port is somebody else.
    for address, port in part.listens:
        require_free(address, port, part.name)
    for folder in part.folders:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path, content in part.files.items():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(path, content)
    process = spawn(
        part.argv,
        environment=environment,
        state=layout.state,
        part=part.name,
        log=layout.log(part.name),
        record=layout.record(part.name),
        fingerprint=part.fingerprint,
    )
    if not _await_health(part, process, part.patience, stopping):
        raise _did_not_start(part, process, layout)
    return True


def answers(
    url: str,
    *,
    tls: Callable[[], ssl.SSLContext] | None = None,
    timeout: float = _PROBE_TIMEOUT,
) -> bool:
    """Tell whether a GET is answered with 200. Asks no proxy, follows no redirect."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    try:
        connection = (
            http.client.HTTPSConnection(host, timeout=timeout, context=(tls or unverified)())
            if scheme == "https"
            else http.client.HTTPConnection(host, timeout=timeout)
        )
        try:
            # http.client knows no proxy: the variables of the user's shell don't count here.
            connection.request("GET", f"/{path}")
            return connection.getresponse().status == http.client.OK
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


def listens(path: Path) -> bool:
    """Tell whether somebody accepts connections on a unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_PROBE_TIMEOUT)
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def unverified() -> ssl.SSLContext:
    """Return a TLS context for the health ports that sign their own certificate on loopback."""
    # Only to see whether a part answers: nothing is sent, and of the answer only the status counts.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _await_health(part: Part, process: Process, patience: float, stopping: threading.Event) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not process.alive():
            return False
        if part.healthy():
            return True
        if stopping.wait(_POLL):
            return False
    return False


def _leads_session(process: Process) -> bool:
    try:
        return os.getsid(process.pid) == process.pid
    except ProcessLookupError:
        return False


def _did_not_start(part: Part, process: Process, layout: Layout) -> PlatformError:
    log = layout.log(part.name)
    how = (
        f"did not become healthy within {part.patience:g} s" if process.alive() else "ended at once"
    )
    with log.open(encoding="utf-8", errors="replace") as lines:
        tail = "".join(f"  {line}" for line in deque(lines, maxlen=_TAIL_LINES))
    return PlatformError(
        f"The platform's part {part.name} {how}. The end of its log:\n\n{sanitise(tail).rstrip()}",
        hint=f"the whole log is {log}; run `nox -s up` again once the cause is gone.",
    )


_PATIENCE = 3.0  # seconds
_LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp


def require_free(address: str, port: int, part: str) -> None:
    """Raise ``PortTakenError`` when nobody could listen there now.

    An address that this machine does not have (yet) is free.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        if _is_free(address, port):
            return
        holder = holder_of(port)
        # Who has a holder stays; to wait for it would be in vain.
        if holder or time.monotonic() > deadline:
            break
        time.sleep(0.05)  # a port without a holder belongs to a process that is just ending
    whom = f"process {holder[0]} ({holder[1]})" if holder else "another process"
    raise PortTakenError(
        f"Port {port}, which the platform's part {part} needs on {address}, is held by {whom}.",
        hint=f"stop it (kill {holder[0]})" + " and run `nox -s up` again."
        if holder
        else f"ss -ltnp 'sport = :{port}' shows who listens.",
    )


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET) as probe:
        # As servers do: connections in TIME_WAIT would make a port look taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            # EADDRNOTAVAIL: the node's address comes with the bridge.
            return error.errno != errno.EADDRINUSE
        return True


def holder_of(port: int) -> tuple[int, str] | None:
    """Return pid and command line of who listens on a TCP port, as far as we may look."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for handle in (process / "fd").iterdir():
                if _socket_inode(handle) in inodes:
                    words = (process / "cmdline").read_bytes().split(b"\0")
                    return int(process.name), b" ".join(words[:4]).decode(errors="replace").strip()
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    # Go listens for both families on [::], which only the second table shows.
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def _socket_inode(path: Path) -> str | None:
    with contextlib.suppress(OSError):
        target = str(path.readlink())
        if target.startswith("socket:["):
            return target[len("socket:[") : -1]
    return None
