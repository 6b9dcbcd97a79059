"""The programs to compare with, each set up as its own documentation says is quickest."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.ci.choose import choose_reporter
from aksci.core.process import Runner
from aksci.local.layout import endpoints
from aksci.oci.client import RegistryClient
from aksci.tools.pins import load_pins
from aksci.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Peers", "open_peers"]

_PINS = Path(__file__).parent / "pins.toml"
_START = 60.0  # seconds for a daemon to open its socket


@dataclass(kw_only=True)
class Peers:
    """Everything that the comparisons need."""

    folder: Path
    """For repositories and daemons; removed at the end."""
    registry: str
    """The embedded platform's, ``host:port``."""
    buildx: Path
    skaffold: Path
    buildkitd: Path
    trivy: Path
    trivydb: Path
    notation: Path
    buildkit: str
    """Address of the embedded platform's BuildKit."""
    _daemons: dict[str, subprocess.Popen[bytes]]

    @cached_property
    def client(self) -> RegistryClient:
        """For what the comparisons push and check themselves."""
        return RegistryClient(self.registry, plain_http=True)

    @property
    def ours(self) -> tuple[str, ...]:
        """``python -m aksci``."""
        return (sys.executable, "-m", "aksci")

    @property
    def nox(self) -> str:
        """The nox of this environment."""
        return str(Path(sys.executable).parent / "nox")

    def bake_environment(self) -> dict[str, str]:
        """Return what makes buildx use builders of ours, and no one else's login."""
        return {
            "BUILDX_CONFIG": str(self.folder / "buildx"),
            "DOCKER_CONFIG": str(self.folder / "docker"),
        }

    def skaffold_environment(self) -> dict[str, str]:
        """Return what keeps Skaffold to itself: own home, Docker Engine and no cluster.

        It needs no other program here. With gcloud on PATH it would ask that for a login to each
        of Google's registries at every image: 4 s an image.
        """
        return {
            "PATH": str(self.folder / "nothing"),
            "HOME": str(self.folder / "home"),
            "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
            "DOCKER_CONFIG": str(self.folder / "docker"),
            "KUBECONFIG": "/dev/null",
            "SKAFFOLD_UPDATE_CHECK": "false",
        }

    def trivy_script(self, record: Path) -> tuple[str, ...]:
        """Return a command that scans each image of a build record, with Trivy's cache kept."""
        cache = self.folder / "trivy"
        self.make_database(cache / "db")
        images = json.loads(record.read_text(encoding="utf-8"))["images"].values()
        words = "image --quiet --format json --output report.json --image-src remote --insecure"
        words += " --skip-db-update --skip-version-check --offline-scan --scanners vuln,secret"
        program = f"{shlex.quote(str(self.trivy))} {words} --cache-dir {shlex.quote(str(cache))}"
        script = self.folder / "trivy.sh"
        lines = ["set -e", *(f"{program} {shlex.quote(image['ref'])}" for image in images)]
        script.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return ("sh", str(script))

    def make_database(self, folder: Path) -> None:
        """Make today's small database for Trivy."""
        folder.mkdir(parents=True, exist_ok=True)
        today = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")
        self.run([self.trivydb, "-updated", today, folder], {})

    def make_builder(self, name: str, address: str) -> None:
        """Make a buildx builder with the driver ``remote``."""
        words = ["create", "--name", name, "--driver", "remote", address]
        self.run([self.buildx, *words], self.bake_environment())

    def start_engine(self) -> None:
        """Start a Docker Engine of our own, without a bridge or firewall rules."""
        folder = self.folder
        (folder / "daemon.json").write_text("{}", encoding="utf-8")
        argv: list[str | Path] = [
            *("dockerd", "--config-file", folder / "daemon.json"),
            *("--host", f"unix://{folder}/docker.sock", "--data-root", folder / "docker-data"),
            *("--exec-root", folder / "docker-exec", "--pidfile", folder / "docker.pid"),
            *("--bridge", "none", "--iptables=false"),
        ]
        self._start("dockerd", argv, folder / "docker.sock")

    def fresh_engine(self) -> None:
        """Empty the Docker Engine, and forget what Skaffold knows."""
        self._stop("dockerd")
        for name in ("docker-data", "docker-exec", "home"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.prepare_home()
        self.start_engine()

    def prepare_home(self) -> None:
        """Make Skaffold's home: no statistics are sent."""
        home = self.folder / "home" / ".skaffold"
        home.mkdir(parents=True, exist_ok=True)
        settings = {"global": {"collect-metrics": False, "survey": {"disable-prompt": True}}}
        (home / "config").write_text(json.dumps(settings), encoding="utf-8")

    @property
    def fresh_address(self) -> str:
        """Address of the BuildKit that ``fresh_buildkit`` starts."""
        return f"unix://{self.folder}/buildkit.sock"

    def fresh_buildkit(self) -> None:
        """Start a BuildKit that has built nothing yet."""
        self._stop("buildkitd")
        shutil.rmtree(self.folder / "buildkit", ignore_errors=True)
        config = self.folder / "buildkitd.toml"
        config.write_text(
            f'root = "{self.folder}/buildkit"\n[grpc]\naddress = ["{self.fresh_address}"]\n'
            '[worker.oci]\nenabled = true\nnetworkMode = "host"\nbinary = "runc"\n'
            "[worker.containerd]\nenabled = false\n"
            f'[registry."{self.registry}"]\nhttp = true\n',
            encoding="utf-8",
        )
        self._start(
            "buildkitd", [self.buildkitd, "--config", config], self.folder / "buildkit.sock"
        )

    def run(self, argv: list[str | Path], environment: dict[str, str], folder: str = ".") -> None:
        """Run a command that prepares something.

        :raises SystemExit: it failed.
        """
        done = subprocess.run(
            [str(word) for word in argv],
            check=False,
            cwd=self.folder / folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            tail = done.stdout[-3000:].decode(errors="replace")
            sys.exit(f"{argv[0]} ended with status {done.returncode}:\n{tail}")

    def close(self) -> None:
        """Stop the daemons."""
        self.client.close()
        for name in list(self._daemons):
            self._stop(name)

    def _start(self, name: str, argv: list[str | Path], socket: Path) -> None:
        socket.unlink(missing_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            daemon = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._daemons[name] = daemon
        deadline = time.monotonic() + _START
        while not socket.exists():
            if daemon.poll() is not None or time.monotonic() > deadline:
                tail = (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]
                sys.exit(f"{name} did not start:\n{tail}")
            time.sleep(0.05)

    def _stop(self, name: str) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is not None:
            daemon.terminate()
            daemon.wait(_START)


@contextlib.contextmanager
def open_peers(folder: Path) -> Iterator[Peers]:
    """Set the peers up in a folder that exists, and stop them in the end.

    :raises SystemExit: the embedded platform does not run.
    """
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "aksci/local"
    platform = endpoints(state)
    if platform is None:
        sys.exit("The embedded platform has never been started here.\n\nhint: nox -s up")
    reporter = choose_reporter(os.environ, sys.stderr)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aksci"
    toolbox = Toolbox(
        cache=cache,
        runner=Runner(environment=dict(os.environ), log=reporter.line),
        reporter=reporter,
        variables=os.environ,
        pins={**load_pins(), **load_pins(_PINS)},
    )
    found = toolbox.ensure_all(("buildx", "buildkitd", "skaffold", "trivy", "trivydb", "notation"))
    peers = Peers(
        folder=folder,
        registry=platform.registry,
        buildkit=platform.buildkit,
        _daemons={},
        **found,
    )
    (folder / "docker").mkdir()
    peers.prepare_home()
    try:
        peers.make_builder("warm", peers.buildkit)
        peers.make_builder("fresh", peers.fresh_address)
        peers.start_engine()
        yield peers
    finally:
        peers.close()
