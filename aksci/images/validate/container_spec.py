"""What runc is to run for a check, as data (OCI runtime specification 1.0.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.images.validate.image_runner import MEMORY, ROOT_CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.images.validate.checks import Check

__all__ = ["Confinement", "container_spec", "probe_process"]

_PERIOD = 100_000  # microseconds: what the kernel has by default
_PROCESSES = 512
_READ_ONLY = ("rbind", "rprivate", "ro", "nosuid", "nodev", "noexec")
_CGROUPS = {
    "destination": "/sys/fs/cgroup",
    "type": "cgroup",
    "source": "cgroup",
    "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
}


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """Where a container is, and what it gets of the machine."""

    hostname: str
    rootfs: Path
    cgroup: str
    """Below which it runs, and by which it is limited."""
    files: Mapping[str, Path]
    """Path inside -> a file of ours that is seen there."""
    network: Path | None
    """A namespace's file. None: one of its own, with nothing but loopback."""
    limits_swap: bool
    """Whether this kernel can."""


def container_spec(made: Mapping[str, Any], check: Check, place: Confinement) -> dict[str, Any]:
    """Return the container for a check: the rights and limits that Docker Engine and a pod give.

    :param made: what containerd would make of the image. Of it we keep the user, the working
        directory, the variables, the system's mounts, and what hides of the kernel: seccomp,
        AppArmor, masked and read-only paths. It would also put an empty file system on ``/run``,
        where images have folders of their own, and limit open files to 1024.
    """
    linux = made["linux"]
    mounts = [
        each
        for each in made["mounts"]
        if each["destination"] not in {"/run", _CGROUPS["destination"]}
    ]
    return {
        "ociVersion": made["ociVersion"],
        "process": _process(made["process"], check, place.hostname),
        "root": {"path": str(place.rootfs), "readonly": False},
        "hostname": place.hostname,
        "mounts": [
            *mounts,
            _CGROUPS,  # by which a runtime, such as Java's, sees its limits
            *(
                {"destination": path, "type": "bind", "source": str(file), "options": [*_READ_ONLY]}
                for path, file in sorted(place.files.items())
            ),
        ],
        "linux": {
            **{key: linux[key] for key in ("maskedPaths", "readonlyPaths", "seccomp")},
            "namespaces": _namespaces(linux["namespaces"], place.network),
            "cgroupsPath": place.cgroup,
            "resources": {
                # All are forbidden but those that runc itself makes: null, zero, urandom, tty …
                "devices": [{"allow": False, "access": "rwm"}],
                "memory": {"limit": MEMORY, **({"swap": MEMORY} if place.limits_swap else {})},
                "cpu": {"quota": _PERIOD, "period": _PERIOD},
                "pids": {"limit": _PROCESSES},
            },
        },
    }


def probe_process(spec: Mapping[str, Any], probe: tuple[str, ...]) -> dict[str, Any]:
    """Return the process of one attempt of a health check: with the container's own rights."""
    return {**spec["process"], "args": list(probe)}


def _process(made: Mapping[str, Any], check: Check, hostname: str) -> dict[str, Any]:
    names = [] if check.unprivileged else [f"CAP_{name}" for name in ROOT_CAPABILITIES]
    own = dict(each.partition("=")[::2] for each in made["env"])
    variables = {"HOSTNAME": hostname, **own, **check.env}
    return {
        "terminal": False,
        "user": made["user"],
        "args": list(check.argv),
        "env": [f"{name}={value}" for name, value in variables.items()],
        "cwd": made["cwd"],
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), names),
        "noNewPrivileges": True,
        **({"apparmorProfile": made["apparmorProfile"]} if "apparmorProfile" in made else {}),
    }


def _namespaces(made: list[dict[str, Any]], network: Path | None) -> list[dict[str, Any]]:
    others = [each for each in made if each["type"] != "network"]
    return [*others, {"type": "network", **({"path": str(network)} if network else {})}]
