"""A chart runs what was scanned and signed, wherever in it a pod hides."""

from __future__ import annotations

import json

import pytest

from aksci.core.errors import ConfigError, TrustError
from aksci.deploy.kubernetes.manifest_images import (
    check_images,
    check_namespaces,
    parse_manifests,
)

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


@pytest.mark.parametrize(
    "text",
    [
        f"- name: c\n  image: nginx:1\n  'image': {OURS}",
        f"- name: c\n  image: {OURS}\n  <<: {{image: nginx:1}}",
        f"- name: c\n  image: nginx:1\n  !!binary aW1hZ2U=: {OURS}",
        f"- name: c\n  image: {OURS}\n...\nkind: Other",
        f"- &c {{name: c, image: {OURS}}}\n- *d",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_its_template(text):
    rendered = f"---\n# Source: web/templates/a.yaml\nkind: Pod\ncontainers:\n{text}\n"
    with pytest.raises(ConfigError, match=r"read in one way: web/templates/a\.yaml, .* line \d+: "):
        parse_manifests("web", rendered)


def test_what_is_no_object_is_refused():
    with pytest.raises(ConfigError, match="something that is no object"):
        parse_manifests("web", "- kind: Pod")


def test_whatever_has_items_is_a_list():
    job = manifest("Job", {"template": {"spec": pod("nginx:1")}})
    for kind in ("ConfigMap", "List", "Whatever"):
        with pytest.raises(TrustError, match="Job/web"):
            check({"kind": kind, "apiVersion": "v1", "metadata": {}, "items": [{"items": [job]}]})


OPERATORS = [
    {"image": "nginx:1"},
    {"engine": {"imageName": "nginx:1"}},
    {"steps": [{"containerImage": "nginx:1"}]},
    {"image": {"repository": "nginx", "tag": "1"}},
    {"image": {"repository": OURS.partition("@")[0], "tag": "1"}},
]


@pytest.mark.parametrize("spec", OPERATORS)
def test_an_image_in_a_field_of_another_kind_must_be_the_release_s(spec):
    with pytest.raises(TrustError, match=r"Database/web, spec\.[a-zA-Z0-9.]*: "):
        check(manifest("Database", spec))


def test_a_kind_that_only_bears_the_name_of_a_definition_is_looked_into():
    own = {"apiVersion": "example.org/v1", **manifest("CustomResourceDefinition", OPERATORS[0])}
    with pytest.raises(TrustError, match=r"CustomResourceDefinition/web, spec\.image: nginx:1"):
        check(own)


def test_what_is_called_an_image_and_is_none_is_left_alone():
    repository, _, digest = OURS.partition("@")
    check(
        manifest("Database", {"image": OURS}),
        manifest("Database", {"image": {"repository": repository, "digest": digest}}),
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"image": "a.png"}},
        {"apiVersion": "v1", "kind": "PersistentVolume", "spec": {"rbd": {"image": "disk"}}},
        {"apiVersion": "v1", **manifest("Pod", {**pod(), "volumes": [{"rbd": {"image": "disk"}}]})},
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "spec": {"properties": {"image": {"type": "string"}}, "image": "a word of its own"},
        },
        manifest("Database", {"image": None, "imageName": "", "icon": {"image": True}}),
    )


@pytest.mark.parametrize(
    "each",
    [
        {"apiVersion": "v1", "kind": "Pod"},
        {"apiVersion": "apps/v1", "kind": "Deployment"},
        {"apiVersion": "example.org/v1", "kind": "ConfigMap"},
        {"apiVersion": "example.org/v1", "kind": "Unknown"},
        {"kind": ["ConfigMap"], "apiVersion": {}},
        {},
    ],
)
def test_what_may_run_something_stays_in_the_environment_s_namespace(each):
    inside = {**each, "metadata": {"name": "a", "namespace": "shop"}}
    check_namespaces("web", [each, inside, {**each, "metadata": None}], "shop")
    for namespace in ("other", "shop ", ["shop"]):
        outside = {**each, "metadata": {"name": "a", "namespace": namespace}}
        for found in ([outside], parse_manifests("web", json.dumps({"items": [outside]}))):
            with pytest.raises(ConfigError, match="another namespace than the environment's, shop"):
                check_namespaces("web", found, "shop")


def test_what_runs_nothing_may_be_in_another_namespace():
    kinds = [
        ("v1", "ConfigMap"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ]
    there = {"name": "a", "namespace": "monitoring"}
    found = [{"apiVersion": api, "kind": kind, "metadata": there} for api, kind in kinds]
    check_namespaces("web", found, "shop")
