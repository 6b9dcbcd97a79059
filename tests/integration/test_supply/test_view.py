"""The real Trivy over a view: it looks at every layer, and gets nothing that it does not need."""

from __future__ import annotations

import io
import json
import tarfile
import urllib.error
import urllib.request
import uuid
from dataclasses import replace

import pytest

from aksci.config.supply_models import ScanConfig
from aksci.core.errors import GateError, UnreachableError
from aksci.core.process import Runner
from aksci.oci.artifact import push_artifact, push_image
from aksci.oci.references import ImageRef
from aksci.supply.scan.layer_registry import read_view, serve_view
from aksci.supply.scan.scan_evidence import load_packages, load_report
from aksci.supply.scan.scan_images import scan_image

REPOSITORY = "supply-test/view"
SECRET = frozenset({"secret"})
KEY = {
    "srv/server.key": "-----BEGIN RSA PRIVATE KEY-----\n"
    + "MIIEowIBAAKCAQEA" * 20
    + "\n-----END RSA PRIVATE KEY-----\n"
}
ADD, RUN = {"created_by": "ADD file:1 in /"}, {"created_by": "RUN /bin/sh -c true # buildkit"}
COPY = {"created_by": "COPY server.key /srv/ # buildkit"}
CMD = {"created_by": 'CMD ["x"]', "empty_layer": True}
CLASSIC = {"created_by": '/bin/sh -c #(nop)  CMD ["x"]', "empty_layer": True}
MOUNT = {"created_by": "mount / from exec /bin/sh -c true", "comment": "buildkit.exec.v0"}


@pytest.fixture
def tar(tmp_path):
    def make(files):
        path = tmp_path / f"{uuid.uuid4().hex}.tar"
        with tarfile.open(path, "w") as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text.encode())
                archive.addfile(entry, io.BytesIO(text.encode()))
        return path

    return make


@pytest.fixture
def push(registry, tar):
    """Push an image of several layers with a history; each is new to every cache."""

    def make(*layers, history=(), user="1000"):
        tars = [tar(files | {f"new/{uuid.uuid4().hex}": "new"}) for files in layers]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"User": user},
            "history": list(history),
        }
        return push_image(registry, REPOSITORY, "latest", layers=tars, config=config)

    return make


def secrets(report):
    return [
        (found["RuleID"], result["Target"])
        for result in report.get("Results") or []
        for found in result.get("Secrets") or []
    ]


class Cutting:
    """The real registry, whose large answers end early, or differ in their last byte."""

    def __init__(self, registry, damage):
        self.host = registry.host
        self.manifest, self._registry, self._damage = registry.manifest, registry, damage
        self.damaged = None

    def stream_blob(self, repository, digest):
        pieces = self._registry.stream_blob(repository, digest)
        return self._damage(pieces) if digest == self.damaged else pieces


def cut(pieces):
    yield next(pieces)[:20]
    pieces.close()
    raise UnreachableError("The registry is gone.")


def shorten(pieces):
    yield b"".join(pieces)[:-20]


def refuse(pieces):
    yield from pieces
    raise UnreachableError("It has another digest.")


@pytest.mark.parametrize(
    "history",
    [
        (ADD, COPY, CMD, RUN),
        (ADD, COPY, CLASSIC, RUN),
        (ADD, COPY, CMD, MOUNT),
        (ADD, CMD, COPY, MOUNT, CMD),
        (ADD, COPY, MOUNT, CMD),
    ],
)
def test_a_key_is_found_wherever_the_history_says_that_the_base_ends(scanner, files, push, history):
    image = push(files.clean, KEY, {}, history=history)
    assert secrets(scanner.scan(image, scanners=SECRET)) == [("private-key", "/srv/server.key")]


def test_trivy_alone_does_not_find_it(scanner, files, push, runner, tmp_path):
    image = push(files.clean, KEY, {}, history=(ADD, COPY, CMD, RUN))
    alone = runner.run(
        [scanner.trivy, "image", "-q", "-f", "json", "--image-src=remote", "--scanners=secret",
         "--skip-version-check", "--disable-telemetry",
         f"--cache-dir={tmp_path / 'alone'}", str(image)],
        cwd=tmp_path,
    )  # fmt: skip
    assert secrets(json.loads(alone.stdout)) == [], "the view is not needed any more"


def test_a_key_in_a_base_image_is_found_and_is_the_bases(
    scanner, files, push, registry, tar, notes, session_now
):
    base_tars = [tar(files.clean | KEY | {"new": uuid.uuid4().hex})]
    config = {"architecture": "amd64", "os": "linux", "config": {"User": "1000"}}
    base = push_image(
        registry, f"{REPOSITORY}-base", "1", layers=base_tars,
        config=config | {"history": [ADD, CMD]},
    )  # fmt: skip
    own = [*base_tars, tar(files.wheel("requests", "2.19.1") | {"new": uuid.uuid4().hex})]
    image = push_image(
        registry, REPOSITORY, "1", layers=own, config=config | {"history": [ADD, CMD, RUN]}
    )
    verdict = scan_image(
        image, scanner=scanner, policy=ScanConfig(), registry=registry, reporter=notes,
        now=session_now, base=base,
    )  # fmt: skip
    found = {finding.id: finding.origin for finding in verdict.failing}
    assert found == {"private-key": "base", "CVE-2018-18074": "own"}
    report = load_report(registry, verdict, verdict.reports[0])
    assert report["ArtifactName"] == str(image)
    assert "127.0.0.1" not in json.dumps(report)
    assert [package.name for package in load_packages(registry, verdict)] == ["openssl", "requests"]


