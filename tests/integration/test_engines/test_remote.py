"""Several remote BuildKits at once: the graph is spread, and goes on when one is lost."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

from aksci.errors import BuildError, EngineError

BASE = "FROM debian:bookworm-slim\nRUN sleep 1; head -c 8 /dev/urandom | od -An -tx1 > /{one}\n"
LEAF = "FROM {p}/left AS left\nFROM {p}/right\nCOPY --from=left /left /left\nRUN cat /left /right\n"
REMOTE = """\
registry = "{registry}"
plain_http = true
namespace = "x"
[environments.there.builder]
driver = "remote"
endpoints = [{endpoints}]
"""


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def remote(platform, *endpoints):
    words = ", ".join(f'"{endpoint}"' for endpoint in endpoints)
    return REMOTE.format(registry=platform.registry, endpoints=words)


def annotations(project, image):
    manifest = project.registry.manifest(image.ref.repository, image.ref.digest).content
    return json.loads(manifest)["annotations"]


def test_a_graph_is_spread_over_two_buildkits_and_parents_are_pinned_across(
    platform, start_buildkit, make_project, watch
):
    first, second = free_address(), f"unix://{start_buildkit.folder}/second.sock"
    start_buildkit(first)
    start_buildkit(second)
    files = {
        "left/Dockerfile": BASE.format(one="left"),
        "right/Dockerfile": BASE.format(one="right"),
        "leaf/Dockerfile": LEAF,
        "leaf2/Dockerfile": LEAF + "RUN true\n",
    }
    project = make_project(files, remote(platform, first, second))
    pool = project.builder()
    given = watch(pool)
    images = project.build(pool, concurrency=2)
    engine = {request.name: name for name, request in given}
    assert len(given) == 4
    assert {engine["left"], engine["right"]} == {first, second}, "the base images, side by side"
    assert {engine["leaf"], engine["leaf2"]} == {first, second}, "so one parent was elsewhere"
    for leaf in ("leaf", "leaf2"):
        told = annotations(project, images[leaf])
        assert told["org.opencontainers.image.base.digest"] == images["right"].ref.digest
        parents = next(request.parents for _, request in given if request.name == leaf)
        expected = {str(images[parent].ref) for parent in ("left", "right")}
        assert expected == set(parents.values())
    again = project.builder()
    assert watch(again) == []
    assert {one.action for one in project.build(again).values()} == {"reused"}


def test_a_buildkit_that_is_killed_in_a_build_costs_no_image(
    platform, start_buildkit, make_project, watch
):
    first, second = free_address(), free_address()
    daemons = {first: start_buildkit(first), second: start_buildkit(second)}
    names = ("one", "two", "three", "four")
    slow = "FROM debian:bookworm-slim\nRUN sleep 3; echo {name} > /name\n"
    files = {f"{name}/Dockerfile": slow.format(name=name) for name in names}
    project = make_project(files, remote(platform, first, second))
    pool = project.builder()
    given = watch(pool)

    def kill():
        while len(given) < 2:
            time.sleep(0.05)
        time.sleep(1.5)
        daemons[second].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    images = project.build(pool, concurrency=2)
    killer.join()
    assert {one.action for one in images.values()} == {"built"}
    lost = [request.name for engine, request in given if engine == second]
    assert len(lost) == 1
    assert (first, lost[0]) in [(engine, request.name) for engine, request in given], "it was built by the other one"
    assert project.said.getvalue().count(f"Going on without {second}") == 1


def test_an_image_that_does_not_build_is_tried_once_and_on_one_engine(
    platform, start_buildkit, make_project, watch
):
    first, second = free_address(), free_address()
    start_buildkit(first)
    start_buildkit(second)
    files = {"bad/Dockerfile": "FROM debian:bookworm-slim\nRUN echo no; exit 3\n"}
    project = make_project(files, remote(platform, first, second))
    pool = project.builder()
    given = watch(pool)
    with pytest.raises(BuildError, match="exit code: 3") as caught:
        project.build(pool)
    assert not isinstance(caught.value, EngineError)
    assert len(given) == 1


def test_where_no_engine_answers_the_error_names_each_within_seconds(platform, make_project):
    first, second = free_address(), "unix:///nowhere/buildkitd.sock"
    project = make_project({"a/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"},
                           remote(platform, first, second))  # fmt: skip
    started = time.monotonic()
    with pytest.raises(EngineError) as caught:
        project.build(project.builder())
    assert time.monotonic() - started < 5
    assert f"BuildKit does not answer at {first}: Connection refused." in caught.value.message
    assert f"at {second}: No such file or directory." in caught.value.message
    assert "endpoints" in caught.value.hint
