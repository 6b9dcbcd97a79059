"""``cascade`` as its users run it: a base from outside moves, and what is based on it follows."""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import subprocess
import sys
import tarfile

import pytest

from aksci import Environment, steps
from aksci.core.errors import GateError
from aksci.oci.artifact import canonical_json
from aksci.oci.client import RegistryClient
from aksci.supply.sign.signer import NotSignedError

DEBIAN = "library/debian"
CHART = "apiVersion: v2\nname: web\nversion: {version}\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: 1
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: "{{ .Values.image.repository }}@{{ .Values.image.digest }}"
          securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false}
          resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
"""
RUN = 'USER 10001\nCMD ["sleep", "infinity"]\n'


def tar_of(files):
    """Return an uncompressed tar with these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


class Project:
    """Three images: ``mid`` on a base from outside, ``web`` on ``mid``; ``side`` on another."""

    def __init__(self, folder, platform, toolbox):
        self.name = f"t-{secrets.token_hex(4)}"
        self.folder = folder
        self.registry = RegistryClient(platform.registry, plain_http=True)
        self.base = f"{platform.registry}/{self.name}-outside/base:1"
        self.kube = toolbox.ensure("kube")
        self.platform = platform
        self.move_base("first")
        self.configure()
        self.dockerfiles()

    def dockerfiles(self, *, web="COPY --link hello /srv/hello", mid="COPY --link mid /opt/mid"):
        """(Re)write the sources of the images."""
        # containerd shows one digest for all images with one configuration, whoever made them.
        label = f"LABEL project={self.name}\n"
        self.write("mid/Dockerfile", f"FROM {self.base}\n{label}{mid}\n{RUN}")
        self.write("mid/mid", "mid")
        self.write("web/Dockerfile", f"FROM {self.name}/mid:latest\n{web}\nENV APP=web\n")
        self.write("web/hello", "hello")
        self.write("side/Dockerfile", f"FROM debian:bookworm-slim\n{label}{RUN}")

    def configure(self, extra="", *, cascade="true"):
        """(Re)write aksci.toml and the charts."""
        services = "".join(
            f'[services.{name}]\nchart = "chart"\nimages = {{image = "{name}"}}\ntimeout = 60\n'
            for name in ("web", "side")
        )
        self.write(
            "aksci.toml",
            f'schema = 1\n[project]\nname = "{self.name}"\n'
            '[discover]\ndockerfiles = ["*/Dockerfile"]\n[scan]\ndatabase = "small"\n'
            f'{services}[environments.local]\nplatform = "embedded"\nnamespace = "{self.name}"\n'
            f"create_namespace = true\ncascade = {cascade}\n{extra}",
        )
        self.write("chart/Chart.yaml", CHART.format(version="1.0.0"))
        self.write("chart/values.yaml", "image: {repository: '', digest: ''}\n")
        self.write("chart/templates/web.yaml", DEPLOYMENT)

    def write(self, path, text):
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def move_base(self, text, *, without=None):
        """Push another version of the base: Debian with one file more.

        :param without: a package that dpkg is not to know any more.
        """
        repository = self.base.partition("/")[2].rpartition(":")[0]
        registry = self.registry
        debian = json.loads(registry.manifest(DEBIAN, "bookworm-slim").content)
        config = json.loads(registry.blob(DEBIAN, debian["config"]["digest"]))
        for layer in debian["layers"]:
            assert registry.mount_blob(repository, layer["digest"], DEBIAN)
        files = {"etc/version": text}
        if without:
            files["var/lib/dpkg/status"] = self._status(debian["layers"][0], without)
        layer = tar_of(files)
        config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(layer).hexdigest())
        config["history"] = [{"created_by": "test"}] * (len(debian["layers"]) + 1)
        stored = canonical_json(config)
        manifest = debian | {
            "config": debian["config"]
            | {"digest": registry.put_blob(repository, stored), "size": len(stored)},
            "layers": [
                *debian["layers"],
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": registry.put_blob(repository, layer),
                    "size": len(layer),
                },
            ],
        }
        content = canonical_json(manifest)
        return registry.put_manifest(repository, content, debian["mediaType"], tag="1")

    def _status(self, layer, without):
        packed = io.BytesIO(self.registry.blob(DEBIAN, layer["digest"]))
        with tarfile.open(fileobj=packed) as archive:
            (entry,) = [one for one in archive if one.name.endswith("var/lib/dpkg/status")]
            paragraphs = archive.extractfile(entry).read().decode().split("\n\n")
        kept = [one for one in paragraphs if not one.startswith(f"Package: {without}\n")]
        assert len(kept) == len(paragraphs) - 1
        return "\n\n".join(kept)

    def run(self, *arguments, expect=0, **variables):
        """Run a session to its end; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "aksci", "-C", self.folder, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env=os.environ | variables,
            timeout=600,
            check=False,
        )
        assert done.returncode == expect, f"exit status {done.returncode}\n{done.stdout}"
        assert "Traceback" not in done.stdout
        return done.stdout

    def report(self):
        """Return what the last cascade said of itself."""
        return json.loads((self.folder / ".aksci/cascade.json").read_text())

    def actions(self):
        return {one["image"]: one["action"] for one in self.report()["images"]}

    def digest(self, image, tag="latest"):
        return self.registry.resolve(f"{self.name}/{image}", tag)

    def release(self):
        """Return what the last release holds."""
        shown = self.run("release", "show", "--format", "json")
        return json.loads(shown[shown.index("{") :])

    def running(self, service):
        """Return the digest that a deployment's pods are to run."""
        argv = [self.kube, "kubectl", f"--kubeconfig={self.platform.kubeconfig}"]
        argv += ["get", "deploy", service, "-n", self.name, "-o", "json"]
        found = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
        image = found["spec"]["template"]["spec"]["containers"][0]["image"]
        return image.partition("@")[2]

    def close(self):
        argv = [self.kube, "kubectl", f"--kubeconfig={self.platform.kubeconfig}", "delete"]
        argv += ["namespace", self.name, "--ignore-not-found", "--wait=false"]
        subprocess.run(argv, check=True, capture_output=True)
        self.registry.close()


