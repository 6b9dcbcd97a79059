"""The embedded platform for real: repaired after any kill, and gone without a trace after `down`.

These tests stop and start the platform that the other tests use, and leave it running.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from aksci import steps
from aksci.core.errors import DiskFullError, PlatformError, PortTakenError, ToolError
from aksci.environment import Environment
from aksci.local import platform as local_platform
from aksci.local.api_server import Api
from aksci.local.daemon import find_marked, identify
from aksci.local.daemon import stop as kill
from aksci.local.layout import Layout, Network, Ports, endpoints
from aksci.local.platform import ALL_PARTS, BUILD_PARTS, TRUST_PARTS, down, status, up
from aksci.local.teardown import mounts_below
from aksci.oci.client import RegistryClient
from aksci.testing.reporter import RecordingReporter

RANDOM = random.SystemRandom()
ROOT = Path(__file__).parents[2]
SEEDS = {"debian:bookworm-slim": ("ca-certificates",)}
PARTS = (
    "registry",
    "buildkitd",
    "containerd",
    "etcd",
    "apiserver",
    "controller-manager",
    "scheduler",
    "proxy",
    "kubelet",
)
UP = """
import os, sys
from pathlib import Path
from aksci.ci.choose import choose_reporter
from aksci.core.process import Runner
from aksci.local.platform import up
from aksci.tools.toolbox import Toolbox
reporter = choose_reporter({}, sys.stderr)
runner = Runner(environment=dict(os.environ), log=lambda line: None)
toolbox = Toolbox(cache=Path(sys.argv[2]), runner=runner, reporter=reporter, variables=os.environ)
up(state=Path(sys.argv[1]), toolbox=toolbox, runner=runner, reporter=reporter)
"""
# Where docker.io can be reached, it shall not be now; Debian's mirrors are asked without TLS.
NO_DOCKER_IO = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
UP_WITH_SEED = UP.replace(
    "reporter=reporter)\n",
    "reporter=reporter, seeds={'debian:bookworm-slim': ()}, parts=BUILD_PARTS,"
    " ports=Ports(registry=int(sys.argv[3])))\n",
).replace("import up", "import BUILD_PARTS, up\nfrom aksci.local.layout import Ports")
SERVER = """
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 16, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
    while (defined(my $line = <$client>)) { last if $line =~ /^\\r?\\n$/ }
    print $client "HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok";
    close $client;
}
"""


@pytest.fixture
def start(platform, toolbox, runner, reporter):
    """Run `up` on the platform of this session."""

    def run(**changes):
        arguments = {"state": platform.state, "seeds": SEEDS, **changes}
        return up(toolbox=toolbox, runner=runner, reporter=reporter, **arguments)

    return run


@pytest.fixture
def stop(platform, runner, reporter):
    """Run `down` on the platform of this session."""
    return lambda: down(state=platform.state, runner=runner, reporter=reporter)


@pytest.fixture
def api(platform):
    return Api(port=Ports().apiserver, pki=platform.state / "pki")


@pytest.fixture
def elsewhere(tmp_path, runner, reporter):
    """A second platform's state folder and ports, in a namespace of its own."""
    state = tmp_path / "s"
    yield state
    down(state=state, runner=runner, reporter=reporter, purge=True)
    assert not state.exists()


def _pids(platform):
    return {part.name: part.pid for part in status(state=platform.state).parts}


def _unhealthy(platform):
    return [part.name for part in status(state=platform.state).parts if not part.healthy]


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _traces(platform, runner):
    """Everything that a platform could leave on a machine."""

    def told(*argv):
        output = runner.run(argv, check=False, quiet=True).stdout
        return [line for line in output.splitlines() if not line.startswith("#")]

    links = json.loads(runner.run(["ip", "--json", "link"], quiet=True).stdout)
    spaces = [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "nsfs" in line
    ]
    return {
        "links": [link["ifname"] for link in links],
        "rules": told("nft", "list", "ruleset"),
        "mounts": mounts_below(platform.state),
        "namespaces": spaces,
        "processes": find_marked(platform.state),
        "groups": [str(path) for path in Path("/sys/fs/cgroup").glob("**/aksci-*")],
        "folders": [
            str(path)
            for path in map(Path, ("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers"))
            if path.exists()
        ],
        "sysctls": [
            (name, Path("/proc/sys", name).read_text())
            for name in ("net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet")
        ],
        "sockets": sorted(Path("/run/containerd/s").glob("*")),
    }


