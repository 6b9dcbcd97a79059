"""What this machine is and has: privilege, space, cgroups, capabilities, resolver, CNI plugins."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import DiskFullError, PlatformError, PrivilegeError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Host", "daemon_environment", "look_at_host", "require_root", "require_space"]

_CAP_SYS_RESOURCE = 24  # linux/capability.h
# Debian's, that of upstream and Kubernetes, Fedora's.
_CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
_CNI_PLUGINS = ("bridge", "firewall", "host-local", "loopback", "portmap")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Daemons outlive the run: of its environment they get only what reaching a registry may need.
# ETCD_*, REGISTRY_* and OTEL_* would also change their settings.
_PASSED_ON = frozenset(
    {"HOME", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
)
_UPSTREAM_RESOLVER = Path("/run/systemd/resolve/resolv.conf")


@dataclass(frozen=True, kw_only=True)
class Host:
    """The machine's particulars that Kubernetes' configuration depends on."""

    may_lower_oom_score: bool
    """Whether we have CAP_SYS_RESOURCE; without it, no sandbox may get a lower oom_score_adj."""
    cni_plugins: Path
    nameservers: tuple[str, ...]
    """Of the host, loopback ones left out: a pod can't reach those."""
    search: tuple[str, ...] = ()


def look_at_host() -> Host:
    """Detect what the machine is like.

    :raises PlatformError: the CNI plugins are missing.
    """
    nameservers, search = read_resolver()
    return Host(
        may_lower_oom_score=_has_capability(_CAP_SYS_RESOURCE),
        cni_plugins=_find_cni_plugins(),
        nameservers=nameservers,
        search=search,
    )


def require_root(what: str) -> None:
    """Raise ``PrivilegeError`` unless we are root."""
    if os.geteuid() != 0:
        raise PrivilegeError(
            f"{what} needs root: the embedded platform makes bridges, mounts and control groups.",
            hint="run it with sudo -E, or use another environment: -- --env NAME.",
        )


def require_space(folder: Path, minimum: int) -> None:
    """Raise ``DiskFullError`` when fewer than ``minimum`` bytes are free where ``folder`` is."""
    free = shutil.disk_usage(folder).free
    if free < minimum:
        raise DiskFullError(
            f"Only {free / 2**30:.1f} GiB are free at {folder}; the platform needs"
            f" {minimum / 2**30:.1f} GiB to start.",
            hint=f"df -h {folder}; free some space, or set XDG_STATE_HOME to a larger disk.",
        )


def daemon_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that daemons run with."""
    path = environment.get("PATH", "")
    return {
        # Either case: programs differ in which of them they read.
        **{key: value for key, value in environment.items() if key.upper() in _PASSED_ON},
        # With the system's folders: a user's PATH may lack sbin, where iptables and ip are.
        "PATH": ":".join(dict.fromkeys([*filter(None, path.split(":")), *_SYSTEM_PATH.split(":")])),
        "OTEL_TRACES_EXPORTER": "none",  # the registry would send its traces to localhost:4318
    }


def read_resolver(
    path: Path = Path("/etc/resolv.conf"), upstream: Path = _UPSTREAM_RESOLVER
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the host's nameservers that a pod can reach, and its search domains.

    Behind systemd-resolved's stub on loopback, the real servers are in ``upstream``.
    """
    # The stub's file has loopback servers only, and then the other one counts.
    for file in (path, upstream):
        servers, search = _parse_resolver(file)
        if servers:
            return servers, search
    return (), ()


def _parse_resolver(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    servers: list[str] = []
    search: tuple[str, ...] = ()
    try:
        lines = path.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        match line.split():
            case ["nameserver", server, *_] if not server.startswith(("127.", "::1")):
                servers.append(server)
            case ["search", *domains]:
                search = tuple(domains)
            case _:
                pass
    return tuple(servers), search


def _has_capability(number: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def has_cni_plugins() -> bool:
    """Tell whether the CNI plugins are installed."""
    return _cni_folder() is not None


def _cni_folder() -> Path | None:
    for folder in map(Path, _CNI_FOLDERS):
        # All in one folder: containerd is given one.
        if all((folder / name).exists() for name in _CNI_PLUGINS):
            return folder
    return None


def _find_cni_plugins() -> Path:
    folder = _cni_folder()
    if folder:
        return folder
    raise PlatformError(
        f"The CNI plugins are in none of {', '.join(_CNI_FOLDERS)}.",
        hint="apt-get install containernetworking-plugins",
    )