@pytest.fixture
def project(tmp_path, platform, toolbox):
    made = Project(tmp_path / "project", platform, toolbox)
    yield made
    made.close()


def test_a_moved_base_goes_through_the_chain_to_the_pods_and_takes_nothing_else_along(project):
    project.run("build")
    project.run("deploy")
    before = {name: project.digest(name) for name in ("mid", "web", "side")}
    assert "nothing" in project.run("cascade").lower()
    assert {name: project.digest(name) for name in before} == before
    project.move_base("second", without="zlib1g")  # it has a finding that nothing fixes
    # What the checkout has become meanwhile is no part of a cascade.
    project.write("chart/Chart.yaml", CHART.format(version="2.0.0"))
    plan = project.run("cascade", "--plan", "--exit-code", expect=20)
    assert project.base in plan
    assert {name: project.digest(name) for name in before} == before
    project.run("cascade")
    assert project.actions() == {"mid": "rebuilt", "web": "rebuilt", "side": "kept"}
    after = {name: project.digest(name) for name in before}
    assert after["side"] == before["side"]
    assert len({after["mid"], before["mid"], after["web"], before["web"]}) == 4
    assert project.running("web") == after["web"]
    assert project.running("side") == before["side"]
    (environment,) = project.report()["environments"]
    assert (environment["outcome"], environment["services"]) == ("deployed", ["web"])
    found = {
        (one["image"], one["change"], one["id"]) for one in project.report()["findings"]["listed"]
    }
    assert found == {(name, "fixed", "CVE-2023-45853") for name in ("mid", "web")}
    assert "1.0.0" in json.dumps(project.release())
    assert "2.0.0" not in json.dumps(project.release())
    # Whatever the cascade has made is what a build would have made.
    assert "0 built, 3 unchanged" in project.run("build", "--until", "sign")
    project.run("verify", "--env", "local")
    project.run("cascade")
    assert set(project.actions().values()) == {"kept"}
    assert [one["outcome"] for one in project.report()["environments"]] == ["unchanged"]


