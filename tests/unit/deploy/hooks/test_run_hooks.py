"""The Job of a step, as data."""

from __future__ import annotations

import pytest

from aksci.config.deploy_models import JobStep
from aksci.deploy.hooks.run_hooks import job_manifest
from aksci.oci.references import ImageRef

IMAGE = ImageRef("localhost:5000", "shop/catalog", "sha256:" + "a" * 64)


def manifest(release="one", image=IMAGE, service="catalog", **settings):
    fields = {"name": "migrate", "kind": "job", "image": "catalog", "command": ["alembic"]}
    step = JobStep.model_validate({**fields, **settings}, strict=False)
    return job_manifest(step, service=service, image=image, release=release)


def name(**settings):
    return manifest(**settings)["metadata"]["name"]


def test_the_name_follows_the_content_and_nothing_else():
    assert name() == name(release="two")
    other = ImageRef("localhost:5000", "shop/catalog", "sha256:" + "b" * 64)
    names = {name(), name(image=other), name(args=["x"]), name(env={"A": "1"}), name(timeout=9)}
    assert len(names) == 5


@pytest.mark.parametrize("length", [1, 20, 53])
def test_the_name_is_a_label_however_long_its_parts_are(length):
    made = name(service="s" * length, name="m" * length)
    assert len(made) <= 63
    assert not made.startswith("-")


def test_the_image_is_named_by_digest_and_the_pod_is_restricted():
    job = manifest(env_from_secrets=["db"], env={"B": "2", "A": "1"})
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == str(IMAGE)
    assert container["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    assert container["envFrom"] == [{"secretRef": {"name": "db"}}]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "ttlSecondsAfterFinished" not in job["spec"]
    assert job["spec"]["backoffLimit"] == 0
