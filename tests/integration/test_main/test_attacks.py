"""Attacks on the way from sources to a cluster, by the product's own commands: each is refused.

The table of all attacks, with their tests, is in docs/security.md.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from dataclasses import replace

import pytest

from aksci.oci.artifact import Content, canonical_json, push_artifact, push_image
from aksci.oci.client import RegistryClient
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers
from aksci.supply.release.make_release import RELEASE_TYPE
from aksci.supply.scan.stored_verdict import VERDICT_TYPE
from aksci.supply.scan.verdict import SEVERITIES, Verdict

PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "MIIEowIBAAKCAQEA" * 20
    + "\n-----END RSA PRIVATE KEY-----\n"
)


@pytest.fixture
def registry(platform):
    client = RegistryClient(platform.registry, plain_http=True)
    yield client
    client.close()


@pytest.fixture
def evil(registry, tmp_path):
    """Push an image of the attacker's, in the name of any repository."""

    def make(repository, tag="evil"):
        tar = tmp_path / "evil.tar"
        with tarfile.open(tar, "w") as archive:
            entry = tarfile.TarInfo("evil")
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"evil"))
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/evil"]}}
        return push_image(registry, repository, tag, layers=[tar], config=config)

    return make


def _record(project, name="build"):
    return json.loads((project.folder / f".aksci/{name}.json").read_text())


def _built(project):
    return ImageRef.parse(_record(project)["images"]["web"]["ref"])


def _move(registry, repository, tag, ref):
    manifest = registry.manifest(ref.repository, ref.digest)
    registry.put_manifest(repository, manifest.content, manifest.media_type, tag=tag)


def _verdict_tags(registry, repository):
    return [tag for tag in registry.tags(repository) if tag.startswith("verdict-")]


def _leak_a_key(project):
    (project.folder / "server.key").write_text(PEM)
    dockerfile = project.folder / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("USER", "COPY server.key /srv/\nUSER"))


def test_a_tag_moved_between_scan_and_sign_and_push_changes_nothing(project, registry, evil):
    project.run("build", "--until", "scan")
    good = _built(project)
    bad = evil(good.repository)
    for tag in registry.tags(good.repository):
        if tag.startswith(("in-", "unchecked-")):
            _move(registry, good.repository, tag, bad)
    _move(registry, good.repository, "latest", bad)
    project.run("sign")
    project.run("push")
    assert registry.resolve(good.repository, "latest") == good.digest
    assert project.run("verify", str(good))
    assert "not signed" in project.run("verify", str(bad), expect=9)


def test_a_tag_moved_between_sign_and_deploy_changes_nothing(project, registry, evil, kubectl):
    project.run("build")
    good = _built(project)
    _move(registry, good.repository, "latest", evil(good.repository))
    project.run("deploy")
    pods = json.loads(kubectl("get", "pods", "-n", project.name, "-l", "app=web", "-o", "json"))
    assert [pod["spec"]["containers"][0]["image"] for pod in pods["items"]] == [str(good)]
    assert good.digest in project.run("verify")


def test_a_planted_finished_build_is_not_signed_but_built_again(project, registry, evil):
    project.run("build", "--until", "build")
    good = _built(project)
    key = _record(project)["images"]["web"]["inputKey"]
    bad = evil(good.repository)
    _move(registry, good.repository, f"in-{key}", bad)
    # The last run is trusted for its own digest, and for no other.
    output = project.run("build")
    assert "is not signed by anybody we trust" in output
    assert _built(project) == good
    # A machine that knows nothing trusts the signature.
    shutil.rmtree(project.folder / ".aksci")
    assert "0 built, 1 unchanged" in project.run("build")
    _move(registry, good.repository, f"in-{key}", bad)
    shutil.rmtree(project.folder / ".aksci")
    project.run("build")
    assert _built(project) == good
    assert registry.resolve(good.repository, f"in-{key}") == good.digest


def test_a_job_with_the_key_does_not_sign_what_nobody_vouches_for(project, registry, evil):
    """Where git says that no commit brought ``.aksci``, what it names is looked at, and no more."""
    for words in (("init", "--quiet"), ("add", "aksci.toml")):
        subprocess.run(["git", "-C", project.folder, *words], check=True)
    project.run("build", "--until", "build")
    good = _built(project)
    path = project.folder / ".aksci/build.json"
    path.write_text(path.read_text().replace(good.digest, evil(good.repository).digest))
    project.run("scan", expect=8)  # nothing in it is known to the scanner
    toml = project.folder / "aksci.toml"
    toml.write_text(toml.read_text().replace("[scan]", '[scan]\nempty = "note"'))
    project.run("scan")
    assert "covers what" in project.run("sign", expect=9)


def test_a_memory_that_comes_with_the_sources_vouches_for_nothing(project, registry, evil):
    """A pull request can bring ``.aksci/built.json``, and name what its author has pushed."""
    project.run("build", "--until", "build")
    good = _built(project)
    key = _record(project)["images"]["web"]["inputKey"]
    bad = evil(good.repository)
    _move(registry, good.repository, f"in-{key}", bad)
    path = project.folder / ".aksci/built.json"
    path.write_text(path.read_text().replace(good.digest, bad.digest))
    for words in (("init", "--quiet"), ("add", "--force", ".aksci/built.json")):
        subprocess.run(["git", "-C", project.folder, *words], check=True)
    output = project.run("build")
    assert "is not signed by anybody we trust" in output
    assert "git brings .aksci/built.json with the sources" in output
    assert _built(project) == good


