"""The kubernetes driver: BuildKit in a pod of the embedded cluster, from an image FROM scratch."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from aksci.core.errors import ConfigError

TOML = """\
[registry."docker.io"]
mirrors = ["{host}"]
[registry."{host}"]
ca = ["{authority}"]
"""
ENVIRONMENT = """\
registry = "{host}"
namespace = "x"
kubeconfig = "{kubeconfig}"
context = "aksci-local"
[environments.there.builder]
driver = "kubernetes"
config = "buildkitd.toml"
[environments.there.builder.options]
image = "{image}"
namespace = "{namespace}"
"requests.cpu" = "10m"
labels = "purpose=test,made-by=aksci"
"""


@pytest.fixture
def kubectl(platform, toolbox, runner):
    def call(*words):
        argv = [toolbox.ensure("kube"), "kubectl", "--kubeconfig", platform.kubeconfig, *words]
        return runner.run(argv, timeout=120).stdout

    return call


@pytest.fixture
def namespace(kubectl):
    name = f"engines-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def test_images_are_built_in_a_pod_and_pushed_by_digest(
    platform, kubectl, namespace, make_project, buildkit_image, cluster_registry
):
    environment = ENVIRONMENT.format(
        host=cluster_registry.host,
        kubeconfig=platform.kubeconfig,
        image=buildkit_image,
        namespace=namespace,
    )
    files = {
        "buildkitd.toml": TOML.format(
            host=cluster_registry.host, authority=cluster_registry.authority
        ),
        "base/Dockerfile": "FROM debian:bookworm-slim\nRUN hostname > /where\n",
        "app/Dockerfile": "FROM {p}/base\nRUN test -s /where && cp /where /again\n",
    }
    # Whatever the user's own current context is, it is not what the environment names.
    variables = {"KUBECONFIG": "/nowhere/kubeconfig"}
    projects = [
        make_project(
            files, environment, variables=variables, verify=str(cluster_registry.authority)
        )
        for _ in range(2)
    ]
    # As on two machines: each has a state of its own, and makes the same Deployment.
    engines = [project.builder() for project in projects]
    with ThreadPoolExecutor() as pool:
        built = list(pool.map(lambda one, engine: one.build(engine), projects, engines))
    for project, images in zip(projects, built, strict=True):
        ref = images["app"].ref
        told = json.loads(project.registry.manifest(ref.repository, ref.digest).content)
        base = told["annotations"]["org.opencontainers.image.base.digest"]
        assert base == images["base"].ref.digest
    found = json.loads(kubectl("get", "deployments", "-n", namespace, "-o", "json"))["items"]
    (deployment,) = found
    assert {engine.spec.node for engine in engines} == {deployment["metadata"]["name"]}
    assert deployment["metadata"]["labels"]["made-by"] == "aksci"
    assert deployment["status"]["readyReplicas"] == 1


def test_a_registry_on_loopback_is_refused_at_once(platform, make_project):
    environment = ENVIRONMENT.format(
        host="localhost:5000", kubeconfig=platform.kubeconfig, image="x", namespace="x"
    )
    project = make_project({"buildkitd.toml": ""}, environment)
    with pytest.raises(ConfigError, match="loopback, which no pod can reach"):
        project.builder()
