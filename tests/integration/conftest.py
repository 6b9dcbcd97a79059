"""A real Docker Engine for the tests: Debian's, as a daemon of their own beside any other."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from aksci.tools.debian import ensure_packages

_RUNTIME = """\
#!{python}
import json, os, pathlib, sys
missing = ["CAP_SYS_RESOURCE"] * (not int(pathlib.Path("/proc/self/status").read_text()
    .partition("CapBnd:")[2].split()[0], 16) >> 24 & 1)
words = sys.argv[1:]
for flag, name in (("--bundle", "config.json"), ("--process", "")):
    if missing and flag in words:
        path = pathlib.Path(words[words.index(flag) + 1], name)
        spec = json.loads(path.read_text())
        sets = spec.get("process", spec).get("capabilities") or {{}}
        for kind, held in sets.items():
            sets[kind] = [one for one in held if one not in missing]
        path.write_text(json.dumps(spec))
os.execvp("runc", ["runc", *words])
"""
"""runc, less a capability that this machine's root may lack: Docker Engine 20.10 gives a privileged
container each one that the kernel knows, and runc then fails."""


@pytest.fixture(scope="session")
def docker_engine(toolbox, reporter):
    """Debian's Docker Engine 20.10 with folders, socket and containerd of its own.

    ``address`` is for DOCKER_HOST; ``client()`` is an SDK client, to be closed. It has no default
    bridge and touches no firewall: containers have the network ``none``, ``host`` or one that was
    made for them. Registries on loopback, such as the platform's, may speak plain HTTP to it.
    """
    import docker

    ensure_packages(("docker.io",), toolbox.runner, reporter)
    folder = Path(tempfile.mkdtemp(prefix="aksci-dockerd-"))  # short: a socket's path ends at 107
    address = f"unix://{folder}/docker.sock"
    log = folder / "dockerd.log"
    settings = folder / "daemon.json"
    runtime = folder / "runtime"
    runtime.write_text(_RUNTIME.format(python=sys.executable))
    runtime.chmod(0o755)
    runtimes = {"runtimes": {"held": {"path": str(runtime)}}, "default-runtime": "held"}
    settings.write_text(json.dumps(runtimes))  # not those of the machine's own Engine
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [
                "dockerd", "--config-file", settings, "--host", address,
                "--data-root", folder / "data", "--exec-root", folder / "exec",
                "--pidfile", folder / "docker.pid", "--bridge", "none", "--iptables=false",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (folder / "docker.sock").exists():
            if daemon.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"dockerd did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.1)
        yield SimpleNamespace(
            address=address, client=lambda: docker.DockerClient(base_url=address), log=log
        )
    finally:
        daemon.terminate()
        daemon.wait(60)
        # The network ``host`` leaves a mount behind.
        subprocess.run(["umount", "-ql", folder / "exec/netns/default"], check=False)
        subprocess.run(["rm", "-rf", folder], check=False)


@pytest.fixture
def kubectl(toolbox, platform):
    """Ask the embedded cluster."""

    def ask(*arguments):
        argv = [toolbox.ensure("kube"), "kubectl", f"--kubeconfig={platform.kubeconfig}"]
        out = subprocess.run([*argv, *arguments], capture_output=True, text=True, check=True)
        return out.stdout

    return ask
