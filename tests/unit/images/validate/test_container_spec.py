"""What runc is given for a check, as data: rights, limits, and what of the machine is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aksci.images.validate.checks import Check
from aksci.images.validate.container_spec import Confinement, container_spec, probe_process
from aksci.images.validate.image_runner import MEMORY, ROOT_CAPABILITIES

MADE = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 33, "gid": 33, "additionalGids": [33]},
        "args": ["true"],
        "env": ["PATH=/bin", "MODE=image", "EQUALS=a=b"],
        "cwd": "/srv",
        "capabilities": {"bounding": ["CAP_NET_RAW"], "ambient": ["CAP_NET_RAW"]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": False,
    },
    "root": {"path": "rootfs"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/run", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]},
    ],
    "linux": {
        "resources": {"devices": [{"allow": True, "access": "rwm"}]},
        "cgroupsPath": "/k8s.io/x",
        "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "network"}],
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
        "seccomp": {"defaultAction": "SCMP_ACT_ERRNO"},
    },
}
"""As containerd 1.6 makes it, shortened."""
PLACE = Confinement(
    hostname="validate",
    rootfs=Path("/run/x/rootfs"),
    cgroup="/aksci-1/containers/x",
    files={"/etc/hosts": Path("/run/x/hosts")},
    network=None,
    limits_swap=True,
)
CHECK = Check(kind="start", argv=("serve", "--all"), env={"MODE": "check", "HOME": "/h"})


def test_the_process_is_the_checks_with_the_images_user_folder_and_variables():
    process = container_spec(MADE, CHECK, PLACE)["process"]
    assert process["args"] == ["serve", "--all"]
    assert (process["user"], process["cwd"]) == (MADE["process"]["user"], "/srv")
    assert process["env"] == [
        "HOSTNAME=validate", "PATH=/bin", "MODE=check", "EQUALS=a=b", "HOME=/h",
    ]  # fmt: skip
    # Neither more open files nor fewer than on any machine.
    assert "rlimits" not in process


@pytest.mark.parametrize(
    ("unprivileged", "names"),
    [(True, []), (False, [f"CAP_{name}" for name in ROOT_CAPABILITIES])],
)
def test_rights_are_those_of_other_engines_whatever_containerd_would_give(unprivileged, names):
    check = replace(CHECK, unprivileged=unprivileged)
    process = container_spec(MADE, check, PLACE)["process"]
    assert process["noNewPrivileges"] is True
    assert process["capabilities"] == dict.fromkeys(("bounding", "effective", "permitted"), names)


def test_a_container_is_limited_in_a_group_of_ours():
    linux = container_spec(MADE, CHECK, PLACE)["linux"]
    assert linux["cgroupsPath"] == "/aksci-1/containers/x"
    assert linux["resources"] == {
        "devices": [{"allow": False, "access": "rwm"}],
        "memory": {"limit": MEMORY, "swap": MEMORY},
        "cpu": {"quota": 100_000, "period": 100_000},
        "pids": {"limit": 512},
    }
    without = container_spec(MADE, CHECK, replace(PLACE, limits_swap=False))["linux"]
    assert without["resources"]["memory"] == {"limit": MEMORY}


def test_what_hides_of_the_kernel_is_containerds():
    linux = container_spec(MADE, CHECK, PLACE)["linux"]
    assert [linux[key] for key in ("maskedPaths", "readonlyPaths", "seccomp")] == [
        ["/proc/kcore"],
        ["/proc/sys"],
        {"defaultAction": "SCMP_ACT_ERRNO"},
    ]
    confined = {**MADE, "process": {**MADE["process"], "apparmorProfile": "p"}}
    assert container_spec(confined, CHECK, PLACE)["process"]["apparmorProfile"] == "p"
    assert "apparmorProfile" not in container_spec(MADE, CHECK, PLACE)["process"]


def test_what_the_image_has_in_run_is_seen_and_of_the_machine_only_our_own_files():
    mounts = container_spec(MADE, CHECK, PLACE)["mounts"]
    assert [each["destination"] for each in mounts] == ["/proc", "/sys/fs/cgroup", "/etc/hosts"]
    assert "ro" in mounts[1]["options"]
    bound = [each for each in mounts if each["type"] == "bind"]
    assert [each["source"] for each in bound] == ["/run/x/hosts"]
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(bound[0]["options"])


def test_without_a_network_it_has_one_of_its_own_with_nothing_in_it():
    alone = container_spec(MADE, CHECK, PLACE)["linux"]["namespaces"]
    assert alone == [{"type": "pid"}, {"type": "mount"}, {"type": "network"}]
    served = container_spec(MADE, CHECK, replace(PLACE, network=Path("/run/x/netns")))
    assert served["linux"]["namespaces"][-1] == {"type": "network", "path": "/run/x/netns"}


def test_a_health_check_has_the_rights_of_what_it_checks():
    spec = container_spec(MADE, CHECK, PLACE)
    process = probe_process(spec, ("curl", "localhost"))
    assert process == {**spec["process"], "args": ["curl", "localhost"]}
