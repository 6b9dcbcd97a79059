"""A tiny real service, its chart, and a namespace of its own for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aksci.config.deploy_models import EnvironmentConfig, ServiceConfig
from aksci.core.process import Runner
from aksci.deploy.deploy_plan import plan_deploy, read_state
from aksci.deploy.deploy_release import deploy_release
from aksci.deploy.kubernetes.cluster import connect
from aksci.deploy.opened_release import OpenedRelease, OpenedService
from aksci.deploy.targets.helm import Helm
from aksci.oci.artifact import push_image
from aksci.oci.client import RegistryClient
from aksci.testing.reporter import RecordingReporter

if TYPE_CHECKING:
    from aksci.oci.references import ImageRef

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def image(platform, toolbox, tmp_path_factory):
    """The tests' service, FROM scratch and not root."""
    folder = tmp_path_factory.mktemp("image")
    shutil.copy(HERE / "main.go", folder)
    (folder / "go.mod").write_text("module tiny\n\ngo 1.24\n")
    environment = {**os.environ, "CGO_ENABLED": "0"}
    build = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", "tiny", "."]
    subprocess.run(build, cwd=folder, env=environment, check=True)
    with tarfile.open(folder / "layer.tar", "w") as archive:
        info = archive.gettarinfo(folder / "tiny", "tiny")
        info.mtime, info.mode = 0, 0o755
        with (folder / "tiny").open("rb") as content:
            archive.addfile(info, content)
    machine = {"architecture": "amd64", "os": "linux"}
    config = {**machine, "config": {"Entrypoint": ["/tiny"], "User": "65532:65532"}}
    client = RegistryClient(platform.registry, plain_http=True)
    try:
        return push_image(
            client, "aksci-tests/tiny", "1", layers=[folder / "layer.tar"], config=config
        )
    finally:
        client.close()


@dataclass
class World:
    """One namespace, with the ways to deploy into it and to look at it."""

    root: Path
    namespace: str
    kubeconfig: Path
    helm_program: Path
    runner: object
    image: ImageRef
    cluster: object
    reporter: RecordingReporter = field(default_factory=RecordingReporter)
    release_number: int = 0

    @property
    def helm(self):
        # Each run has a runner of its own: Ctrl-C stops one for good.
        runner = Runner(environment=self.runner.environment, log=self.runner.log)
        return Helm(
            program=self.helm_program,
            runner=runner,
            kubeconfig=self.kubeconfig,
            context=None,
            namespace=self.namespace,
        )

    @property
    def environment(self):
        return EnvironmentConfig(
            registry="localhost:5000", namespace=self.namespace, values=("{service}.yaml",)
        )

    def values(self, service="web", **values):
        lines = [f"{key}: {value!r}\n".replace("'", '"') for key, value in values.items()]
        (self.root / f"{service}.yaml").write_text("".join(lines))

    def release(self, *names, image=None, number=None):
        self.release_number = number or self.release_number + 1
        services = {
            name: OpenedService(
                name=name, chart=HERE / "chart", images={"image": image or self.image}
            )
            for name in names or ("web",)
        }
        return OpenedRelease(
            reference=f"localhost:5000/t/release@sha256:{self.release_number:064x}",
            services=services,
            images={"tiny": self.image},
        )

    @staticmethod
    def configured(services):
        return {
            name: ServiceConfig.model_validate(
                {"chart": "chart", "timeout": 60, **each}, strict=False
            )
            for name, each in (services or {"web": {}}).items()
        }

    def plan(self, release, **services):
        config, state = self.configured(services), read_state(self.cluster)
        return plan_deploy(release, config, "test", self.environment, state, root=self.root)

    def deploy(self, release=None, run_id="run-1", *, rollback=False, planned=None, **services):
        config = self.configured(services)
        return deploy_release(
            release or self.release(*config),
            config,
            "test",
            self.environment,
            root=self.root,
            cluster=self.cluster,
            target=self.helm,
            reporter=self.reporter,
            now=lambda: datetime.now(UTC),
            run_id=run_id,
            rollback=rollback,
            planned=planned,
        )

    def run_helm(self, *words):
        where = ["--namespace", self.namespace, "--kubeconfig", str(self.kubeconfig)]
        return self.runner.run([self.helm_program, *words, *where]).stdout

    @staticmethod
    def job(name, **env):
        """Return a step that runs the tiny image."""
        return {
            "name": name,
            "kind": "job",
            "image": "tiny",
            "command": ["/tiny"],
            "env": {"MODE": "job", **{key: str(value) for key, value in env.items()}},
        }

    def ask(self, service="web"):
        return self.cluster.ask_service(service, 80, "/", timeout=10)[1].strip()


@pytest.fixture
def world(platform, toolbox, runner, image, tmp_path):
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    kubeconfig = platform.kubeconfig
    with connect(kubeconfig, None, namespace, create_namespace=True) as cluster:
        world = World(
            root=tmp_path,
            namespace=namespace,
            kubeconfig=kubeconfig,
            helm_program=toolbox.ensure("helm"),
            runner=runner,
            image=image,
            cluster=cluster,
        )
        world.values()
        yield world
        cluster.halt.clear()
        cluster._send("DELETE", f"/api/v1/namespaces/{namespace}")
