"""Several remote BuildKits at once: the graph is spread, and goes on when one is lost."""

from __future__ import annotations

import json
import threading
import time

import pytest

from aksci.core.errors import BuildError, EngineError

BASE = "FROM debian:bookworm-slim\nRUN sleep 1; head -c 8 /dev/urandom | od -An -tx1 > /{one}\n"
LEAF = (
    "FROM {p}/left AS left\nFROM {p}/right\nCOPY --from=left /left /left\n"
    "RUN sleep 1; cat /left /right\n"
)
REMOTE = """\
registry = "{registry}"
plain_http = true
namespace = "x"
[environments.there.builder]
driver = "remote"
endpoints = [{endpoints}]
"""


def remote(platform, *endpoints):
    words = ", ".join(f'"{endpoint}"' for endpoint in endpoints)
    return REMOTE.format(registry=platform.registry, endpoints=words)


def annotations(project, image):
    manifest = project.registry.manifest(image.ref.repository, image.ref.digest).content
    return json.loads(manifest)["annotations"]


def test_a_graph_is_spread_over_two_buildkits_and_parents_are_pinned_across(
    platform, buildkits, make_project, watch
):
    first, second = buildkits
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
    platform, buildkits, mortal_buildkit, make_project, watch
):
    first, second = buildkits[0], mortal_buildkit.address
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
        mortal_buildkit.process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    images = project.build(pool, concurrency=2)
    killer.join()
    assert {one.action for one in images.values()} == {"built"}
    lost = [request.name for engine, request in given if engine == second]
    assert len(lost) == 1
    assert (first, lost[0]) in [(engine, request.name) for engine, request in given], (
        "it was built by the other one"
    )
    assert project.said.getvalue().count(f"Going on without {second}") == 1


def test_an_image_that_does_not_build_is_tried_once_and_on_one_engine(
    platform, buildkits, make_project, watch
):
    files = {"bad/Dockerfile": "FROM debian:bookworm-slim\nRUN echo no; exit 3\n"}
    project = make_project(files, remote(platform, *buildkits))
    pool = project.builder()
    given = watch(pool)
    with pytest.raises(BuildError, match="exit code: 3") as caught:
        project.build(pool)
    assert not isinstance(caught.value, EngineError)
    assert len(given) == 1


def test_where_no_engine_answers_the_error_names_each_within_seconds(
    platform, nowhere, make_project
):
    first, second = nowhere, "unix:///nowhere/buildkitd.sock"
    project = make_project({"a/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"},
                           remote(platform, first, second))  # fmt: skip
    started = time.monotonic()
    with pytest.raises(EngineError) as caught:
        project.build(project.builder())
    assert time.monotonic() - started < 5
    assert f"BuildKit does not answer at {first}: Connection refused." in caught.value.message
    assert f"at {second}: No such file or directory." in caught.value.message
    assert "endpoints" in caught.value.hint


@pytest.fixture
def own_builders(toolbox, runner, tmp_path):
    """Make a user's own builder; return the variables that lead buildx to it."""

    def make(name, endpoint):
        variables = {"BUILDX_CONFIG": str(tmp_path / "users")}
        create = ["create", "--name", name, "--driver", "remote", endpoint]
        runner.run([toolbox.ensure("buildx"), *create], env=variables)
        return variables

    return make


def named(platform, builder):
    where = f'registry = "{platform.registry}"\nplain_http = true\nnamespace = "x"\n'
    return f'{where}builder = "{builder}"'


def test_a_users_own_builder_is_used_as_it_is(platform, buildkits, make_project, own_builders):
    files = {"a/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}
    variables = own_builders("mine", buildkits[0])
    project = make_project(files, named(platform, "mine"), variables=variables)
    images = project.build(project.builder())
    assert images["a"].action == "built"
    assert not (project.env.state / "buildx").exists(), "nothing of ours was made"


def test_a_users_own_builder_that_is_dead_or_unknown_is_told_within_seconds(
    platform, nowhere, make_project, own_builders
):
    variables = own_builders("mine", nowhere)
    for name, words in (("mine", f"nobody answers at {nowhere}"), ("yours", "There is no buildx")):
        project = make_project({}, named(platform, name), variables=variables)
        started = time.monotonic()
        with pytest.raises(EngineError, match=words):
            project.builder()
        assert time.monotonic() - started < 8
