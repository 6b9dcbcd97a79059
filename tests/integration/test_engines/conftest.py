"""A project, an environment that names an engine, and private BuildKits."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from aksci.ci.choose import choose_reporter
from aksci.config.loader import load_config
from aksci.core.process import Runner
from aksci.environment import Environment
from aksci.images.bases import RegistryBases
from aksci.images.build.build_images import BuildSettings, build_images
from aksci.images.engines.buildx_builders import connection_error
from aksci.images.engines.make_builder import make_builder
from aksci.images.graph import build_graph
from aksci.local.layout import Network
from aksci.local.pki import CertificateSubject, ensure_pki
from aksci.oci.artifact import push_image
from aksci.oci.client import RegistryClient


class Watched:
    """A builder that notes which images it was given; all else is the real one's."""

    def __init__(self, name, builder, given):
        self.name, self.builder, self.given = name, builder, given

    def build(self, request, on_line):
        self.given.append((self.name, request))
        return self.builder.build(request, on_line)

    def stop(self):
        self.builder.stop()


@pytest.fixture
def watch():
    """Note which engine of a pool is given which request, in order."""

    def watch(pool):
        given = []
        pool.builders = {name: Watched(name, one, given) for name, one in pool.builders.items()}
        return given

    return watch


@pytest.fixture
def make_project(toolbox, tmp_path):
    """Make a project with one environment; build it with the engine that this one names."""
    closing = []

    def make(files, environment, *, variables=None, verify=True):
        name = f"e{secrets.token_hex(4)}"
        head = f'schema = 1\n[project]\nname = "{name}"\n[discover]\ndockerfiles = ["*/Dockerfile"]'
        root = tmp_path / name
        texts = {**files, "aksci.toml": f"{head}\n[environments.there]\n{environment}\n"}
        for path, content in texts.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(content.replace("{p}", name))
        config = load_config(root / "aksci.toml")
        variables = {**os.environ, **(variables or {})}
        said = io.StringIO()
        env = Environment(
            root=root,
            config=config,
            name="there",
            settings=config.environments["there"],
            variables=variables,
            now=lambda: datetime.now(UTC),
            runner=Runner(environment=variables, log=lambda line: said.write(f"{line}\n")),
            reporter=choose_reporter({}, said),
            cache=tmp_path / "cache",
            state=tmp_path / f"{name}-state",
            run_id="test",
        )
        registry = RegistryClient(
            env.settings.registry,
            plain_http=env.settings.plain_http,
            verify=verify,
        )
        closing.append(registry)
        resolver = RegistryBases(mirror=registry, connect=RegistryClient)

        def builder():
            return make_builder(
                config,
                env.settings,
                name="there",
                found=env.looking.endpoints,
                root=root,
                state=env.state,
                variables=variables,
                buildx=toolbox.ensure("buildx"),
                runner=env.runner,
                reporter=env.reporter,
            )

        def build(engine, **settings):
            return build_images(
                build_graph(root, config),
                registry=registry,
                builder=engine,
                bases=resolver,
                settings=BuildSettings(**{"timeout": 120, "revision": "abc", **settings}),
                reporter=env.reporter,
                now=env.now,
            ).require()

        return SimpleNamespace(
            name=name, root=root, registry=registry, env=env, builder=builder,
            build=build, said=said,
        )  # fmt: skip

    yield make
    for client in closing:
        client.close()


