"""What is asked of Helm, and what is not. Helm is a program that answers as it is told to and
writes down how it was called; the API server is a small real one on loopback.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from aksci.config.deploy_models import EnvironmentConfig, ServiceConfig
from aksci.core.errors import ConfigError, DeployError, Interrupted, TrustError
from aksci.core.process import Runner
from aksci.deploy.deploy_release import _check_steps, deploy_release
from aksci.deploy.opened_release import OpenedRelease, OpenedService
from aksci.deploy.state.deploy_record import read_record
from aksci.deploy.targets.helm import Helm
from aksci.oci.references import ImageRef

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = ImageRef("localhost:5000", "shop/web", "sha256:" + "1" * 64)
RECORD = "/api/v1/namespaces/shop/configmaps/aksci-release"
SECRETS = "/api/v1/namespaces/shop/secrets"
CRON = "/apis/batch/v1/namespaces/shop/cronjobs/web"
HELM = """#!/bin/sh
echo "$@" >> {folder}/calls
env >> {folder}/environment
case "$1" in
  template|get) cat {folder}/rendered ;;
  upgrade) test ! -e {folder}/broken ;;
esac
"""


def cron(image):
    pod = {"spec": {"containers": [{"name": "main", "image": image}]}}
    spec = {"jobTemplate": {"spec": {"template": pod}}}
    return {"kind": "CronJob", "metadata": {"name": "web"}, "spec": spec}


def secret(number=1, desired="", status="deployed"):
    labels = {"owner": "helm", "name": "web", "version": str(number), "status": status}
    ours = {"aksci.dev/desired": desired, "aksci.dev/revision": str(number)}
    ours["aksci.dev/release"] = "x"
    return {"metadata": {"name": f"v{number}", "labels": {**labels, **ours}}}


@dataclass
class World:
    folder: Path
    api: object
    cluster: object
    hear: object = lambda _text: None
    variables: dict = field(default_factory=dict)

    def __post_init__(self):
        program = self.folder / "helm"
        program.write_text(HELM.format(folder=self.folder))
        program.chmod(0o755)
        (self.folder / "chart").mkdir()
        self.render(str(IMAGE))
        self.api.objects[CRON] = cron(str(IMAGE))

    def render(self, image):
        (self.folder / "rendered").write_text(json.dumps(cron(image)))

    def line(self, text):
        self.hear(text)

    warning = error = line

    @property
    def calls(self):
        return (self.folder / "calls").read_text().splitlines()

    @property
    def verbs(self):
        return [each.split()[0] for each in self.calls]

    def deploy(self, *, rollback=False, **service):
        environment = {**os.environ, **self.variables}
        helm = Helm(
            program=self.folder / "helm",
            runner=Runner(environment=environment, log=lambda _: None),
            kubeconfig=self.folder / "kubeconfig",
            context=None,
            namespace="shop",
        )
        web = OpenedService(name="web", chart=self.folder / "chart", images={"image": IMAGE})
        return deploy_release(
            OpenedRelease(reference=f"r/x@{IMAGE.digest}", services={"web": web}),
            {"web": ServiceConfig.model_validate({"chart": "chart", **service}, strict=False)},
            "test",
            EnvironmentConfig(registry="localhost:5000", namespace="shop", values=()),
            root=self.folder,
            cluster=self.cluster,
            target=helm,
            reporter=self,
            now=lambda: datetime.now(UTC),
            run_id="run-1",
            rollback=rollback,
        )

    def deployed(self):
        """Deploy, and leave behind what Helm would have."""
        self.deploy()
        desired = read_record(self.cluster).services["web"].desired
        self.api.objects[f"{SECRETS}/v1"] = secret(desired=desired)
        (self.folder / "calls").unlink()


@pytest.fixture
def world(tmp_path, api, cluster):
    return World(tmp_path, api, cluster)


def test_a_chart_with_a_foreign_image_is_refused_before_anything_is_touched(world):
    world.render("nginx:1")
    with pytest.raises(TrustError, match=r"web: .*(?s:.*)CronJob/web, container 'main': nginx:1"):
        world.deploy()
    assert world.verbs == ["template"]
    assert RECORD not in world.api.objects


def test_the_images_that_helm_applied_are_remembered_and_a_foreign_one_is_forced_back(world):
    world.deployed()
    assert read_record(world.cluster).services["web"].images == {
        "CronJob/web": {"main": str(IMAGE)}
    }
    assert not world.deploy().changed

    world.api.objects[CRON] = cron("nginx:1")
    result = world.deploy()

    assert [each["code"] for each in result.plan.services[0].reasons] == ["DRIFT"]
    (upgrade,) = [each for each in world.calls if each.startswith("upgrade")]
    assert "--force-conflicts" in upgrade


def test_a_record_of_an_earlier_version_tells_of_no_drift(world):
    world.deployed()
    stored = world.api.objects[RECORD]["data"]
    record = json.loads(stored["record.json"])
    del record["services"]["web"]["images"], record["rollback"], record["history"][0]["rollback"]
    record["services"]["web"]["of a later version"] = 1
    stored["record.json"] = json.dumps(record)
    world.api.objects[CRON] = cron("nginx:1")
    assert not world.deploy().changed


def test_helm_gets_none_of_its_own_variables_and_always_the_locked_context(world):
    world.variables = {"HELM_KUBECONTEXT": "other", "HELM_NAMESPACE": "other", "OTHER": "kept"}
    world.deploy()
    environment = (world.folder / "environment").read_text().splitlines()
    plugins = {each for each in environment if each.startswith("HELM_PLUGINS=")}
    assert {each for each in environment if each.startswith("HELM_")} - plugins == {
        "HELM_DRIVER=secret"
    }
    assert "OTHER=kept" in environment
    bound = [each for each in world.calls if not each.startswith("template")]
    assert bound
    assert all("--kube-context here" in each for each in bound)


def test_ctrl_c_during_helm_s_upgrade_undoes_nothing(world):
    """Helm fails because we stop it; what it had begun is taken up by the next run."""
    (world.folder / "broken").touch()

    def hear(text):
        if "(revision 1)" in text:
            world.api.objects[f"{SECRETS}/v1"] = secret(status="pending-install")
            world.cluster.halt.set()

    world.hear = hear
    with pytest.raises(Interrupted):
        world.deploy()
    assert world.verbs == ["template", "upgrade"]


def test_ctrl_c_during_a_rollout_that_fails_undoes_nothing(world):
    def hear(text):
        if "failed: " in text:
            world.cluster.halt.set()

    world.hear = hear
    del world.api.objects[CRON]
    with pytest.raises(Interrupted):
        world.deploy(timeout=1)
    assert not {"rollback", "uninstall"} & set(world.verbs)


STEP = {"name": "migrate", "kind": "job", "image": "gone", "command": ["x"]}


def test_a_rollback_asks_for_no_image_of_pre_steps_which_it_does_not_run(world):
    assert world.deploy(rollback=True, pre=[STEP]).changed
    with pytest.raises(ConfigError, match="runs the image 'gone'"):
        world.deploy(pre=[STEP])


def test_a_service_that_is_left_alone_needs_no_image_for_its_steps(world):
    plan = world.deploy(rollback=True, pre=[STEP]).plan
    service = replace(plan.services[0], pre_steps=True)
    with pytest.raises(ConfigError, match="runs the image 'gone'"):
        _check_steps(replace(plan, services=(service,)))
    _check_steps(replace(plan, services=(replace(service, action="skip"),)))


def test_a_rollback_that_has_not_ended_well_is_known_as_one(world):
    (world.folder / "broken").touch()
    with pytest.raises(DeployError, match="Helm could not apply it"):
        world.deploy(rollback=True)
    record = read_record(world.cluster)
    assert (record.attempt, record.rollback) == (f"r/x@{IMAGE.digest}", True)