def test_an_image_cannot_speak_for_a_layer_of_another_image(scanner, files, push, registry):
    bad = push(files.clean | KEY)
    good = push(files.clean)
    manifest = json.loads(registry.manifest(good.repository, good.digest).content)
    real = json.loads(registry.manifest(bad.repository, bad.digest).content)
    lie = registry.blob(bad.repository, real["config"]["digest"])  # with the bad one's DiffID
    manifest["config"] |= {"digest": registry.put_blob(REPOSITORY, lie), "size": len(lie)}
    digest = registry.put_manifest(
        REPOSITORY, json.dumps(manifest).encode(), manifest["mediaType"], tag="lie"
    )
    one = replace(scanner, cache_folders=1)
    assert secrets(one.scan(ImageRef(registry.host, REPOSITORY, digest), scanners=SECRET)) == []
    assert secrets(one.scan(bad, scanners=SECRET)) == [("private-key", "/srv/server.key")]


@pytest.mark.parametrize("damage", [cut, shorten, refuse])
def test_a_layer_that_does_not_arrive_whole_fails_and_is_not_remembered(
    scanner, files, push, registry, damage
):
    image = push(files.clean, KEY, history=(ADD, COPY))
    manifest = json.loads(registry.manifest(image.repository, image.digest).content)
    cutting = Cutting(registry, damage)
    one = replace(scanner, cache_folders=1, registry=cutting)
    for layer in manifest["layers"]:
        cutting.damaged = layer["digest"]
        with pytest.raises(GateError, match="could not be scanned, so it does not pass"):
            one.scan(image, scanners=SECRET)
    cutting.damaged = None
    assert secrets(one.scan(image, scanners=SECRET)) == [("private-key", "/srv/server.key")]


def test_trivy_gets_no_credential_and_no_proxy(scanner, files, push, tmp_path):
    shim, seen = tmp_path / "trivy", tmp_path / "seen"
    shim.write_text(
        f'#!/bin/sh\n{{ env; echo "$@"; ls -R "$HOME" "$DOCKER_CONFIG"; }} >>{seen} 2>&1\n'
        f'exec {scanner.trivy} "$@"\n'
    )
    shim.chmod(0o700)
    (tmp_path / "config.json").write_text('{"auths": {"localhost:5000": {"auth": "cGFzc3dvcmQ="}}}')
    secret = "pass-word-1"
    variables = {
        **scanner.runner.environment,
        "HTTPS_PROXY": f"http://user:{secret}@127.0.0.1:9",
        "http_proxy": f"http://user:{secret}@127.0.0.1:9",
        "TRIVY_PASSWORD": secret,
        "AZURE_CLIENT_SECRET": secret,
        "DOCKER_CONFIG": str(tmp_path),
    }
    hostile = Runner(environment=variables, log=lambda _: None)
    replace(scanner, trivy=shim, runner=hostile).scan(push(files.clean), scanners=SECRET)
    text = seen.read_text()
    assert "127.0.0.1:" in text
    assert secret not in text
    assert "config.json" not in text
    assert "localhost:5000" not in text


def test_misconfigurations_of_a_history_are_found_as_before_and_cannot_be_silenced(
    scanner, files, push
):
    sudo = {"created_by": "RUN /bin/sh -c sudo id # trivy:ignore:DS-0010 # buildkit"}
    silent = {"created_by": "ARG A\n#trivy:ignore:DS-0002\n", "empty_layer": True}
    image = push(files.clean, {}, history=(ADD, sudo, CMD, silent), user="root")
    report = scanner.scan(image, scanners=frozenset({"misconfig"}))
    found = {
        (entry["ID"], result["Target"] == str(image))
        for result in report["Results"]
        for entry in result.get("Misconfigurations") or []
    }
    assert {("DS-0002", True), ("DS-0010", True)} <= found


def test_the_view_answers_for_one_image_only_and_ends_with_the_scan(files, push, registry):
    image, other = push(files.clean), push(files.clean)
    view = read_view(registry, image)
    with serve_view(view, registry, image) as served:
        url = f"http://{served.name.registry}/v2/"
        assert served.name.registry.startswith("127.0.0.1:")
        manifest = fetch(f"{url}{REPOSITORY}/manifests/{view.digest}")
        assert manifest == view.manifest
        assert fetch(f"{url}{REPOSITORY}/blobs/{view.config_digest}") == view.config
        (layer,) = view.layers
        assert fetch(f"{url}{REPOSITORY}/blobs/{layer}") == registry.blob(REPOSITORY, layer)
        assert served.problem() == ""
        for place in (
            f"{REPOSITORY}/manifests/{image.digest}",
            f"{REPOSITORY}/manifests/{other.digest}",
            f"{REPOSITORY}/blobs/{view.real_config}",
            f"other/blobs/{layer}",
            f"{REPOSITORY}/../{REPOSITORY}/blobs/{layer}",
            "_catalog",
        ):
            assert fetch(url + place) == 404
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=5)


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_an_artifact_is_no_image(scanner, registry):
    artifact = push_artifact(registry, REPOSITORY, artifact_type="text/plain", tag="artifact")
    with pytest.raises(GateError, match="it is an artifact"):
        scanner.scan(artifact, scanners=SECRET)
