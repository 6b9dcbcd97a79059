"""Dependents in another project's repositories, in a real registry of their own."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from aksci.cascade.dependents.ask_memory import AskMemory, asked_lately, asking_key
from aksci.cascade.dependents.find_dependents import find_dependents
from aksci.cascade.dependents.image_records import LineageCache
from aksci.images.lineage import Lineage, write_lineage
from aksci.oci.artifact import push_image
from aksci.oci.client import RegistryClient

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CONFIG = {"architecture": "amd64", "os": "linux"}


@pytest.fixture(scope="module")
def host(toolbox, tmp_path_factory):
    """A registry with nothing in it but what these tests put there: all of it is looked at.

    It lists three repositories at a time at most.
    """
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "catalog": {"maxentries": 3},
        "http": {"addr": address, "relativeurls": True, "secret": "test"},
    }
    (folder / "config.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        argv = [toolbox.ensure("registry"), "serve", folder / "config.json"]
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not listens(address):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((folder / "log").read_text())
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def listens(address):
    name, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((name, int(port))) == 0


class Counting:
    """A client that counts what it is asked for."""

    def __init__(self, client):
        self._client = client
        self.host = client.host
        self.asked = Counter()

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def counted(*arguments, **options):
            self.asked[name] += 1
            return method(*arguments, **options)

        return counted


@pytest.fixture
def registry(host):
    client = RegistryClient(host, plain_http=True)
    yield client
    client.close()


@pytest.fixture
def projects(registry, host):
    """Two projects: ``shop`` has a base image, ``pay`` builds on it and on itself."""
    mark = secrets.token_hex(4)
    base, api, job = f"shop-{mark}/base", f"pay-{mark}/api", f"pay-{mark}/job"

    def push(repository, tag, **parents):
        labels = {"salt": secrets.token_hex(4)}
        config = {**CONFIG, "config": {"Labels": labels}}
        ref = push_image(registry, repository, tag, layers=[], config=config)
        if parents:
            lineage = Lineage(
                image=repository, key_schema=1, input_key="k", source={}, revision="",
                parents=parents["on"], edges={name: {"type": "runtime"} for name in parents["on"]},
            )  # fmt: skip
            write_lineage(registry, ref, lineage, provenance=None, now=NOW)
        return ref

    old = push(base, "1")
    first = push(api, "1", on={f"{host}/{base}:1": old.digest})
    second = push(job, "1", on={f"docker.io/{api}:1": first.digest})
    for number in range(4):
        push(f"pay-{mark}/other{number}", "1", on={"docker.io/library/debian:12": old.digest})
    new = push(base, "1")
    return SimpleNamespace(base=base, old=old, new=new, api=first, job=second, mark=mark)


def test_what_another_project_builds_on_a_base_is_found_and_then_known(
    registry, projects, tmp_path
):
    def find():
        counting = Counting(registry)
        survey = find_dependents(
            counting,
            moved={f"docker.io/{projects.base}:1": projects.new.digest},
            own=[projects.base],
            cache=LineageCache(tmp_path / "cache"),
        )
        return survey, counting.asked

    survey, asked = find()
    assert survey.problems == ()
    assert [one.ref for one in survey.found] == [projects.api, projects.job]
    api, job = survey.found
    assert (api.recorded, api.current) == (projects.old.digest, projects.new.digest)
    assert (api.parents, job.parents) == ((), (projects.api,))
    again, fewer = find()
    assert again == survey
    assert fewer["tags"] == asked["tags"] == 6
    assert fewer["manifest"] + fewer["blob"] < (asked["manifest"] + asked["blob"]) / 2
    assert fewer.total() < asked.total()


def test_all_pages_of_the_real_list_of_repositories_are_read(registry, projects):
    listed = registry.repositories()
    assert {projects.base, projects.api.repository, projects.job.repository} <= set(listed)
    assert len([name for name in listed if projects.mark in name]) == 7


def test_who_was_asked_is_known_to_another_runner(registry, projects, host):
    key = asking_key("github:pay/api", {f"docker.io/{projects.base}:1": projects.new.digest})
    repository = f"shop-{projects.mark}/cascade"
    AskMemory(registry, repository).remember(key, now=NOW, detail={"target": "github:pay/api"})
    other = RegistryClient(host, plain_http=True)
    moment = AskMemory(other, repository).when(key)
    other.close()
    assert asked_lately(moment, now=NOW + timedelta(hours=23), hours=24)
    assert not asked_lately(moment, now=NOW + timedelta(hours=24), hours=24)
