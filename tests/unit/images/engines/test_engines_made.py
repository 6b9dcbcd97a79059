"""From the environment's table to builders: names, options, files, and what can't work."""

from __future__ import annotations

import io
import json
import shutil
import socketserver
import tempfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread

import pytest

from aksci.ci.choose import choose_reporter
from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.core.process import Runner
from aksci.images.engines.buildx import BuildxBuilder
from aksci.images.engines.make_builder import make_builder
from aksci.images.engines.pool import PoolBuilder
from aksci.local.endpoints import Endpoints

HEAD = 'schema = 1\n[project]\nname = "shop"\n[environments.prod]\nnamespace = "x"\n'
KUBECONFIG = {
    "clusters": [{"name": "c", "cluster": {"server": "https://c"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [
        {"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("prod", "test")
    ],
    "current-context": "test",
}


@pytest.fixture
def make(tmp_path):
    """Make the builder of an environment; nothing is started for it."""
    (tmp_path / "kubeconfig").write_text(json.dumps(KUBECONFIG))

    def make(
        toml, *, registry="r.example", embedded=False, context="prod", variables=None, state="s"
    ):
        (tmp_path / "aksci.toml").write_text(f'{HEAD}registry = "{registry}"\n{toml}')
        config = load_config(tmp_path / "aksci.toml")
        found = Endpoints(
            registry=registry,
            plain_http=False,
            embedded=embedded,
            buildkit="unix:///b.sock" if embedded else None,
            kubeconfig=tmp_path / "kubeconfig",
            kube_context=context,
        )
        return make_builder(
            config,
            config.environments["prod"],
            name="prod",
            found=found,
            root=tmp_path,
            state=tmp_path / state,
            variables={"DOCKER_CONFIG": str(tmp_path / "docker"), **(variables or {})},
            buildx=Path("/bin/buildx"),
            runner=Runner(environment={}, log=print),
            reporter=choose_reporter({}, io.StringIO()),
        )

    make.root = tmp_path
    return make


@pytest.fixture
def docker_info():
    """Answer as a Docker Engine does of itself, at a socket of our own; return its address."""
    folder = Path(tempfile.mkdtemp(prefix="aksci-"))  # short: a socket's path ends at 107

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"ApiVersion": "1.44", **self.server.info}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self):
            return "a client"

        def log_message(self, *_):
            """Say nothing."""

    server = socketserver.ThreadingUnixStreamServer(f"{folder}/docker.sock", Answer)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()

    def serve(info):
        server.info = info
        return f"unix://{folder}/docker.sock"

    yield serve
    server.shutdown()
    server.server_close()
    shutil.rmtree(folder)


def builder(text):
    return f"[environments.prod.builder]\n{text}\n"


def test_without_a_builder_the_platforms_or_the_engines_own_is_used(make):
    assert make("", embedded=True).spec.endpoint == "unix:///b.sock"
    own = make("").spec
    assert (own.name, own.driver, own.ours) == ("default", "docker", False)


BEYOND = {
    "cache": ('[build.cache]\ntype = "registry"', ['[build.cache] type = "registry"']),
    "attestations": (
        '[build]\nprovenance = "min"\nsbom = "s"',
        ["[build] provenance", "[build] sbom"],
    ),
    "platforms": (
        '[images.a]\ndockerfile = "a"\nplatforms = ["linux/amd64", "linux/arm64"]',
        ["several platforms"],
    ),
}


@pytest.mark.parametrize("case", BEYOND)
def test_what_docker_engines_own_buildkit_cant_do_is_refused_before_anything_is_built(
    make, docker_info, case
):
    toml, wanted = BEYOND[case]
    address = docker_info({"DriverStatus": [["Backing Filesystem", "extfs"]]})
    with pytest.raises(ConfigError) as caught:
        make(toml, variables={"DOCKER_HOST": address})
    assert caught.value.message.endswith(f"classic image store: {', '.join(wanted)}.")
    assert 'builder = { driver = "docker-container" }' in caught.value.hint


@pytest.mark.parametrize(
    ("toml", "status"),
    [
        (BEYOND["cache"][0], [["driver-type", "io.containerd.snapshotter.v1"]]),
        ('[build.cache]\ntype = "registry"\nread_only = true', None),
        ('[build]\nplatforms = ["linux/arm64"]', None),
    ],
)
def test_docker_engines_own_buildkit_is_used_for_what_it_can_do(make, docker_info, toml, status):
    address = docker_info({"DriverStatus": status})
    assert make(toml, variables={"DOCKER_HOST": address}).spec.driver == "docker"


def test_another_docker_context_is_left_to_buildx(make, tmp_path):
    variables = {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    assert make(BEYOND["cache"][0], variables=variables).spec.driver == "docker"


def test_one_remote_endpoint_is_one_builder_and_several_are_a_pool(make):
    one = make(builder('driver = "remote"\nendpoints = ["tcp://a:1"]'))
    assert isinstance(one, BuildxBuilder)
    pool = make(builder('driver = "remote"\nendpoints = ["tcp://a:1", "tcp://b:1"]'))
    assert isinstance(pool, PoolBuilder)
    assert list(pool.builders) == ["tcp://a:1", "tcp://b:1"]
    assert len({engine.spec.name for engine in pool.builders.values()}) == 2


def test_the_same_configuration_is_the_same_builder_and_another_one_is_not(make):
    text = builder('driver = "remote"\nendpoints = ["tcp://a:1"]')
    assert make(text).spec.name == make(text).spec.name
    with_tls = text + 'options = { cacert = "pki/ca.pem" }\n'
    assert make(with_tls).spec.name != make(text).spec.name
    assert make(with_tls).spec.options == {"cacert": str(make.root / "pki/ca.pem")}


def test_another_buildkitd_toml_is_another_builder(make):
    text = builder('driver = "docker-container"\nconfig = "buildkitd.toml"')
    (make.root / "buildkitd.toml").write_text("debug = true\n")
    first = make(text).spec
    (make.root / "buildkitd.toml").write_text("debug = false\n")
    second = make(text).spec
    assert first.name != second.name
    assert first.config.read_text() == "debug = true\n", "a parallel run may still read it"
    (make.root / "buildkitd.toml").unlink()
    with pytest.raises(ConfigError, match="can't be read"):
        make(text)


def test_another_docker_engine_is_another_builder(make):
    text = builder('driver = "docker-container"')
    names = {
        make(text).spec.name,
        make(text, variables={"DOCKER_HOST": "tcp://x"}).spec.name,
        make(text, variables={"DOCKER_CONTEXT": "x"}).spec.name,
    }
    (make.root / "docker").mkdir()
    (make.root / "docker/config.json").write_text('{"currentContext": "x"}')
    names.add(make(text).spec.name)
    assert len(names) == 4


def test_a_container_reaches_a_registry_on_loopback_through_the_hosts_network(make):
    text = builder('driver = "docker-container"')
    assert make(text).spec.options == {}
    assert make(text, registry="localhost:5000").spec.options == {"network": "host"}
    chosen = make(text + 'options = { network = "mine" }', registry="localhost:5000")
    assert chosen.spec.options == {"network": "mine"}
    embedded = make(text, registry="localhost:5000", embedded=True).spec
    assert embedded.config.read_text() == '[registry."docker.io"]\nmirrors = ["localhost:5000"]\n'


def test_kubernetes_is_reached_by_the_environments_context_and_never_another(make):
    text = builder('driver = "kubernetes"')
    spec = make(text).spec
    path = Path(spec.environment["KUBECONFIG"])
    assert json.loads(path.read_text())["current-context"] == "prod"
    assert path.stat().st_mode & 0o777 == 0o600, "it holds credentials"
    other = make(text, context="test").spec
    assert other.name != spec.name
    assert other.node == spec.node, "in a cluster, the same configuration shares its cache"
    with pytest.raises(ConfigError, match="2 contexts, and none is configured"):
        make(text, context=None)


def test_a_pod_behind_a_remote_endpoint_is_reached_by_the_environments_context(make):
    spec = make(builder('driver = "remote"\nendpoints = ["kube-pod://p"]')).spec
    assert json.loads(Path(spec.environment["KUBECONFIG"]).read_text())["current-context"] == "prod"


def test_pods_can_not_push_to_a_registry_on_loopback(make):
    with pytest.raises(ConfigError, match="loopback, which no pod can reach"):
        make(builder('driver = "kubernetes"'), registry="localhost:5000")


def test_a_remote_buildkit_has_a_configuration_of_its_own(make):
    with pytest.raises(ConfigError, match="a remote one has its own"):
        make(builder('driver = "remote"\nendpoints = ["tcp://a:1"]\nconfig = "b.toml"'))