def test_a_team_puts_its_own_gate_and_its_own_step_into_a_cascade(project):
    project.run("build")
    project.run("deploy")
    before = {name: project.digest(name) for name in ("mid", "web", "side")}
    project.move_base("second")
    refused = []

    def smoke(name, image):
        if name == "web":
            refused.append(image.ref)
            raise GateError(f"{image.ref} does not answer.")

    with Environment.open(root=project.folder) as env:
        done = steps.deploy_cascade(env, steps.cascade(env, gate=smoke))
        with pytest.raises(GateError, match="does not answer"):
            done.require()
        with pytest.raises(NotSignedError):
            env.signer.verify(refused[0], {})
    assert project.actions() == {"mid": "rebuilt", "web": "failed", "side": "kept"}
    assert project.digest("mid") != before["mid"]
    assert project.digest("web") == project.running("web") == before["web"]
    with Environment.open(root=project.folder) as env:
        done = steps.cascade(env).require()
        # Here, what is published can be tried before it runs anywhere.
        assert project.digest("web") == refused[0].digest
        assert project.running("web") == before["web"]
        steps.deploy_cascade(env, done).require()
    assert project.running("web") == refused[0].digest


def test_a_failure_is_isolated_and_named_with_the_chain_that_it_blocks(project):
    project.configure(cascade="false")
    project.dockerfiles(mid="RUN test $(cat /etc/version) = first || exit 1")
    project.write("lone/Dockerfile", f"FROM {project.base}\n{RUN}")
    project.run("build")
    before = {name: project.digest(name) for name in ("mid", "web", "lone")}
    first = project.release()
    project.move_base("second")
    output = project.run("cascade", expect=7)
    assert project.actions() == {
        "mid": "failed",
        "web": "blocked",
        "lone": "rebuilt",
        "side": "kept",
    }
    assert "mid" in output
    assert "web" in output
    assert project.digest("mid") == before["mid"]
    assert project.digest("web") == before["web"]
    assert project.digest("lone") != before["lone"]
    released = {
        name: one["ref"].partition("@")[2] for name, one in _images(project.release()).items()
    }
    assert released["lone"] == project.digest("lone")
    assert released["mid"] == before["mid"]
    assert _images(first).keys() == released.keys()
    project.move_base("first")  # it is taken back, and so nothing is wrong with ``mid`` any more
    project.run("cascade")
    assert project.actions()["mid"] == "kept"
    assert project.digest("lone") == before["lone"]


def test_tags_of_a_group_move_all_or_not_at_all_if_configured(project):
    project.configure("[cascade]\ntogether = true\n", cascade="false")
    project.dockerfiles(web="RUN test $(cat /etc/version) = first || exit 1")
    project.run("build")
    before = {name: project.digest(name) for name in ("mid", "web")}
    project.move_base("second")
    project.run("cascade", expect=7)
    assert project.actions() == {"mid": "rebuilt", "web": "failed", "side": "kept"}
    assert {name: project.digest(name) for name in before} == before
    # What was made is there, and the next run goes on from it.
    project.run("cascade", expect=7)
    assert project.actions()["mid"] == "reused"


def test_changed_sources_are_refused_and_named(project):
    project.configure(cascade="false")
    project.run("build")
    before = project.digest("mid")
    project.write("mid/mid", "another text")
    project.run("cascade")  # nothing moved: the sources are no business of a cascade
    project.move_base("second")
    output = project.run("cascade", expect=7)
    assert "sources are not those of its last build" in output
    assert "nox -s build" in output
    assert project.digest("mid") == before
    project.run("build")
    project.run("cascade")
    assert set(project.actions().values()) == {"kept"}


def test_sources_that_only_a_build_of_one_image_has_published_are_not_released(project):
    project.configure(cascade="false")
    project.run("build")
    before = project.release()
    project.write("mid/mid", "another text")
    project.run("build", "--only", "mid")  # its tag moves, and no release is made
    output = project.run("cascade")
    assert project.actions()["web"] == "rebuilt"
    assert "web needs mid, which is not released as it is" in " ".join(output.split())
    assert _images(project.release()) == _images(before)
    project.run("cascade")
    assert set(project.actions().values()) == {"kept"}
    project.run("build")
    assert _images(project.release())["web"]["ref"].endswith(project.digest("web"))


def test_the_policy_leaves_a_base_and_a_build_does_so_too(project):
    rule = f'[[cascade.bases]]\nbase = "{project.base}"\nupdate = "{{}}"\n'
    project.configure(rule.format("batch"), cascade="false")
    project.run("build")
    before = project.digest("mid")
    project.move_base("second")
    project.run("cascade")
    assert project.actions()["mid"] == "kept"
    (edge,) = [one for one in project.report()["drift"]["listed"] if one["image"] == "mid"]
    assert edge["state"] == "batched"
    assert "0 built" in project.run("build", "--until", "sign")
    project.run("cascade", "--batch")
    assert project.digest("mid") != before
    project.configure(rule.format("ignore"), cascade="false")
    project.move_base("third")
    project.run("cascade", "--batch")
    assert project.actions()["mid"] == "kept"
    assert "0 built" in project.run("build", "--until", "sign")