def test_a_planted_passing_verdict_is_not_believed(project, registry):
    _leak_a_key(project)
    project.run("build", expect=8)
    ref = _built(project)
    (tag,) = _verdict_tags(registry, ref.repository)
    manifest = json.loads(registry.manifest(ref.repository, tag).content)
    content = registry.blob(ref.repository, manifest["layers"][0]["digest"])
    failing = Verdict.load(json.loads(content), ref)
    assert not failing.passed
    counts = {name: sum(f.severity == name for f in failing.tolerated) for name in SEVERITIES}
    forged = replace(failing, failing=(), problems=(), passed=True, counts=counts)
    document = canonical_json(forged.document())
    push_artifact(
        registry,
        ref.repository,
        artifact_type=VERDICT_TYPE,
        layers=[Content(media_type=VERDICT_TYPE, content=document)],
        subject=ref,
        tag=tag,
    )
    output = project.run("scan", expect=8)
    assert "is not trusted: scanning again" in output
    assert "private-key" in output
    project.run("sign", expect=8)


@pytest.mark.parametrize("below", ['CMD ["x"]\nRUN true\n', "RUN true\nRUN true\n"])
def test_a_key_below_a_command_or_a_run_is_found_in_a_built_image(project, below):
    _leak_a_key(project)
    dockerfile = project.folder / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("USER", f"{below}USER"))
    assert "private-key" in project.run("build", expect=8)


def test_policy_files_in_the_working_directory_silence_nothing(project):
    _leak_a_key(project)
    for name, text in (
        (".trivyignore", "private-key\n"),
        ("trivy.yaml", "severity: [LOW]\nscan:\n  scanners: [vuln]\n"),
        ("trivy-secret.yaml", "disable-rules: [private-key]\n"),
        (".vex/index.json", "{}"),
    ):
        path = project.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    project.variables |= {"TRIVY_SEVERITY": "LOW", "TRIVY_SCANNERS": "vuln"}
    assert "private-key" in project.run("build", expect=8)


@pytest.mark.parametrize("variables", [{"TF_BUILD": "True"}, {"GITHUB_ACTIONS": "true"}])
def test_file_names_and_labels_give_the_ci_system_no_orders(project, variables):
    hostile = "##vso[task.complete result=Succeeded;]x"
    folder = project.folder / hostile
    folder.mkdir()
    (folder / "server.key").write_text(PEM)
    dockerfile = project.folder / "Dockerfile"
    dockerfile.write_text(
        dockerfile.read_text().replace(
            "USER",
            'LABEL evil="##vso[task.setvariable variable=x]y ::error::z"\n'
            'COPY ["##vso*", "/srv/##vso[task.complete result=Succeeded;]x/"]\n'
            "RUN printf '::error::spoken\\n##[error]spoken\\n\\033[2Jspoken\\r'\nUSER",
        )
    )
    project.variables |= variables
    output = project.run("build", expect=8)
    assert "private-key" in output
    assert "##vso[task.complete" not in output
    assert "##[error]spoken" not in output
    assert "\x1b[2J" not in output
    assert not [line for line in output.splitlines() if line.startswith("::error::spoken")]


def test_a_signature_replayed_from_another_repository_is_refused(project, registry):
    project.run("build")
    good = _built(project)
    other = f"{project.name}/other"
    for entry in ({"digest": good.digest}, *list_referrers(registry, good)):
        manifest = registry.manifest(good.repository, entry["digest"])
        document = json.loads(manifest.content)
        for part in (document["config"], *document["layers"]):
            registry.put_blob(other, registry.blob(good.repository, part["digest"]))
        registry.put_manifest(other, manifest.content, manifest.media_type)
    _move(registry, other, good.digest.replace(":", "-"), _fallback(registry, good))
    replayed = ImageRef(good.registry, other, good.digest)
    assert list_referrers(registry, replayed)
    output = project.run("verify", str(replayed), expect=9)
    assert "dev.aksci.repository" in output


def _fallback(registry, ref):
    digest = registry.resolve(ref.repository, ref.digest.replace(":", "-"))
    return ImageRef(ref.registry, ref.repository, digest)


def test_a_tampered_release_is_refused_at_deploy_and_touches_no_cluster(
    project, registry, kubectl, evil
):
    project.run("build")
    ref = ImageRef.parse(_record(project, "release")["ref"])
    manifest = registry.manifest(ref.repository, ref.digest)
    document = json.loads(manifest.content)
    content = registry.blob(ref.repository, document["layers"][0]["digest"])
    good = _built(project)
    bad = evil(good.repository)
    forged = content.replace(good.digest.encode(), bad.digest.encode())
    assert forged != content
    fake = push_artifact(
        registry,
        ref.repository,
        artifact_type=RELEASE_TYPE,
        layers=[Content(media_type=RELEASE_TYPE, content=forged)],
        tag=f"r-{ref.digest.removeprefix('sha256:')[:12]}",
    )
    output = project.run("deploy", "--release", str(fake), expect=9)
    assert "is not signed" in output
    namespaces = kubectl("get", "namespaces", "-o", "name").split()
    assert f"namespace/{project.name}" not in namespaces
    project.run("deploy")  # the record names the digest, whatever its tag says now


def test_what_somebody_starts_beside_the_release_is_seen(project, kubectl, registry, evil):
    project.run("build")
    project.run("deploy")
    project.run("verify")
    good = _built(project)
    shell = registry.resolve("library/debian", "bookworm-slim")
    image = f"{registry.host}/library/debian@{shell}"
    kubectl(
        "run", "intruder", "-n", project.name, f"--image={image}", "--restart=Never",
        "--", "sleep", "600",
    )  # fmt: skip
    kubectl("wait", "-n", project.name, "--for=condition=Ready", "pod/intruder", "--timeout=60s")
    output = project.run("verify", expect=9)
    assert "intruder" in output
    assert good.digest in output
