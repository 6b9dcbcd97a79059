"""Whether a port is free, and if not, who has it."""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from pathlib import Path

from aksci.core.errors import PortTakenError

__all__ = ["holder_of", "require_free"]

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
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
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
