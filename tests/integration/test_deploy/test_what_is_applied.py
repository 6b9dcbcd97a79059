"""What Helm applies in a real cluster is what was checked, whatever a chart's author writes."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from aksci.core.errors import ConfigError, DeployError, TrustError

CHART = Path(__file__).parent / "chart"
FOREIGN = "localhost:5000/attacker/tool:1"
OURS = '{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}'
PLANTED = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "planted"},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": FOREIGN}]},
}
POD = json.dumps(PLANTED)
LIST = json.dumps({"metadata": {"name": "x"}, "items": [PLANTED]})[1:-1]
DEFINITION = '"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"'
META = "apiVersion: v2\nname: sub\nversion: 1.0.0\n"
NAME, ELSEWHERE = '{"name": "planted"', '{"namespace": "default", "name": "planted"'


def _revision(number, status):
    """Return a revision of the service as Helm keeps it, made of the pod."""
    record = {
        "name": "web",
        "version": number,
        "info": {"status": status},
        "chart": {"metadata": {"name": "web", "version": "1.0.0", "apiVersion": "v2"}},
        "manifest": f"---\n{POD}\n",
    }
    # As base64, which Kubernetes decodes once, and Helm again.
    packed = base64.b64encode(gzip.compress(json.dumps(record).encode()))
    labels = {"owner": "helm", "name": "web", "status": status, "version": str(number)}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {"name": f"sh.helm.release.v1.web.v{number}", "labels": labels},
        "data": {"release": base64.b64encode(packed).decode()},
    }
    return f"{json.dumps(secret)}\n---\n"


NUMBERS = " ".join(f'"{number}"' for number in range(5))


def container(fields):
    """Return the pod with a container that is read in two ways."""
    found = f'"image": "{FOREIGN}"'
    assert found in POD
    return POD.replace(
        found, fields.replace("FOREIGN", f"'{FOREIGN}'").replace("OURS", f"'{OURS}'")
    )


HIDDEN = {
    "a pod in crds": {"crds/pod.yaml": POD},
    "a list that is called a definition": {"crds/pod.yml": f"{{{DEFINITION}, {LIST}}}"},
    "a pod in a sub-chart's crds": {"charts/sub/Chart.yaml": META, "charts/sub/crds/a.json": POD},
    "a key twice": {"templates/a.yaml": container("image: FOREIGN, 'image': OURS")},
    "a merge after a key": {"templates/a.yaml": container("image: OURS, <<: {image: FOREIGN}")},
    "a key in base64": {"templates/a.yaml": container("image: FOREIGN, !!binary aW1hZ2U=: OURS")},
    "another namespace": {"templates/a.yaml": container("image: OURS").replace(NAME, ELSEWHERE)},
    "a revision of Helm's": {"templates/a.yaml": _revision(5, "deployed")},
}
"""Each ran in the cluster, or Helm alone refused it, before there were these checks."""
CHANGING = {
    "lookup": '{{ if lookup "v1" "Namespace" "" "default" }}',
    "capabilities": '{{ if .Capabilities.APIVersions.Has "apps/v1/Deployment" }}',
    "random": f"{{{{ if has (randNumeric 1) (list {NUMBERS}) }}}}",
}
"""What is so when a chart is applied, and need not be when it is rendered to be looked at."""
HONEST = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: words
  labels: &labels {part: words}
  annotations: {{ dict "words" "\\u2028 ---\\n- 'a'" | toJson }}
data:
  "on": "off"
  "0644": "1e3"
  text: |
    ---
    # no comment
      é \U0001f600 'quoted' "quoted" {{ "{{" }}
  folded: >-
    one
    two
---
apiVersion: v1
kind: Secret
metadata: {name: secret, labels: {"upgrade": {{ .Release.IsUpgrade | quote }}}}
stringData: &words {day: 2001-01-01, 'yes': 'no'}
---
apiVersion: v1
kind: Secret
metadata: {name: merged, labels: {part: &part merged, same: *part}}
stringData:
  <<: &more {day: 2001-01-02}
  night: 'off'
---
# Nothing.
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ServiceAccount
    metadata: {name: account}
    automountServiceAccountToken: off
---
apiVersion: batch/v1
kind: Job
metadata: {name: hook, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
spec:
  backoffLimit: 0_0
  template:
    spec:
      restartPolicy: Never
      containers:
        - {name: c, image: 'OURS', command: [/tiny], env: [{name: MODE, value: job}]}
""".replace("OURS", OURS)
CRD = """\
# A definition.
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.aksci-tests.example}
spec:
  group: aksci-tests.example
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
"""


