"""A real Docker Engine for the tests: Debian's, as a daemon of their own beside any other."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from aksci.tools.debian import ensure_packages


@pytest.fixture(scope="session")
def docker_engine(toolbox, reporter):
    """Debian's Docker Engine 20.10 with folders, socket and containerd of its own.

    ``address`` is for DOCKER_HOST; ``client()`` is an SDK client, to be closed. It has no bridge
    and touches no firewall: containers have the network ``none`` or ``host``. Registries on
    loopback, such as the platform's, may speak plain HTTP to it.
    """
    import docker

    ensure_packages(("docker.io",), toolbox.runner, reporter)
    folder = Path(tempfile.mkdtemp(prefix="aksci-dockerd-"))  # short: a socket's path ends at 107
    address = f"unix://{folder}/docker.sock"
    log = folder / "dockerd.log"
    settings = folder / "daemon.json"
    settings.write_text("{}")  # not those of the machine's own Engine
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
        subprocess.run(["rm", "-rf", folder], check=False)
