"""The container's files say the same as the code, and the session reads what they mount."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from aksci.cascade.receiver.start_cascades import CascadeHere, CascadeThere
from aksci.cascade.receiver.webhook_events import Push
from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.core.process import Runner
from aksci.environment import Environment
from aksci.steps.receive_step import _push_filter, _secret, _start

FOLDER = Path(__file__).parents[4] / "receiver"
DIGEST = "sha256:" + "a" * 64
SECRET = "a-made-up-secret-of-32-characters"
RULES = """\
schema = 1
[project]
name = "shop"
[images.web]
dockerfile = "Dockerfile"
[cascade]
edges = { syntax = "ignore" }
[[cascade.bases]]
base = "python"
tags = "3.12.x"
[[cascade.bases]]
base = "held"
update = "batch"
[environments.staging]
registry = "shop.azurecr.io"
namespace = "shop"
"""
DOCKERFILE = """\
# syntax=docker/dockerfile:1
FROM python:3.12 AS build
FROM held:1 AS held
FROM shop.azurecr.io/bases/os:1
COPY --from=build /a /b
COPY --from=held /a /c
COPY --from=shop/web:latest /d /d
COPY --from=pinned@{digest} /e /e
"""


def parts(kind):
    return [
        each
        for each in yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
        if each["kind"] == kind
    ]


def environment(folder, log, variables, name):
    config = load_config(folder / "aksci.toml")
    return Environment(
        root=folder,
        config=config,
        name=name,
        settings=config.environments[name],
        variables=variables,
        now=lambda: datetime.now(UTC),
        runner=Runner(environment={}, log=log.line),
        reporter=log,
        cache=folder,
        state=folder,
        run_id="r",
    )


@pytest.fixture
def deployed(tmp_path, log):
    """The environment that the manifests give the session."""
    (config_map,), (deployment,) = parts("ConfigMap"), parts("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (tmp_path / "aksci.toml").write_text(config_map["data"]["aksci.toml"])
    log.mask = lambda _value: None
    variables = {each["name"]: SECRET for each in container["env"]}
    return environment(tmp_path, log, variables, container["args"][-1])


def pushed(name, host="shop.azurecr.io"):
    repository, _, tag = name.partition(":")
    at = datetime.now(UTC)
    return Push(
        source="acr",
        id="1",
        at=at,
        host=host,
        repository=repository,
        tag=tag,
        digest=DIGEST,
    )


def test_the_manifests_configuration_needs_no_checkout(deployed):
    assert isinstance(_start(deployed), CascadeThere)
    assert _secret(deployed).reveal() == SECRET
    wanted = _push_filter(deployed)
    assert wanted.changed(pushed("bases/python:3.12"))
    assert not wanted.changed(pushed("shop/web:latest"))


def test_image_and_manifests_agree_on_user_port_and_volume(deployed):
    dockerfile = (FOLDER / "Dockerfile").read_text()
    (deployment,) = parts("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    user = pod["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}\n" in dockerfile
    port = deployed.config.cascade.receiver.listen.rpartition(":")[2]
    assert f"EXPOSE {port}\n" in dockerfile
    assert f"127.0.0.1:{port}/healthz" in dockerfile
    assert container["ports"][0]["containerPort"] == int(port)
    (volume,) = re.findall(r"^VOLUME (\S+)$", dockerfile, re.MULTILINE)
    assert volume in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


@pytest.fixture
def project(tmp_path, log):
    (tmp_path / "aksci.toml").write_text(RULES)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(digest=DIGEST))
    log.mask = lambda _value: None
    return lambda **variables: environment(tmp_path, log, variables, "staging")


def test_what_a_cascade_would_leave_starts_none(project):
    wanted = _push_filter(project())
    assert wanted.bases == {"docker.io/library/python:3.12", "shop.azurecr.io/bases/os:1"}
    assert wanted.ranges == {"docker.io/library/python": ("docker.io/library/python:3.12",)}
    assert wanted.own == {"shop/web"}


def test_without_a_target_the_cascade_is_a_program_that_does_not_see_the_secret(project):
    start = _start(project(AKSCI_WEBHOOK_SECRET=SECRET, AKSCI_RUN_ID="r-1", PATH="/bin"))
    assert isinstance(start, CascadeHere)
    assert start.variables == {"PATH": "/bin"}


@pytest.mark.parametrize("value", ["", "fifteen-letters", "sixteen letters or more", "ü" * 16])
def test_a_secret_that_is_none_is_refused_and_not_shown(project, value):
    with pytest.raises(ConfigError, match="AKSCI_WEBHOOK_SECRET") as caught:
        _secret(project(AKSCI_WEBHOOK_SECRET=value))
    assert not value or value not in str(caught.value)
