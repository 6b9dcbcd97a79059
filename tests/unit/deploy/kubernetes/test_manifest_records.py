"""No chart writes what Helm or aksci go back to: that is applied as it is."""

from __future__ import annotations

import json

import pytest

from aksci.core.errors import ConfigError
from aksci.deploy.kubernetes.manifest_images import parse_manifests
from aksci.deploy.kubernetes.manifest_records import check_records


def written(kind, **metadata):
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


RECORDS = {
    "Helm's name": written("Secret", name="sh.helm.release.v1.web.v7"),
    "Helm's label": written("Secret", name="a", labels={"owner": "helm", "name": "web"}),
    "Helm's other place": written("ConfigMap", name="sh.helm.release.v1.web.v7"),
    "a name that the server completes": written("Secret", generateName="sh.helm.release.v1.web.v"),
    "another environment's": written("Secret", name="sh.helm.release.v1.web.v1", namespace="live"),
    "ours": written("ConfigMap", name="aksci-release", namespace="live"),
    "our lock": {**written("Lease", name="aksci-deploy"), "apiVersion": "coordination.k8s.io/v1"},
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_helm_s_or_ours_is_in_no_chart(name):
    for document in (RECORDS[name], {"kind": "List", "items": [RECORDS[name]]}):
        with pytest.raises(ConfigError, match=r"services\.web: the chart writes what Helm "):
            check_records("web", parse_manifests("web", json.dumps(document)))


def test_what_only_looks_like_one_is_the_chart_s():
    honest = [
        written("Secret", name="web", labels={"owner": "team-helm"}),
        written("Secret", name="my-sh.helm.release.v1.web.v7"),
        written("Deployment", name="web", labels={"owner": "helm"}),
        written("Service", name="aksci-release"),
        written("Secret", name=None, labels=["owner"]),
        {"kind": "Secret", "metadata": "owner: helm"},
        {"kind": ["Secret"]},
        {},
    ]
    check_records("web", honest)