def free_address():
    """Return a TCP address on loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def nowhere():
    return free_address()


@contextlib.contextmanager
def private_buildkit(platform, toolbox):
    """Run a BuildKit with folder and cache of its own; yield its address and its process."""
    address = free_address()
    folder = Path(tempfile.mkdtemp(prefix="aksci-bk-"))
    (folder / "buildkitd.toml").write_text(
        f'root = "{folder}/root"\n[grpc]\naddress = ["{address}"]\n'
        '[worker.oci]\nenabled = true\nnetworkMode = "host"\nbinary = "runc"\n'
        "[worker.containerd]\nenabled = false\n"
        f'[registry."docker.io"]\nmirrors = ["{platform.registry}"]\n'
    )
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [toolbox.ensure("buildkitd"), "--config", folder / "buildkitd.toml"],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 30
        while connection_error(address):
            if daemon.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"buildkitd did not start:\n{(folder / 'log').read_text()[-4000:]}")
            time.sleep(0.05)
        yield SimpleNamespace(address=address, process=daemon)
    finally:
        daemon.kill()  # there is nothing to keep
        daemon.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def buildkits(platform, toolbox):
    """Two BuildKits for all tests; their addresses."""
    with (
        private_buildkit(platform, toolbox) as first,
        private_buildkit(platform, toolbox) as second,
    ):
        yield first.address, second.address


@pytest.fixture
def mortal_buildkit(platform, toolbox):
    """One more, to be killed."""
    with private_buildkit(platform, toolbox) as one:
        yield one


@pytest.fixture(scope="session")
def buildkit_image(platform, toolbox):
    """A BuildKit image FROM scratch: static buildkitd and buildctl, runc with its libraries.

    runc is Debian's: built from its Go module it would lack seccomp, without which BuildKit runs no
    step.
    """
    client = RegistryClient(platform.registry, plain_http=True)
    with tempfile.TemporaryDirectory(prefix="aksci-image-") as folder:
        layer = Path(folder) / "layer.tar"
        with tarfile.open(layer, "w") as tar:
            for name, mode in (("tmp", 0o1777), ("etc", 0o755)):
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = tarfile.DIRTYPE, mode
                tar.addfile(entry)
            for program in ("buildkitd", "buildctl"):
                tar.add(toolbox.ensure(program), f"usr/bin/{program}", filter=_as_root)
            for path in _with_libraries(shutil.which("runc")):
                tar.add(path.resolve(), str(path), filter=_as_root)
        config = {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
            "os": "linux",
            "config": {
                "Entrypoint": ["/usr/bin/buildkitd"],
                "Env": ["PATH=/usr/bin:/usr/sbin"],
                # Without it the layers would be kept on an overlay, where no overlay can be.
                "Volumes": {"/var/lib/buildkit": {}},
            },
        }
        ref = push_image(client, "aksci-test/buildkit", "test", layers=[layer], config=config)
    client.close()
    return str(ref)


def _with_libraries(program):
    """Return a program and every library that its loader would take, as absolute paths."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(program), *(Path(word) for word in told.split() if word.startswith("/"))]


def _as_root(entry):
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755
    return entry


@pytest.fixture(scope="session")
def cluster_registry(platform, toolbox):
    """The platform's registry once more, where pods reach it: at the node's address, with TLS."""
    folder = Path(tempfile.mkdtemp(prefix="aksci-door-"))
    node = Network().node
    (folder / "pki").mkdir()
    ensure_pki(
        folder / "pki", {"registry": CertificateSubject(common_name="registry", names=(node,))}
    )
    with socket.create_server((node, 0)) as probe:
        port = probe.getsockname()[1]
    settings = json.loads((platform.state / "config" / "registry.json").read_text())
    settings["http"]["addr"] = f"{node}:{port}"
    settings["http"]["tls"] = {
        "certificate": str(folder / "pki" / "registry.crt"),
        "key": str(folder / "pki" / "registry.key"),
    }
    (folder / "registry.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [toolbox.ensure("registry"), "serve", folder / "registry.json"],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + 30
    while connection_error(f"tcp://{node}:{port}"):
        if daemon.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the registry did not start:\n{(folder / 'log').read_text()[-4000:]}")
        time.sleep(0.05)
    yield SimpleNamespace(host=f"{node}:{port}", authority=folder / "pki" / "ca.crt")
    daemon.kill()
    daemon.wait(30)
    shutil.rmtree(folder)
