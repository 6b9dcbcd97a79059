"""``verify`` on the real cluster and registry: what runs must be what was signed."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import tarfile
import time
import uuid
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from aksci.cli.edge import run_session
from aksci.config.deploy_models import EnvironmentConfig, ServiceConfig
from aksci.config.supply_models import NotationConfig
from aksci.core.errors import DeployError
from aksci.deploy.deploy_release import deploy_release
from aksci.deploy.kubernetes.cluster import connect
from aksci.deploy.opened_release import OpenedRelease, OpenedService
from aksci.deploy.targets.helm import Helm
from aksci.oci.artifact import Content, canonical_json, push_artifact, push_image
from aksci.oci.client import RegistryClient
from aksci.oci.references import ImageRef
from aksci.supply.release.chart import fetch_chart, push_chart, read_chart
from aksci.supply.release.make_release import RELEASE_TYPE
from aksci.supply.release.release import ReleaseImage, ReleaseService, release_repository
from aksci.supply.release.release_document import parse_release, release_document
from aksci.supply.release.sign_release import sign_release
from aksci.supply.scan.verdict import SEVERITIES, Verdict
from aksci.supply.sign.notation.notation_signer import notation_signer
from aksci.supply.sign.signer import Origin, sign_image
from aksci.testing.reporter import RecordingReporter

HERE = Path(__file__).parent / "test_deploy"
POLICY = "sha256:" + "e" * 64
CONFIG = """\
schema = 1
[project]
name = "{name}"
[environments.local]
platform = "embedded"
namespace = "{name}"
create_namespace = true
foreign = {foreign}
"""


@pytest.fixture(scope="session")
def layer(toolbox, tmp_path_factory):
    """The layer of a service FROM scratch, shared with the tests of deploy."""
    folder = tmp_path_factory.mktemp("tiny")
    shutil.copy(HERE / "main.go", folder)
    (folder / "go.mod").write_text("module tiny\n\ngo 1.24\n")
    build = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", "tiny", "."]
    environment = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(build, cwd=folder, env=environment, check=True)
    with tarfile.open(folder / "layer.tar", "w") as archive:
        info = archive.gettarinfo(folder / "tiny", "tiny")
        info.mtime, info.mode = 0, 0o755
        with (folder / "tiny").open("rb") as content:
            archive.addfile(info, content)
    return folder / "layer.tar"


@dataclass
class Site:
    """A project with a namespace, a key and repositories of its own."""

    name: str
    root: Path
    registry: RegistryClient
    signer: object
    cluster: object
    layer: Path
    helm: Helm
    kubeconfig: Path
    verdicts: dict = field(default_factory=dict)

    def configure(self, *, foreign=()):
        text = CONFIG.format(name=self.name, foreign=json.dumps(list(foreign)))
        (self.root / "aksci.toml").write_text(text)

    def push(self, tag="latest", *, part="web"):
        """Push an image of another digest than any before."""
        machine = {"architecture": "amd64", "os": "linux"}
        run = {"Entrypoint": ["/tiny"], "User": "65532:65532", "Labels": {"x": uuid.uuid4().hex}}
        return push_image(
            self.registry,
            f"{self.name}/{part}",
            tag,
            layers=[self.layer],
            config={**machine, "config": run},
        )

    def sign(self, ref):
        """Sign an image with a stored verdict, as scan and sign do."""
        verdict = Verdict(
            image=ref,
            passed=True,
            problems=(),
            notes=(),
            counts=dict.fromkeys(SEVERITIES, 0),
            failing=(),
            ignored=(),
            scanner="test",
            database="test",
            test_database=True,
            policy=POLICY,
        )
        stored = push_artifact(
            self.registry,
            ref.repository,
            artifact_type="application/vnd.aksci.verdict.v1+json",
            layers=[
                Content(
                    media_type="application/vnd.aksci.verdict.v1+json",
                    content=canonical_json(verdict.document()),
                )
            ],
            subject=ref,
        )
        object.__setattr__(verdict, "stored", stored)
        origin = Origin(commit="c" * 40, run="run-7")
        sign_image(ref, verdict, input_key="key", signer=self.signer, origin=origin)
        self.verdicts[ref] = stored.digest
        return ref

    def signed(self, tag="latest"):
        return self.sign(self.push(tag))

    def release(self, image, *, sign=True):
        """Make a release of one service out of one signed image."""
        chart = read_chart(HERE / "chart")
        images = {
            "web": ReleaseImage(
                name="web",
                ref=image,
                input_key="key",
                verdict=self.verdicts[image],
                policy=POLICY,
                database="test",
            )
        }
        service = ReleaseService(
            name="web",
            chart=push_chart(self.registry, f"{self.name}/charts/{chart.name}", chart),
            chart_name=chart.name,
            chart_version=chart.version,
            images={"image": "web"},
        )
        document = release_document(
            project=self.name, source="", commit="c" * 40, images=images, services={"web": service}
        )
        ref = push_artifact(
            self.registry,
            release_repository(self.name),
            artifact_type=RELEASE_TYPE,
            layers=[Content(media_type=RELEASE_TYPE, content=canonical_json(document))],
        )
        release = parse_release(document, ref)
        if sign:
            sign_release(release, signer=self.signer, origin=Origin(run="run-7"))
        return release

    def deploy(self, release):
        """Roll a release out as ``deploy`` does."""
        (self.root / "web.yaml").write_text("")
        service = release.services["web"]
        opened = OpenedRelease(
            reference=str(release.ref),
            services={
                "web": OpenedService(
                    name="web",
                    chart=fetch_chart(self.registry, service.chart, self.root / "charts"),
                    images=release.service_images("web"),
                )
            },
        )
        config = ServiceConfig.model_validate({"chart": "chart", "timeout": 60}, strict=False)
        deploy_release(
            opened,
            {"web": config},
            "local",
            EnvironmentConfig(
                registry="localhost:5000", namespace=self.name, values=("{service}.yaml",)
            ),
            root=self.root,
            cluster=self.cluster,
            target=self.helm,
            reporter=RecordingReporter(),
            now=lambda: dt.datetime.now(dt.UTC),
            run_id="run-7",
        )
        return release

    def pod(self, name, image, *, init=None):
        """Run a pod by hand, and wait until the kubelet tells what it runs."""
        spec = {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [{"name": "main", "image": str(image), "imagePullPolicy": "Always"}],
        }
        if init:
            job = [{"name": "MODE", "value": "job"}]
            spec["initContainers"] = [{"name": "setup", "image": str(init), "env": job}]
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        deadline = time.monotonic() + 30
        while True:
            try:
                self.cluster.create("Pod", body)
                break
            except DeployError:  # the namespace's service account comes a moment later
                assert time.monotonic() < deadline
                time.sleep(0.3)
        self.until(name, "containerStatuses")

    def until(self, name, statuses):
        deadline = time.monotonic() + 60
        while True:
            status = self.cluster.get("Pod", name)["status"]
            if all(each.get("imageID") for each in status.get(statuses) or [{}]):
                return
            assert time.monotonic() < deadline, status
            time.sleep(0.3)

    def debug(self, name, image):
        """Add an ephemeral container, as ``kubectl debug`` does."""
        pod = self.cluster.get("Pod", name)
        container = {"name": "debug", "image": str(image)}
        pod["spec"]["ephemeralContainers"] = [container]
        path = f"{self.cluster._path('Pod')}/{name}/ephemeralcontainers"
        self.cluster._send("PUT", path, body=pod)
        self.until(name, "ephemeralContainerStatuses")


@pytest.fixture
def site(platform, toolbox, runner, tmp_path, layer):
    name = f"t-{uuid.uuid4().hex[:8]}"
    registry = RegistryClient(platform.registry, plain_http=True)
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "aksci"
    signer = notation_signer(
        NotationConfig(),
        notation=toolbox.ensure("notation"),
        runner=runner,
        registry=registry,
        root=tmp_path,
        state=state,
        user_config=tmp_path / "nobody",
        local=True,
        plain_http=True,
        now=dt.datetime.now(dt.UTC),
    )
    helm = Helm(
        program=toolbox.ensure("helm"),
        runner=runner,
        kubeconfig=platform.kubeconfig,
        context=None,
        namespace=name,
    )
    with connect(platform.kubeconfig, None, name, create_namespace=True) as cluster:
        made = Site(
            name=name,
            root=tmp_path,
            registry=registry,
            signer=signer,
            cluster=cluster,
            layer=layer,
            helm=helm,
            kubeconfig=platform.kubeconfig,
        )
        made.configure()
        yield made
        cluster._send("DELETE", f"/api/v1/namespaces/{name}")
    registry.close()


@pytest.fixture
def verify(site, capsys):
    """Run the session; return the exit status, the JSON by place, and what was told."""

    def run(*words):
        capsys.readouterr()
        status = run_session("verify", [*words, "--format", "json"], folder=site.root)
        told = capsys.readouterr()
        if not told.out.startswith("{"):
            return status, {}, told.err
        document = json.loads(told.out)
        schema = files("aksci.report") / "schemas/verify.schema.json"
        Draft202012Validator(json.loads(schema.read_text())).validate(document)
        assert document["passed"] is (status == 0)
        rows = {f"{row['kind']} {row['where']}": row for row in document["rows"]}
        return status, rows, told.err

    return run


def outcomes(rows, kind):
    return {where: row["outcome"] for where, row in rows.items() if where.startswith(kind)}


def test_a_deployed_release_is_verified_down_to_its_pods(site, verify, capsys):
    release = site.deploy(site.release(site.signed()))
    status, rows, told = verify()
    assert status == 0, told
    assert {row["outcome"] for row in rows.values()} == {"verified"}
    kinds = sorted(row["kind"] for row in rows.values())
    assert kinds == ["chart", "image", "pod", "release", "workload"]
    (pod,) = [row for row in rows.values() if row["kind"] == "pod"]
    assert pod["digest"] == release.images["web"].ref.digest
    assert (pod["commit"], pod["run"], pod["policy"]) == ("c" * 40, "run-7", POLICY)
    assert pod["verdict"] == release.images["web"].verdict
    assert pod["signedBy"][0].startswith("notation: ")
    assert pod["warnings"] == []
    assert run_session("verify", [], folder=site.root) == 0
    assert "5 verified" in capsys.readouterr().out


def test_a_chart_that_somebody_else_installed_is_told(site, verify):
    release = site.deploy(site.release(site.signed()))
    (chart,) = (site.root / "charts").iterdir()
    site.helm.upgrade(
        "web",
        chart,
        values=(),
        images=release.service_images("web"),
        labels={"by": "hand"},
        timeout=60,
    )
    status, rows, told = verify()
    assert status == 9
    assert rows["chart web"]["outcome"] == "CHANGED"
    assert "CHANGED  web" in told


def test_a_pod_with_an_unsigned_image_is_refused_by_name(site, verify):
    site.deploy(site.release(site.signed()))
    site.pod("intruder", site.push())
    status, rows, told = verify()
    assert status == 9
    assert rows["pod Pod/intruder, container main"]["outcome"] == "UNSIGNED"
    assert "UNSIGNED  Pod/intruder, container main" in told
    assert [row["outcome"] for row in rows.values()].count("verified") == 5


def test_a_signed_image_that_is_in_no_release_is_verified_and_told(site, verify):
    site.deploy(site.release(site.signed()))
    site.pod("older", site.signed())
    status, rows, told = verify()
    assert status == 0, told
    warnings = rows["pod Pod/older, container main"]["warnings"]
    assert warnings == [
        "not in the release that is deployed here",
        "belongs to no service of the release",
    ]


def test_a_tag_that_moved_after_signing_counts_for_nothing(site, verify):
    site.deploy(site.release(site.signed("stable")))
    tag = f"localhost:5000/{site.name}/web:stable"
    site.pod("before", tag)
    evil = site.push("stable")
    site.pod("after", evil.name + ":stable")
    status, rows, told = verify()
    before, after = (rows[f"pod Pod/{name}, container main"] for name in ("before", "after"))
    assert before["outcome"] == "verified"
    assert "by a tag" in before["warnings"][0]
    assert (after["outcome"], after["digest"]) == ("UNSIGNED", evil.digest)
    assert status == 9
    assert f"what runs is {evil.digest}" in told
    assert "Pod/before" not in told


def test_a_platform_inside_the_signed_index_is_verified_by_it(site, verify):
    one = site.push()
    manifest = site.registry.manifest(one.repository, one.digest)
    kind = "application/vnd.oci.image.index.v1+json"
    entry = {
        "mediaType": manifest.media_type,
        "digest": one.digest,
        "size": len(manifest.content),
        "platform": {"os": "linux", "architecture": "amd64"},
    }
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}
    digest = site.registry.put_manifest(one.repository, canonical_json(document), kind)
    site.deploy(site.release(site.sign(ImageRef(one.registry, one.repository, digest))))
    site.pod("platform", one)
    status, rows, told = verify()
    assert status == 0, told
    pod = rows["pod Pod/platform, container main"]
    # containerd knows the content by both digests once the release has pulled the index.
    assert pod["outcome"] == "verified"
    assert pod["digest"] in {one.digest, digest}
    assert pod["warnings"] == ["belongs to no service of the release"]


def test_unsigned_init_and_ephemeral_containers_are_refused(site, verify):
    good, bad = site.signed(), site.push()
    site.deploy(site.release(good))
    site.pod("init", good, init=bad)
    site.pod("debug", good)
    site.debug("debug", bad)
    status, rows, told = verify()
    assert status == 9
    assert {where for where, outcome in outcomes(rows, "pod").items() if outcome.isupper()} == {
        "pod Pod/init, init container setup",
        "pod Pod/debug, ephemeral container debug",
    }
    assert "Pod/debug, ephemeral container debug" in told


def test_a_foreign_image_is_refused_until_its_name_is_allowed(site, verify):
    site.deploy(site.release(site.signed()))
    other = site.push(part="proxy")
    site.pod("proxy", other)
    assert verify()[0] == 9
    site.configure(foreign=[f"localhost:5000/{site.name}/proxy*"])
    status, rows, told = verify()
    assert status == 0, told
    assert rows["pod Pod/proxy, container main"]["outcome"] == "foreign"


def test_a_workload_of_an_unsigned_image_is_refused_though_it_has_no_pods(site, verify):
    site.deploy(site.release(site.signed()))
    template = {
        "metadata": {"labels": {"app": "x"}},
        "spec": {"containers": [{"name": "main", "image": str(site.push())}]},
    }
    site.cluster.create(
        "Deployment",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "asleep"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "x"}},
                "template": template,
            },
        },
    )
    status, rows, _ = verify()
    assert status == 9
    assert rows["workload Deployment/asleep, container main"]["outcome"] == "UNSIGNED"


def test_an_unsigned_release_makes_nothing_of_what_it_names_verified(site, verify):
    release = site.deploy(site.release(site.signed(), sign=False))
    status, rows, told = verify()
    assert status == 9
    assert rows[f"release {release.ref.repository}"]["outcome"] == "UNSIGNED"
    assert not outcomes(rows, "image")
    assert set(outcomes(rows, "pod").values()) == {"verified"}, "it is signed by itself"
    assert str(release.ref) in told


def test_an_empty_environment_is_no_success(verify):
    status, _, told = verify()
    assert status == 2
    assert "nothing to verify" in told


def test_each_thing_is_verified_by_its_digest_or_by_what_its_tag_means_now(site, verify):
    release = site.release(site.signed("stable"))
    chart, image = release.services["web"].chart, release.images["web"].ref
    for word in (image, f"{site.name}/web@{image.digest}", f"{image.name}:stable", chart):
        status, rows, told = verify(str(word))
        assert (status, len(rows)) == (0, 1), told
    status, rows, told = verify(f"{site.name}/web:stable")
    assert f"{image.name}:stable is {image.digest}" in told
    status, rows, _ = verify(str(release.ref))
    assert status == 0
    assert sorted(row["kind"] for row in rows.values()) == ["chart", "image", "release"]


def test_what_is_not_signed_not_there_or_no_such_thing_is_refused(site, verify):
    image = site.push()
    assert verify(str(image))[0] == 9
    assert verify(f"{site.name}/web:nothing")[0] == 6
    assert verify(f"elsewhere.example/{site.name}/web:latest")[0] == 2
    assert verify("Not A Name")[0] == 2
    signed = site.signed()
    verdict = ImageRef(signed.registry, signed.repository, site.verdicts[signed])
    status, _, told = verify(str(verdict))
    assert status == 2
    assert "neither an image" in told


def test_a_signature_copied_to_another_repository_is_worth_nothing(site, verify):
    image = site.signed()
    content = site.registry.manifest(image.repository, image.digest)
    document = json.loads(content.content)
    other = f"{site.name}/other"
    for each in (document["config"], *document["layers"]):
        site.registry.put_blob(other, site.registry.blob(image.repository, each["digest"]))
    site.registry.put_manifest(other, content.content, content.media_type)
    tag = image.digest.replace(":", "-")  # of the referrers, by distribution specification 1.1
    index = site.registry.manifest(image.repository, tag)
    for entry in json.loads(index.content)["manifests"]:
        manifest = site.registry.manifest(image.repository, entry["digest"])
        parts = json.loads(manifest.content)
        for each in (parts["config"], *parts["layers"]):
            site.registry.put_blob(other, site.registry.blob(image.repository, each["digest"]))
        site.registry.put_manifest(other, manifest.content, manifest.media_type)
    site.registry.put_manifest(other, index.content, index.media_type, tag=tag)
    status, rows, _ = verify(f"{other}@{image.digest}")
    assert status == 9
    assert {row["outcome"] for row in rows.values()} == {"UNBOUND"}
