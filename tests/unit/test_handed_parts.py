"""Parts that are handed in: an environment works with them, and gives them back as they were."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

import aksci.parts
from aksci import steps
from aksci.core.errors import UsageError
from aksci.core.process import Runner
from aksci.deploy.kubernetes.cluster import Cluster
from aksci.environment import Environment
from aksci.parts import Parts, Proof
from aksci.supply.scan.own_scanner import HandedScanner
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.reporter import RecordingReporter
from aksci.testing.sample_images import push_sample

TOML = """\
schema = 1
[project]
name = "shop"
[discover]
dockerfiles = ["*/Dockerfile"]
[environments.production]
registry = "production.example"
namespace = "shop"
"""


@pytest.fixture
def started():
    """What was started for the environment."""
    return []


@pytest.fixture
def open_with(tmp_path, started):
    """Open an environment of a project with one image, with parts."""
    folder = tmp_path / "project"
    (folder / "web").mkdir(parents=True)
    (folder / "aksci.toml").write_text(TOML)
    (folder / "web/Dockerfile").write_text("FROM python:3.13\n")

    def make(name="local", **parts):
        return Environment.open(
            name,
            root=folder,
            variables={"HOME": str(tmp_path / "home")},
            reporter=RecordingReporter(),
            runner=Runner(environment={}, log=started.append),
            parts=Parts(**parts),
        )

    return make


class Connection:
    """What a cluster is reached by."""

    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


def make_cluster():
    http = Connection()
    return http, Cluster(http, address="https://c.example", namespace="shop", hint="")


def test_nothing_is_started_or_asked_in_place_of_what_was_handed_in(open_with, started, tmp_path):
    registry, builder, scanner = MemoryRegistry(), object(), object()
    runner = object()
    given = {"registry": registry, "builder": builder, "scanner": scanner, "image_runner": runner}
    _, cluster = make_cluster()
    with open_with(**given, cluster=cluster) as env:
        found = env.prepare(cluster=True)
        assert found == env.endpoints
        assert (found.registry, found.embedded) == (registry.host, False)
        assert (env.registry, env.builder) == (registry, builder)
        assert env.scanner == HandedScanner(scanner)
        assert env.validation_engine() is runner
        assert env.cluster().address == "https://c.example"
    assert started == []
    assert not (tmp_path / "home").exists()


def test_a_plan_is_made_with_the_registries_that_were_handed_in(open_with):
    registry, hub = MemoryRegistry(), MemoryRegistry()
    push_sample(hub, "library/python", "3.13")
    with open_with("production", registry=registry, outside={"docker.io": hub}) as env:
        assert steps.plan(env).to_build == ("web",)
    assert hub.asked("resolve")


def test_what_was_handed_in_is_not_closed_with_the_environment(open_with):
    http, cluster = make_cluster()
    with open_with(cluster=cluster, registry=MemoryRegistry()) as env, env.cluster() as lent:
        assert lent is not cluster
        assert lent.halt is cluster.halt
    assert not http.closed
    cluster.close()
    assert http.closed


def test_a_part_is_its_siblings_too_unless_others_are_named_for_them(open_with):
    here, there, scanner = MemoryRegistry(), MemoryRegistry(), object()
    bases, more = MemoryRegistry(), MemoryRegistry()
    parts = Parts(registry=there, outside={"more.example": more})
    given = {"registry": here, "scanner": scanner, "outside": {"docker.io": bases}}
    with open_with(**given, at={"production": parts}) as env:
        assert env.looking.registry is here
        other = env.at("production")
        assert (other.registry, other.scanner) == (there, HandedScanner(scanner))
        assert other.resolver.client("more.example") is more
        assert other.resolver.client("registry-1.docker.io") is bases
        assert env.at("local") is env


def test_a_handed_in_signer_is_asked_each_question_once(open_with):
    asked = []
    proof = Proof(signer="mine", identity="us", claims={"a": "b"})
    signer = SimpleNamespace(name="mine", verify=lambda *each: asked.append(each) or (proof,))
    with open_with(signer=signer, registry=MemoryRegistry()) as env:
        assert env.signer.name == "mine"
        assert env.signer.verify("ref", {"a": "b"}) == env.signer.verify("ref", {})
    assert asked == [("ref", {"a": "b"})]


@pytest.mark.parametrize("name", aksci.parts.__all__)
def test_each_public_name_is_that_of_the_module_that_defines_it(name):
    found = getattr(aksci.parts, name)
    assert getattr(sys.modules[found.__module__], name) is found
    assert name in dir(aksci.parts)


def test_what_there_is_not_is_told_as_python_does():
    with pytest.raises(AttributeError, match=r"'aksci\.parts' has no attribute 'Nothing'"):
        aksci.parts.Nothing  # noqa: B018 - it raises


@pytest.mark.parametrize("kind", ["registry", "cluster", "target"])
def test_what_one_environment_has_of_its_own_is_no_other_s_unless_somebody_says_so(open_with, kind):
    part = MemoryRegistry() if kind == "registry" else object()
    with open_with(**{kind: part}) as env, pytest.raises(UsageError, match=f"^{kind}: handed in"):
        _ = env.at("production").own_parts
    other = MemoryRegistry() if kind == "registry" else object()
    with open_with(**{kind: part}, at={"production": Parts(**{kind: other})}) as env:
        assert getattr(env.at("production").own_parts, kind) is other
        assert getattr(env.looking.own_parts, kind) is part
