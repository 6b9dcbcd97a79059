"""A project of three images, and the means to build it."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from aksci.ci.console import ConsoleReporter
from aksci.config.loader import load_config
from aksci.core.process import Runner
from aksci.images.bases import RegistryBases
from aksci.images.build.build_images import BuildSettings, build_images
from aksci.images.build.build_record import Build
from aksci.images.build.build_secrets import load_secrets, load_ssh
from aksci.images.build.stable_tags import publish_tags
from aksci.images.build_plan import plan_build
from aksci.images.engines.buildx import BuildxBuilder
from aksci.images.engines.buildx_builders import BuilderSpec, BuilderStore
from aksci.images.graph import build_graph
from aksci.images.selection import select
from aksci.oci.client import RegistryClient

BASE = "FROM debian:bookworm-slim\nCOPY hello.txt /hello.txt\n"
APP = (
    "FROM {p}/base AS build\nRUN cp /hello.txt /out\n"
    "FROM {p}/base:latest\nCOPY --from=build /out /out\nCOPY --from={p}/tool /tool /tool\n"
)


class Lines(ConsoleReporter):
    """A reporter that remembers."""

    def __init__(self):
        super().__init__(io.StringIO())
        self.lines = []

    def line(self, text):
        self.lines.append(text)

    @property
    def text(self):
        """What was printed in any other way."""
        return self._stream.getvalue()


@pytest.fixture
def shop(platform, toolbox, runner, tmp_path):
    """A project of three images with a name of its own, and the means to build it."""
    name = f"t{secrets.token_hex(4)}"
    document = (
        f'schema = 1\n[project]\nname = "{name}"\n[discover]\ndockerfiles = ["*/Dockerfile"]\n'
    )
    files = {
        "base/Dockerfile": BASE,
        "base/hello.txt": secrets.token_hex(8),
        "base/.dockerignore": "Dockerfile\n.dockerignore",
        "tool/Dockerfile": "FROM scratch\nCOPY tool /tool",
        "tool/tool": "tool",
        "app/Dockerfile": APP.format(p=name),
        "aksci.toml": document,
    }
    root = tmp_path / "project"
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    registry = RegistryClient(platform.registry, plain_http=True)
    resolver = RegistryBases(mirror=registry, connect=RegistryClient)
    reporter = Lines()

    def builder(endpoint=platform.buildkit):
        return BuildxBuilder(
            store=BuilderStore(
                buildx=toolbox.ensure("buildx"),
                # Each run has a runner of its own: Ctrl-C stops one for good.
                runner=Runner(environment=runner.environment, log=runner.log),
                folder=tmp_path / "buildx",
                hint="nox -s up",
            ),
            spec=BuilderSpec(name="test", driver="remote", endpoint=endpoint),
        )

    def build(*, endpoint=platform.buildkit, **options):
        config = load_config(root / "aksci.toml")
        options.setdefault("variables", {"TOKEN": "hunter2hunter2"})
        variables = options.pop("variables")
        found = load_secrets(config, root=root, variables=variables)
        graph = build_graph(root, config)
        return build_images(
            graph,
            selected=select(graph, options.pop("only", ())),
            registry=registry,
            builder=builder(endpoint),
            bases=options.pop("bases", resolver),
            settings=BuildSettings(
                secrets=found,
                ssh=load_ssh(config, root=root, variables=variables),
                cache=config.build.cache,
                revision="abc",
                timeout=120,
            ),
            reporter=reporter,
            now=lambda: datetime.now(UTC),
            **options,
        ).require()

    def plan(**options):
        graph = build_graph(root, load_config(root / "aksci.toml"))
        resolve = options.pop("bases", resolver)
        return plan_build(graph, registry=registry, bases=resolve, **options)

    def record(images):
        return Build(run_id="1", commit="abc", environment="local", images=images)

    def tags(image):
        url = f"http://{platform.registry}/v2/{name}/{image}/tags/list"
        with contextlib.suppress(HTTPError), urlopen(url) as answer:
            return json.load(answer)["tags"] or []
        return []

    def configure(toml):
        (root / "aksci.toml").write_text(document + toml)

    yield SimpleNamespace(
        name=name,
        tags=tags,
        configure=configure,
        root=root,
        registry=registry,
        reporter=reporter,
        build=build,
        plan=plan,
        publish=lambda images: publish_tags(record(images), registry),
    )
    registry.close()
