"""A chart runs what was scanned and signed, wherever in it a pod hides."""

from __future__ import annotations

import json

import pytest

from aksci.core.errors import ConfigError, TrustError
from aksci.deploy.kubernetes.manifest_images import check_images, parse_manifests

OURS = "localhost:5000/shop/web@sha256:" + "1" * 64


def pod(image=OURS, where="containers", **more):
    return {"containers": [{"name": "main", "image": OURS}], where: [{"name": "c", "image": image}]}


def manifest(kind, spec, **metadata):
    return {"kind": kind, "metadata": {"name": "web", **metadata}, "spec": spec}


def check(*documents):
    text = "\n---\n".join(json.dumps(each) for each in documents)
    check_images("web", parse_manifests("web", text), {OURS})


def cases(image):
    template = {"template": {"spec": pod(image)}}
    hook = {"helm.sh/hook": "pre-upgrade"}
    image_volume = [{"name": "data", "image": {"reference": image}}]
    return {
        "deployment": manifest("Deployment", template),
        "init": manifest("StatefulSet", {"template": {"spec": pod(image, "initContainers")}}),
        "ephemeral": manifest("Pod", pod(image, "ephemeralContainers")),
        "cron": manifest("CronJob", {"jobTemplate": {"spec": template}}),
        "hook": manifest("Job", template, annotations=hook),
        "other kind": manifest("Rollout", {"deep": [{"down": template}]}),
        "volume": manifest("Pod", {**pod(), "volumes": image_volume}),
        "list": {"kind": "List", "items": [manifest("DaemonSet", template)]},
    }


@pytest.mark.parametrize("name", cases(""))
@pytest.mark.parametrize(
    "image", ["nginx:1", OURS.replace("1" * 64, "2" * 64), OURS.partition("@")[0], OURS + "\n"]
)
def test_another_image_is_refused_wherever_it_is(name, image):
    with pytest.raises(
        TrustError, match=r"services\.web: .*(?s:.*)/web, container '(c|volume data)'"
    ):
        check({"kind": "Service"}, cases(image)[name])


@pytest.mark.parametrize("name", cases(""))
def test_the_release_s_own_images_are_accepted(name):
    check({"kind": "Service"}, cases(OURS)[name])


def test_a_pod_without_an_image_is_refused_but_not_what_only_adds_to_another():
    check(manifest("Database", {"containers": [{"name": "postgres", "resources": {}}]}))
    with pytest.raises(TrustError, match=r"Pod/web, container 'main': no image"):
        check(manifest("Pod", {"containers": [{"name": "main"}]}))


def test_what_is_no_yaml_is_the_chart_s_mistake():
    with pytest.raises(ConfigError, match=r"services\.web: the chart renders no YAML"):
        parse_manifests("web", "a: [")
