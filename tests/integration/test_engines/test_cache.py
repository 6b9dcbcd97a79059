"""The layer cache in the registry: a BuildKit that has built nothing starts from it."""

from __future__ import annotations

import json

from aksci.config.models import CacheConfig

DOCKERFILE = """\
FROM debian:bookworm-slim AS build
RUN head -c 8 /dev/urandom > /out
FROM debian:bookworm-slim
COPY --from=build /out /out
"""


def test_a_fresh_buildkit_takes_the_layers_of_another(platform, make_project, buildkits):
    """The step gives other bytes each time it runs: the same digest proves that it did not."""
    first, second = buildkits
    environment = (
        f'registry = "{platform.registry}"\nplain_http = true\nnamespace = "x"\n'
        f'[environments.there.builder]\ndriver = "remote"\nendpoints = ["{first}"]'
    )
    project = make_project({"web/Dockerfile": DOCKERFILE}, environment)
    cache = CacheConfig(type="registry")
    built = project.build(project.builder(), cache=cache)["web"]
    (project.root / "web/Dockerfile").write_text(DOCKERFILE + "ENV X=1\n")
    elsewhere = make_project({}, environment.replace(first, second)).builder()
    again = project.build(elsewhere, cache=cache)["web"]
    assert again.action == "built"
    layers = [_layers(project, image) for image in (built, again)]
    assert layers[0] == layers[1]


def _layers(project, image):
    manifest = project.registry.manifest(image.ref.repository, image.ref.digest)
    return [layer["digest"] for layer in json.loads(manifest.content)["layers"]]
