"""The docker-container driver: BuildKit in a container of a real Docker Engine."""

from __future__ import annotations

import pytest

from aksci.core.errors import ConfigError, EngineError

ENVIRONMENT = """\
registry = "{registry}"
plain_http = true
namespace = "x"
[environments.there.builder]
driver = "docker-container"
config = "buildkitd.toml"
options = {{ image = "{image}" }}
"""
FILES = {
    "buildkitd.toml": '[registry."docker.io"]\nmirrors = ["localhost:5000"]\n',
    "base/Dockerfile": "FROM debian:bookworm-slim\nRUN echo here > /where\n",
    "app/Dockerfile": "FROM {p}/base\nRUN cp /where /again\n",
}


def test_images_are_built_in_a_container_and_pushed_by_digest(
    platform, docker_engine, make_project, buildkit_image
):
    environment = ENVIRONMENT.format(registry=platform.registry, image=buildkit_image)
    project = make_project(FILES, environment, variables={"DOCKER_HOST": docker_engine.address})
    engine = project.builder()
    images = project.build(engine)
    assert {one.action for one in images.values()} == {"built"}
    client = docker_engine.client()
    try:
        (container,) = client.containers.list()
        assert container.name == f"buildx_buildkit_{engine.spec.node}"
        assert container.attrs["HostConfig"]["NetworkMode"] == "host", "so it reaches loopback"
    finally:
        container.remove(force=True, v=True)
        client.close()


def test_an_engine_that_does_not_run_is_told_at_once(platform, make_project, tmp_path):
    environment = ENVIRONMENT.format(registry=platform.registry, image="x")
    variables = {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    project = make_project(FILES, environment, variables=variables)
    with pytest.raises(EngineError, match=r"nobody\.sock") as caught:
        project.build(project.builder())
    assert "docker version" in caught.value.hint


def test_what_only_other_engines_can_do_is_refused_by_the_engines_own_buildkit(
    platform, docker_engine, make_project
):
    environment = f'registry = "{platform.registry}"\nplain_http = true\nnamespace = "x"\n'
    cache = '[build.cache]\ntype = "registry"\n'
    variables = {"DOCKER_HOST": docker_engine.address}
    project = make_project(FILES, environment + cache, variables=variables)
    with pytest.raises(ConfigError, match=r"classic image store: \[build.cache\]"):
        project.builder()
