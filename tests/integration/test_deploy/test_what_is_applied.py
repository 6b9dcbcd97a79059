"""What Helm applies in a real cluster is what was checked: nothing else runs, whatever a chart says."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from aksci.core.errors import AksciError

CHART = Path(__file__).parent / "chart"
FOREIGN = "localhost:5000/attacker/tool:1"
HOOK = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: planted
  annotations: {{"helm.sh/hook": {when}}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
{container}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: planted}
spec:
  restartPolicy: Never
  containers:
%s
"""
PLAIN = f"    - {{name: c, image: '{FOREIGN}'}}"
OURS = '{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}'
TWO_WAYS = {
    "a key twice": f"    - name: c\n      image: '{FOREIGN}'\n      'image': '{OURS}'\n",
    "a merge after a key": f"    - name: c\n      image: '{OURS}'\n      <<: {{image: '{FOREIGN}'}}\n",
    "a key in base64": f"    - name: c\n      image: '{FOREIGN}'\n      !!binary aW1hZ2U=: '{OURS}'\n",
}
"""PyYAML reads our image, Helm the attacker's; or Helm refuses it."""


@pytest.fixture
def evil(world, tmp_path):
    """Deploy the tests' service with a chart of an attacker's, and return the planted objects."""
    chart = tmp_path / "evil"
    shutil.copytree(CHART, chart)

    def deploy(files, **options):
        for name, content in files.items():
            path = chart / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        release = world.release()
        service = replace(release.services["web"], chart=chart)
        world.deploy(replace(release, services={"web": service}), **options)

    return deploy


def planted(world, namespace=None):
    kinds = [world.cluster.list(kind) for kind in ("Pod", "Job")]
    return sorted(
        each["metadata"]["name"]
        for found in kinds
        for each in found
        if each["metadata"]["name"].startswith("planted")
    )


CASES = {
    "a pod in crds": {"crds/pod.yaml": POD % PLAIN},
    "a pod in crds as JSON": {"crds/pod.json": '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "planted"}, "spec": {"containers": [{"name": "c", "image": "%s"}]}}' % FOREIGN},
    "a list that says it is a definition": {"crds/pod.yml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: planted}, spec: {containers: [{name: c, image: '%s'}]}}" % FOREIGN},
    "a pod in a sub-chart's crds": {"charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "charts/sub/crds/pod.yaml": POD % PLAIN},
    **{name: {"templates/pod.yaml": POD % text} for name, text in TWO_WAYS.items()},
    "another kind with items": {"templates/pod.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: planted}, spec: {containers: [{name: c, image: '%s'}]}}" % FOREIGN},
    "what lookup tells": {"templates/pod.yaml": '{{ if lookup "v1" "Namespace" "" "default" }}\n' + POD % PLAIN + "{{ end }}"},
    "what capabilities tell": {"templates/pod.yaml": '{{ if .Capabilities.APIVersions.Has "metrics.k8s.io/v1beta1" }}{{ else if .Capabilities.APIVersions.Has "apps/v1/Deployment" }}\n' + POD % PLAIN + "{{ end }}"},
    "a random number": {"templates/pod.yaml": "{{ if has (randNumeric 1) (list %s) }}\n" % " ".join(f'"{n}"' for n in range(5)) + POD % PLAIN + "{{ end }}"},
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_but_what_was_checked_is_applied(world, evil, name):
    try:
        evil(CASES[name])
        outcome = "deployed"
    except AksciError as error:
        outcome = f"{type(error).__name__}: {error.message[:300]}"
    print("OUTCOME", name, "|", outcome, "|", planted(world))
    assert not planted(world)


def test_nothing_but_what_was_checked_is_applied_by_an_upgrade(world, evil):
    evil({"templates/pod.yaml": "{{ if .Release.IsUpgrade }}\n" + POD % PLAIN + "{{ end }}"})
    try:
        evil({"templates/x.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: xx}"})
        outcome = "deployed"
    except AksciError as error:
        outcome = f"{type(error).__name__}: {error.message[:300]}"
    print("OUTCOME", "upgrade", "|", outcome, "|", planted(world))
    assert not planted(world)