def _pod(name, *command, restart="Always"):
    container = {"name": "c", "image": "debian:bookworm-slim", "command": list(command)}
    spec = {
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    meta = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _wait(what, seconds=60.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def namespace(api, start):
    start()
    name = f"t-{RANDOM.randrange(2**32):08x}"
    path = f"/api/v1/namespaces/{name}"
    api.apply(path, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    # Pods are refused until the namespace's service account is there.
    _wait(lambda: api.get(f"{path}/serviceaccounts/default"))
    yield path
    start()
    api.delete(path)


def _phase(api, path):
    return (api.get(path) or {}).get("status", {}).get("phase")


def test_up_on_a_healthy_platform_is_quick_and_changes_nothing(platform, start):
    start()
    before = _pids(platform)
    began = time.monotonic()
    assert start() == platform
    assert time.monotonic() - began < 3
    assert _pids(platform) == before


def test_a_service_answers_by_name_inside_and_by_node_port_on_loopback(namespace, api):
    """An image from docker.io's mirror, a pod, a Service, its DNS name, its port on 127.0.0.1."""
    port = 30000 + RANDOM.randrange(2000)
    api.apply(f"{namespace}/pods/web", _pod("web", "perl", "-e", SERVER))
    spec = {
        "type": "NodePort",
        "selector": {"app": "web"},
        "ports": [{"port": 80, "targetPort": 8080, "nodePort": port}],
    }
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}
    api.apply(f"{namespace}/services/web", service)

    def answer():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as response:
                return response.read()
        except OSError:
            return None

    assert _wait(answer) == b"ok"
    name = f"web.{namespace.rpartition('/')[2]}.svc.cluster.local"
    ask = f"exec 3<>/dev/tcp/{name}/80 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q ok <&3"
    api.apply(f"{namespace}/pods/asks", _pod("asks", "bash", "-c", ask, restart="Never"))
    phase = _wait(lambda: _phase(api, f"{namespace}/pods/asks") in {"Succeeded", "Failed"})
    assert phase
    assert _phase(api, f"{namespace}/pods/asks") == "Succeeded"


def test_a_service_without_endpoints_refuses_at_once(namespace, api):
    spec = {"selector": {"app": "nobody"}, "ports": [{"port": 80}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "empty"}, "spec": spec}
    api.apply(f"{namespace}/services/empty", service)
    name = f"empty.{namespace.rpartition('/')[2]}.svc.cluster.local"
    ask = f"exec 2>/dev/termination-log; sleep 1; exec 3<>/dev/tcp/{name}/80"
    api.apply(f"{namespace}/pods/asks", _pod("asks", "bash", "-c", ask, restart="Never"))
    _wait(lambda: _phase(api, f"{namespace}/pods/asks") == "Failed")
    (ended,) = api.get(f"{namespace}/pods/asks")["status"]["containerStatuses"]
    assert "refused" in ended["state"]["terminated"]["message"]


@pytest.mark.parametrize("address", ["10.96.255.254", "10.244.0.254"])
def test_what_nobody_answers_for_never_leaves_the_machine(platform, address):
    """A Service without endpoints must not be looked for beyond the default gateway."""
    argv = ["ip", "-json", "route", "get", address]
    (way,) = json.loads(subprocess.check_output(argv))
    assert way["dev"] in {Network().node_bridge, Network().pod_bridge}


def test_builds_reach_the_network_and_start_from_the_mirror(
    platform, start, runner, toolbox, tmp_path
):
    start()
    (tmp_path / "Dockerfile").write_text(
        "FROM debian:bookworm-slim\n"
        f"RUN echo {RANDOM.random()} && apt-get update\n"
        'RUN test -z "$(ls /usr/local/share/ca-certificates)"\n'
    )
    runner.run(
        [
            *(toolbox.ensure("buildctl"), "--addr", platform.buildkit, "build"),
            *("--frontend", "dockerfile.v0"),
            *("--local", f"context={tmp_path}", "--local", f"dockerfile={tmp_path}"),
            *("--output", f"type=image,name={platform.registry}/t/x:1,push=true"),
        ],
        timeout=120,
    )
    assert RegistryClient(platform.registry, plain_http=True).resolve("t/x", "1")


@pytest.mark.parametrize("name", PARTS)
def test_a_killed_part_is_replaced_and_the_others_stay(platform, start, name):
    start()
    before = _pids(platform)
    kill([identify(before[name])], grace=0)
    start()
    after = _pids(platform)
    assert after[name] not in {None, before[name]}
    assert _unhealthy(platform) == []
    # Parts may end by themselves when what they depend on does; those that need nothing of it stay.
    untouched = {"registry", "buildkitd"} - {name}
    assert {part: after[part] for part in untouched} == {part: before[part] for part in untouched}


def test_up_repairs_what_was_asked_for_besides(platform, start, stop):
    """A Notary server that died with the machine is no fault that `status` keeps telling of."""
    start(parts=ALL_PARTS | TRUST_PARTS)
    before = _pids(platform)["notary-server"]
    kill([identify(before)], grace=0)
    assert _unhealthy(platform) == ["notary-server"]
    start(parts=BUILD_PARTS)
    assert _unhealthy(platform) == ["notary-server"]  # no part of what builds need
    start()
    assert _unhealthy(platform) == []
    assert _pids(platform)["notary-server"] not in {None, before}
    stop()
    start()
    assert "notary-server" not in _pids(platform)


def test_down_leaves_nothing_behind_and_up_finds_its_data(
    namespace, api, platform, start, stop, runner
):
    stop()
    clean = _traces(platform, runner)
    assert clean["processes"] == clean["mounts"] == clean["groups"] == []
    start()
    api.apply(f"{namespace}/pods/sleeper", _pod("sleeper", "sleep", "infinity"))
    _wait(lambda: _phase(api, f"{namespace}/pods/sleeper") == "Running")
    assert _traces(platform, runner) != clean
    stop()
    assert _traces(platform, runner) == clean
    stop()  # again: nothing to do, and no error
    start()
    assert api.get(f"{namespace}/pods/sleeper")
    client = RegistryClient(platform.registry, plain_http=True)
    assert client.resolve("library/debian", "bookworm-slim")


def test_everything_dead_at_once_is_repaired(namespace, api, platform, start):
    """As after a crash: no process left, but mounts, interfaces, sockets and records."""
    api.apply(f"{namespace}/pods/sleeper", _pod("sleeper", "sleep", "infinity"))
    _wait(lambda: _phase(api, f"{namespace}/pods/sleeper") == "Running")
    kill(find_marked(platform.state), grace=0)
    start()
    assert _unhealthy(platform) == []
    _wait(lambda: _ready(api, f"{namespace}/pods/sleeper"))


def _ready(api, path):
    conditions = (api.get(path) or {}).get("status", {}).get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def test_up_killed_at_any_moment_is_repaired_by_up(platform, start, stop, toolbox):
    """Half-made keys, unrecorded processes, parts in the middle of their start."""
    stop()
    for path in (platform.state / "pki").iterdir():
        path.unlink()
    delays = [RANDOM.uniform(0.1, 4.0) for _ in range(5)]
    for delay in delays:
        process = subprocess.Popen(
            [sys.executable, "-c", UP, platform.state, toolbox.cache],
            cwd=ROOT,
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    start()
    assert _unhealthy(platform) == [], delays
    running = [process for process in find_marked(platform.state) if _leads(process.pid)]
    assert len(running) == len(PARTS), delays


def _leads(pid):
    return os.getsid(pid) == pid


def test_two_ups_at_once_make_one_platform(platform, stop, toolbox):
    stop()
    argv = [sys.executable, "-c", UP, platform.state, toolbox.cache]
    both = [subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    told = [process.communicate(timeout=120)[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert any("waiting for another" in text for text in told)
    running = [process for process in find_marked(platform.state) if _leads(process.pid)]
    assert len(running) == len(PARTS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_making_a_base_may_be_interrupted(elsewhere, toolbox, runner, reporter, number):
    """Ctrl-C ends mmdebstrap at once; after SIGKILL, `down` finds what is left of it."""
    port = str(_free_port())
    process = subprocess.Popen(
        [sys.executable, "-c", UP_WITH_SEED, elsewhere, toolbox.cache, port],
        cwd=ROOT,
        env={**os.environ, **NO_DOCKER_IO},
        stderr=subprocess.DEVNULL,
    )
    making = _wait(lambda: find_marked(elsewhere, "seed-bookworm-slim"))
    process.send_signal(number)
    process.wait(timeout=15)
    assert process.returncode != 0
    if number == signal.SIGKILL:
        assert any(found.alive() for found in making)
        down(state=elsewhere, runner=runner, reporter=reporter)
    _wait(lambda: not find_marked(elsewhere, "seed-bookworm-slim"), seconds=10)
    assert list((elsewhere / "seeds").glob("debian-*[0-9a-f].tar")) == []


def test_a_taken_port_is_an_error_that_names_its_holder(
    elsewhere, platform, start, toolbox, runner, reporter
):
    start()
    with pytest.raises(PortTakenError) as caught:
        up(
            state=elsewhere,
            toolbox=toolbox,
            runner=runner,
            reporter=reporter,
            parts=BUILD_PARTS,
            ports=Ports(registry=Ports().registry),
        )
    assert "Port 5000" in caught.value.message
    assert f"process {_pids(platform)['registry']} " in caught.value.message
    assert _unhealthy(platform) == []


def test_a_full_disk_is_an_error_before_anything_is_started(elsewhere, toolbox, runner, reporter):
    with pytest.raises(DiskFullError):
        up(
            state=elsewhere,
            toolbox=toolbox,
            runner=runner,
            reporter=reporter,
            parts=BUILD_PARTS,
            ports=Ports(registry=_free_port()),
            minimum_free=2**60,
        )
    assert find_marked(elsewhere) == []


def test_a_second_platform_is_stopped_without_touching_the_first(
    elsewhere, platform, start, toolbox, runner, reporter
):
    start()
    before = _pids(platform)
    found = up(
        state=elsewhere,
        toolbox=toolbox,
        runner=runner,
        reporter=reporter,
        parts=BUILD_PARTS,
        ports=Ports(registry=_free_port()),
    )
    assert found == endpoints(elsewhere)
    assert not found.kubeconfig.exists()
    assert [part.name for part in status(state=elsewhere).parts] == ["registry", "buildkitd"]
    assert status(state=elsewhere).healthy
    down(state=elsewhere, runner=runner, reporter=reporter, purge=True)
    assert endpoints(elsewhere) is None
    assert find_marked(elsewhere) == []
    assert _pids(platform) == before
    assert _unhealthy(platform) == []


@pytest.fixture
def no_kubernetes(toolbox, runner, start, tmp_path_factory, monkeypatch):
    """A platform of its own, on a machine where Kubernetes can't be had, and a project on it."""
    start()  # before the ports are others

    class Without:
        def ensure(self, name):
            if name in {"kube", "coredns"}:
                raise ToolError(f"{name} can't be had")
            return toolbox.ensure(name)

        def ensure_all(self, names):
            return {name: self.ensure(name) for name in names}

    ports = Ports(registry=_free_port())
    monkeypatch.setattr(local_platform, "Ports", lambda: ports)
    root = tmp_path_factory.mktemp("shop")
    (root / "aksci.toml").write_text(
        'schema = 1\n[project]\nname = "k"\n[images.app]\ndockerfile = "Dockerfile"\n'
        '[environments.local]\nplatform = "embedded"\nnamespace = "k"\n'
    )
    (root / "Dockerfile").write_text('FROM scratch\nCOPY pause /\nENTRYPOINT ["/pause"]\n')
    shutil.copy(toolbox.ensure("pause"), root)
    state = tmp_path_factory.mktemp("s")  # short: see ``Layout.make``
    notes = RecordingReporter()
    with Environment.open(root=root, variables=os.environ, reporter=notes, runner=runner) as opened:
        env = replace(opened, state=state)
        vars(env)["toolbox"] = Without()
        with env:
            yield env
    down(state=state / "local", runner=runner, reporter=notes, purge=True)


def test_images_are_built_and_run_where_kubernetes_cannot_be_had(no_kubernetes, platform):
    before = _pids(platform)
    env = no_kubernetes
    build = steps.build(env)
    assert "[app] validated: its process starts and keeps running" in env.reporter.lines
    assert steps.validate(env, build)["app"].passed
    found = steps.status(env)
    assert [part.name for part in found.platform.parts] == ["registry", "buildkitd", "containerd"]
    assert found.platform.healthy
    assert found.namespace is None
    # The machine's network was not touched: it is the other platform's, whose DNS still answers.
    down(state=env.platform, runner=env.runner, reporter=env.reporter)
    assert find_marked(env.platform) == []
    assert mounts_below(env.platform) == []
    assert _pids(platform) == before
    assert _unhealthy(platform) == []


def test_a_broken_tool_is_explained_by_its_log(elsewhere, runner, reporter, tmp_path):
    class Broken:
        def ensure(self, name):
            program = tmp_path / name
            program.write_text("#!/bin/sh\necho this registry is broken >&2\nexit 1\n")
            program.chmod(0o755)
            return program

    with pytest.raises(PlatformError, match="this registry is broken") as caught:
        up(
            state=elsewhere,
            toolbox=Broken(),
            runner=runner,
            reporter=reporter,
            parts=BUILD_PARTS,
            ports=Ports(registry=_free_port()),
        )
    assert str(Layout(elsewhere).logs) in caught.value.hint