def test_what_nobody_signed_is_no_baseline(project):
    """Whoever may push could otherwise hide a drift, or keep an image of theirs in place."""
    project.configure(cascade="false")
    project.run("build")
    repository = f"{project.name}/side"
    good = project.digest("side")
    evil = json.loads(project.registry.manifest(repository, good).content)
    evil["annotations"] = {**evil.get("annotations", {}), "evil": "yes"}
    project.registry.put_manifest(repository, canonical_json(evil), evil["mediaType"], tag="latest")
    project.run("cascade")
    assert project.actions()["side"] == "reused"
    assert project.digest("side") == good


def test_mistakes_are_told(project):
    project.configure(cascade="false")
    output = project.run("cascade", "--base", "debian:nonsense", expect=2)
    assert "Nothing in this project is built on docker.io/library/debian:nonsense" in output
    assert project.base in output
    # A program that saw a push names a digest, and can't know what is used here.
    pushed = f"docker.io/library/debian:nonsense@sha256:{'0' * 64}"
    seen = project.run("cascade", "--plan", "--base", f"{pushed} {project.base}")
    assert "warning: Nothing in this project is built on" in seen
    assert "not the name of an image" in project.run("cascade", "--base", "UPPER", expect=2)
    assert "sarif" in project.run("cascade", "--format", "sarif", expect=2)
    assert "means nothing to 'cascade'" in project.run("cascade", "--only", "mid", expect=2)


def _images(release):
    found = release.get("images", release)
    return found if isinstance(found, dict) else {one["name"]: one for one in found}


def test_a_base_of_docker_hub_is_seen_to_move_though_a_service_is_called_like_it(project):
    """``image: nginx`` and FROM nginx; FROM docker.io/library/nginx in another Dockerfile."""
    hub = f"{project.name}-hub"
    # The platform's registry is Docker Hub's mirror.
    project.base = f"{project.platform.registry}/library/{hub}:1"
    project.move_base("first")
    project.configure(cascade="false")
    toml = (project.folder / "aksci.toml").read_text().partition("[services")[0]
    project.write(
        "aksci.toml", toml.replace('dockerfiles = ["*/Dockerfile"]', 'compose = ["compose.yaml"]')
    )
    project.write(
        "compose.yaml",
        f"services:\n  proxy: {{image: '{hub}:1', build: proxy}}\n"
        "  control: {build: control}\n  front: {build: front}\n",
    )
    project.write("proxy/Dockerfile", f"FROM {hub}:1\nENV PROXY=yes\n{RUN}")
    project.write("front/Dockerfile", f"FROM {hub}:1\nCOPY --from={hub}:1 /etc/version /seen\n")
    project.write("control/Dockerfile", f"FROM docker.io/library/{hub}:1\nENV CONTROL=yes\n{RUN}")
    project.run("build")
    images = {"proxy": f"{hub}", "control": "control", "front": "front"}
    before = {name: project.digest(image, "1" if name == "proxy" else "latest")
              for name, image in images.items()}  # fmt: skip
    moved = project.move_base("second")
    project.run("plan", "--format", "json", "--output", ".aksci/plan.json")
    plan = json.loads((project.folder / ".aksci/plan.json").read_text())
    work = {one["image"]: one for one in plan["work"]}
    assert {name: one["action"] for name, one in work.items()} == dict.fromkeys(before, "build")
    full = f"docker.io/library/{hub}:1"
    for name in ("proxy", "control"):
        (reason,) = work[name]["reasons"]
        assert (reason["code"], reason["reference"], reason["new"]) == ("BASE_DRIFT", full, moved)
    project.run("cascade")
    assert project.actions() == {"proxy": "rebuilt", "control": "rebuilt", "front": "rebuilt"}
    after = {name: project.digest(image, "1" if name == "proxy" else "latest")
             for name, image in images.items()}  # fmt: skip
    assert not set(before.values()) & set(after.values())
    assert "0 built, 3 unchanged" in project.run("build", "--until", "sign")
