"""Builders of every driver as values, the pool over several, and a kubeconfig of one context."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest
import yaml

from aksci.core.errors import BuildError, ConfigError, EngineError
from aksci.images.engines.buildx_builders import (
    BuilderSpec,
    connection_error,
    create_argv,
    own_name,
    trouble,
)
from aksci.images.engines.kubeconfig import one_context
from aksci.images.engines.pool import PoolBuilder

CASES = sorted((Path(__file__).parent / "buildx-create").glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_command_that_makes_a_builder(path):
    case = json.loads(path.read_text())
    config = case["spec"].pop("config", None)
    spec = BuilderSpec(**case["spec"], config=Path(config) if config else None)
    assert create_argv(Path("/bin/buildx"), spec) == case["argv"]


def test_there_is_a_case_for_each_driver():
    drivers = {json.loads(path.read_text())["spec"]["driver"] for path in CASES}
    assert drivers == {"docker-container", "kubernetes", "remote"}


def test_a_builders_name_changes_with_its_content_and_fits_a_deployments_pods():
    name = own_name("a-very-long-name-of-an-environment-that-goes-on-and-on", {"driver": "remote"})
    assert name == own_name(
        "a-very-long-name-of-an-environment-that-goes-on-and-on", {"driver": "remote"}
    )
    assert name != own_name(
        "a-very-long-name-of-an-environment-that-goes-on-and-on", {"driver": "kubernetes"}
    )
    assert len(name) <= 53
    assert "--" not in name


def test_an_address_is_asked_before_buildx_would_wait(tmp_path):
    path = tmp_path / "socket"
    assert connection_error(f"unix://{path}") == "No such file or directory"
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        assert connection_error(address) is None
    assert connection_error(address) == "Connection refused"
    assert connection_error("tcp://host") == "its address needs a host and a port"
    assert connection_error("kube-pod://pod") is None, "buildx reaches it through kubectl"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"Driver": "remote", "Nodes": [{"Endpoint": "a", "Status": "running"}]}, None),
        (
            {"Driver": "remote", "Nodes": [{"Endpoint": "a", "Status": "inactive"}]},
            "nobody answers at a",
        ),
        ({"Driver": "docker-container", "Nodes": [{"Status": "inactive"}]}, None),
        ({"Driver": "docker-container", "Nodes": [{"Err": "no Docker"}]}, "no Docker"),
        ({"Driver": "", "Err": "no Docker", "Nodes": [{"Name": ""}]}, "no Docker"),
    ],
)
def test_what_buildx_lists_tells_whether_a_builder_can_be_used(record, expected):
    assert trouble(record) == expected


class Engine:
    """A builder that answers as it is told."""

    def __init__(self, answer, gate=None):
        self.answer, self.gate, self.given, self.stopped = answer, gate, [], False

    def build(self, request, _on_line):
        self.given.append(request.name)
        if self.gate:
            self.gate.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def stop(self):
        self.stopped = True


class Request:
    """All of a request that the pool looks at."""

    def __init__(self, name):
        self.name = name


def pool_of(**engines):
    told = []
    return PoolBuilder(builders=engines, tell=told.append, hint="start one"), told


def test_an_image_goes_to_the_least_busy_engine():
    gate = threading.Event()
    engines = {name: Engine("done", gate) for name in "abc"}
    pool, _ = pool_of(**engines)
    threads = [
        threading.Thread(target=pool.build, args=(Request(f"i{number}"), print))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    while sum(len(engine.given) for engine in engines.values()) < 6:
        time.sleep(0.001)
    gate.set()
    for thread in threads:
        thread.join()
    assert [len(engine.given) for engine in engines.values()] == [2, 2, 2]


def test_where_all_are_idle_an_image_goes_where_it_went_before():
    engines = {name: Engine("done") for name in "abc"}
    pool, _ = pool_of(**engines)
    for number in range(30):
        pool.build(Request(f"i{number % 10}"), print)
    assert all(len(engine.given) == 3 * len(set(engine.given)) for engine in engines.values())
    assert sum(bool(engine.given) for engine in engines.values()) > 1


def test_a_lost_engine_is_told_once_and_its_images_go_elsewhere():
    lost, alive = Engine(EngineError("gone")), Engine("done")
    pool, told = pool_of(lost=lost, alive=alive)
    names = [f"i{number}" for number in range(10)]
    assert [pool.build(Request(name), print) for name in names] == ["done"] * 10
    assert alive.given == names
    assert len(lost.given) == 1
    assert told == ["Going on without lost: gone"]


def test_an_image_that_does_not_build_is_not_tried_elsewhere():
    engines = {name: Engine(BuildError("exit code: 1")) for name in "ab"}
    pool, told = pool_of(**engines)
    with pytest.raises(BuildError, match="exit code: 1"):
        pool.build(Request("i"), print)
    assert sum(len(engine.given) for engine in engines.values()) == 1
    assert told == []


def test_without_any_engine_the_error_tells_why_of_each():
    pool, _ = pool_of(a=Engine(EngineError("gone")), b=Engine(EngineError("never there")))
    with pytest.raises(EngineError) as caught:
        pool.build(Request("i"), print)
    assert "i was not built: no engine can be reached." in caught.value.message
    assert "gone" in caught.value.message
    assert "never there" in caught.value.message
    assert caught.value.hint == "start one"


def test_stopping_stops_all():
    engines = {name: Engine("done") for name in "ab"}
    pool, _ = pool_of(**engines)
    pool.stop()
    assert all(engine.stopped for engine in engines.values())


def kubeconfig(folder, *names):
    document = {
        "clusters": [
            {"name": n, "cluster": {"server": f"https://{n}", "certificate-authority": "ca"}}
            for n in names
        ],
        "users": [
            {"name": n, "user": {"client-key": "/abs/key", "exec": {"command": "./login"}}}
            for n in names
        ],
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in names],
        "current-context": names[0],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def test_only_the_named_context_is_left_and_its_paths_are_absolute(tmp_path):
    found = one_context(kubeconfig(tmp_path, "prod", "test"), "test")
    assert found["current-context"] == "test"
    assert [one["name"] for one in found["contexts"]] == ["test"]
    (cluster,), (user,) = found["clusters"], found["users"]
    assert cluster["cluster"]["server"] == "https://test"
    assert cluster["cluster"]["certificate-authority"] == str(tmp_path / "ca")
    assert user["user"]["client-key"] == "/abs/key"
    assert user["user"]["exec"]["command"] == str(tmp_path / "login")


def test_the_current_context_is_not_taken_where_there_are_several(tmp_path):
    with pytest.raises(ConfigError, match="2 contexts, and none is configured") as caught:
        one_context(kubeconfig(tmp_path, "prod", "test"), None)
    assert "prod, test" in caught.value.hint
    only = kubeconfig(tmp_path, "only")
    assert one_context(only, None)["current-context"] == "only"


def test_a_context_or_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no context 'prod'"):
        one_context(kubeconfig(tmp_path, "test"), "prod")
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        one_context(tmp_path / "missing", "prod")
    (tmp_path / "broken").write_text("a: [")
    with pytest.raises(ConfigError, match="it is no YAML"):
        one_context(tmp_path / "broken", "prod")