@pytest.fixture
def deploy(world, tmp_path):
    """Deploy the tests' service with more files in its chart."""
    chart = tmp_path / "web"
    shutil.copytree(CHART, chart)

    def run(files):
        for name, content in files.items():
            path = chart / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        release = world.release()
        service = replace(release.services["web"], chart=chart)
        return world.deploy(replace(release, services={"web": service}))

    return run


def names(world, kind):
    return {each["metadata"]["name"] for each in world.cluster.list(kind)}


def test_helm_goes_back_to_no_revision_that_a_chart_brings(world, deploy):
    # One that Helm seems to have left unfinished makes the next run go back to the one before.
    revisions = _revision(5, "deployed") + _revision(6, "pending-upgrade")
    for run in range(2):
        with pytest.raises(ConfigError, match=r"Secret/sh\.helm\.release\.v1\.web\.v6"):
            deploy({"templates/a.yaml": f"{revisions}# {run}"})
    assert names(world, "Pod") == set()


def _outcome(deploy, files):
    try:
        deploy(files)
    except TrustError as error:
        return error.message.splitlines()[-1]
    return "deployed"


@pytest.mark.parametrize("name", HIDDEN)
def test_a_chart_that_shows_one_thing_and_applies_another_is_refused(world, deploy, name):
    with pytest.raises(ConfigError):
        deploy(HIDDEN[name])
    assert names(world, "Pod") == names(world, "Deployment") == set()  # nothing was begun


@pytest.mark.parametrize("name", CHANGING)
def test_what_is_rendered_anew_is_looked_at_anew(world, deploy, name):
    text = f"{CHANGING[name]}\n{POD}\n{{{{ end }}}}\n# "
    # Of a random number, either look may see either; in none of many runs it gets by both.
    runs = range(12 if name == "random" else 1)
    outcomes = {_outcome(deploy, {"templates/a.yaml": text + str(run)}) for run in runs}
    assert f"  Pod/planted, container 'c': {FOREIGN}" in outcomes
    assert "planted" not in names(world, "Pod")


@pytest.mark.parametrize("seen", ["always", "in the cluster"])
def test_a_chart_that_takes_all_memory_is_not_applied(world, deploy, seen):
    text = "{{ range until 1000000000 }}{{ end }}"
    found = text if seen == "always" else f"{CHANGING['lookup']}{text}{{{{ end }}}}"
    with pytest.raises((ConfigError, DeployError), match="It took more than 512 MiB, or 20 s of"):
        deploy({"templates/a.yaml": found})
    assert names(world, "Pod") == set()


def test_an_upgrade_is_looked_at_as_an_upgrade(world, deploy):
    deploy({"templates/a.yaml": f"{{{{ if .Release.IsUpgrade }}}}\n{POD}\n{{{{ end }}}}\n"})
    values = (CHART / "values.yaml").read_text() + "\n# changed\n"
    with pytest.raises(TrustError, match="Pod/planted"):
        deploy({"values.yaml": values})
    assert "planted" not in names(world, "Pod")
    assert world.plan(world.release()).services[0].state.latest.status == "deployed"


def test_an_honest_chart_is_applied_as_it_was_written(world, deploy, kubectl):
    kubectl("delete", "crd", "things.aksci-tests.example", "--ignore-not-found")
    deploy({"templates/more.yaml": HONEST, "crds/thing.yaml": CRD})
    found = json.loads(kubectl("get", "configmap", "words", "-n", world.namespace, "-o", "json"))
    assert found["data"] == {
        "on": "off",
        "0644": "1e3",
        "text": "---\n# no comment\n  é \U0001f600 'quoted' \"quoted\" {{\n",
        "folded": "one two",
    }
    assert found["metadata"]["annotations"]["words"] == "\u2028 ---\n- 'a'"
    assert "account" in kubectl("get", "serviceaccount", "-n", world.namespace)
    assert "things" in kubectl("get", "crd")
    assert "hook" in names(world, "Job")
    kubectl("delete", "crd", "things.aksci-tests.example")
