"""A small project: what goes wrong is told with its own exit status, and a re-run goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from aksci.oci.client import RegistryClient

CRASH = '["sh", "-c", "echo cannot reach the database; exit 3"]'
EXTERNAL = """
[environments.far]
platform = "{platform}"
registry = "{registry}"
plain_http = true
kubeconfig = "kubeconfig"
namespace = "nowhere"
"""
FAILING_STEP = """
[[services.web.pre]]
name = "migrate"
kind = "job"
image = "web"
command = ["sh", "-c", "echo the column is still in use; exit 1"]
"""


def _revisions(kubectl, project):
    names = kubectl("get", "secrets", "-n", project.name, "-l", "owner=helm", "-o", "name")
    return sorted(names.split())


def _running(kubectl, project):
    pods = json.loads(kubectl("get", "pods", "-n", project.name, "-l", "app=web", "-o", "json"))
    return [pod["spec"]["containers"][0]["image"] for pod in pods["items"]]


def test_a_service_that_crashes_at_start_is_diagnosed_and_rolled_back(project, kubectl):
    project.run("build")
    project.run("deploy")
    good = _running(kubectl, project)
    project.write(command=CRASH, version="2")
    project.run("build")
    output = project.run("deploy", expect=12)
    assert "CRASH_LOOP" in output
    assert "cannot reach the database" in output
    assert "exit" in output
    assert _running(kubectl, project) == good
    project.write(version="3")
    project.run("build")
    project.run("deploy")
    assert _running(kubectl, project) != good


def test_a_failed_pre_step_stops_before_kubernetes_is_touched(project, kubectl):
    project.run("build")
    project.run("deploy")
    before, running = _revisions(kubectl, project), _running(kubectl, project)
    project.write(version="2", extra=FAILING_STEP)
    project.run("build")
    output = project.run("deploy", expect=11)
    assert "the column is still in use" in output
    assert _revisions(kubectl, project) == before
    assert _running(kubectl, project) == running


def test_rollback_brings_back_the_release_before(project, kubectl):
    project.run("build")
    project.run("deploy")
    first = _running(kubectl, project)
    project.write(version="2")
    project.run("build")
    project.run("deploy")
    assert _running(kubectl, project) != first
    project.run("rollback")
    assert _running(kubectl, project) == first


def test_a_refused_image_moves_no_tag_and_can_not_be_deployed(project, platform):
    project.write()
    dockerfile = project.folder / "Dockerfile"
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA" * 20
    (project.folder / "server.key").write_text(f"{key}\n-----END RSA PRIVATE KEY-----\n")
    dockerfile.write_text(dockerfile.read_text().replace("USER", "COPY server.key /srv/\nUSER"))
    output = project.run("build", expect=8)
    assert "private-key" in output
    registry = RegistryClient(platform.registry, plain_http=True)
    assert registry.resolve(f"{project.name}/web", "latest") is None
    assert "There is no release yet" in project.run("deploy", expect=2)


def test_a_failed_build_tells_the_failing_step_last(project):
    dockerfile = project.folder / "Dockerfile"
    step = "RUN echo the compiler says no >&2; exit 9\nUSER"
    dockerfile.write_text(dockerfile.read_text().replace("USER", step))
    output = project.run("build", expect=7)
    assert "the compiler says no" in "\n".join(output.splitlines()[-25:])


def test_ctrl_c_in_a_build_ends_it_at_once_and_a_re_run_succeeds(project, platform):
    dockerfile = project.folder / "Dockerfile"
    original = dockerfile.read_text()
    slow = original.replace("USER", "RUN echo now-building; sleep 100\nUSER")
    dockerfile.write_text(slow)
    status, output, seconds = project.interrupt_when("now-building", "build")
    assert status == 130, output
    assert "was interrupted" in output
    assert seconds < 15
    registry = RegistryClient(platform.registry, plain_http=True)
    assert registry.resolve(f"{project.name}/web", "latest") is None
    dockerfile.write_text(original)
    project.run("build")
    project.run("deploy")


def test_ctrl_c_in_a_deployment_ends_it_and_a_re_run_finishes_it(project, kubectl):
    project.write(ready="test -e /nowhere")
    project.run("build")
    status, output, seconds = project.interrupt_when("0 available", "deploy")
    assert status == 130, output
    assert seconds < 30
    project.write()
    project.run("build")
    project.run("deploy")
    assert len(_running(kubectl, project)) == 1
    assert json.loads(project.run("status", "--format", "json"))["environment"]["services"][0][
        "healthy"
    ]


@pytest.mark.parametrize(
    ("old", "new", "session", "status", "words"),
    [
        ('chart = "chart"', 'chart = "chrat"', "build", 3, "chrat"),
        ('image = "web"', 'image = "wbe"', "build", 3, "wbe"),
        ('"Dockerfile"', '"Dockerfil"', "build", 3, "Dockerfil"),
        ("[scan]", "[scam]", "plan", 3, "Did you mean 'scan'?"),
        ("schema = 1", "schema = 2", "plan", 3, "schema"),
    ],
)
def test_a_mistake_in_aksci_toml_is_told(project, old, new, session, status, words):
    path = project.folder / "aksci.toml"
    path.write_text(path.read_text().replace(old, new))
    output = project.run(session, expect=status)
    assert words in output
    assert "error" in output


def test_a_base_that_does_not_exist_is_named(project):
    dockerfile = project.folder / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("debian:", "no-such-image:"))
    assert "no-such-image" in project.run("build", expect=6)


@pytest.mark.parametrize("session", ["plan", "build"])
def test_an_unreachable_registry_is_an_error_and_not_an_empty_one(project, session):
    project.write(extra=EXTERNAL.format(platform="external", registry="127.0.0.1:1"))
    (project.folder / "Dockerfile").write_text('FROM scratch\nCMD ["/nothing"]\n')
    output = project.run(session, "--env", "far", expect=6)
    assert "127.0.0.1:1" in output


def test_an_unreachable_cluster_is_told_with_its_address(project, platform):
    project.write(extra=EXTERNAL.format(platform="external", registry=platform.registry))
    kubeconfig = platform.kubeconfig.read_text().replace(":6443", ":1")
    (project.folder / "kubeconfig").write_text(kubeconfig)
    output = project.run("status", "--env", "far", expect=13)
    assert "127.0.0.1:1" in output


def test_a_missing_docker_engine_is_told(project):
    project.write(extra=EXTERNAL.format(platform="docker", registry="127.0.0.1:5000"))
    # It is asked when something is to be built, and that depends on the bases.
    (project.folder / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    project.variables["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    output = project.run("build", "--env", "far", expect=53)
    assert "/nowhere/docker.sock" in output


def test_up_without_root_says_that_root_is_needed(project, tmp_path):
    project.variables["XDG_STATE_HOME"] = str(tmp_path / "state")
    # In a user namespace of its own, without a mapping, the process is nobody.
    output = project.run("up", expect=52, prefix=["unshare", "--user"])
    assert "root" in output


def test_a_full_disk_is_told_as_such(project, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        for name in ("aksci.toml", "Dockerfile", ".dockerignore", "chart"):
            subprocess.run(["cp", "-r", project.folder / name, small], check=True)
        filler = small / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(os.urandom(1 << 20))
        project.folder = small
        output = project.run("build", expect=28)
        assert "No space left" in output
        filler.unlink()
        project.run("build")
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def test_a_full_disk_stops_up_before_it_starts_anything(project):
    state = Path(tempfile.mkdtemp())  # short: sockets will be below it
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", state], check=True)
    try:
        project.variables["XDG_STATE_HOME"] = str(state)
        output = project.run("up", expect=28)
        assert str(state) in output
    finally:
        subprocess.run(["umount", "--lazy", state], check=True)


def test_nox_does_not_deploy_what_did_not_build(project):
    """``nox -s build deploy`` through a user's three-line noxfile."""
    (project.folder / "noxfile.py").write_text(
        '"""Sessions."""\nfrom aksci.nox import register\n\nregister()\n'
    )
    dockerfile = project.folder / "Dockerfile"
    original = dockerfile.read_text()
    dockerfile.write_text(original.replace("USER", "RUN exit 9\nUSER"))
    argv = [sys.executable, "-m", "nox", "-f", project.folder / "noxfile.py", "-s"]
    failed = subprocess.run([*argv, "build", "deploy"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "Session build aborted" in failed.stderr
    assert "Running session deploy" not in failed.stderr
    dockerfile.write_text(original)
    subprocess.run([*argv, "build", "deploy"], capture_output=True, text=True, check=True)


def test_status_before_the_first_deployment_says_that_nothing_is_there(project):
    document = json.loads(project.run("status", "--format", "json"))
    assert [service["state"] for service in document["environment"]["services"]] == ["absent"]


def test_a_planned_deployment_creates_nothing(project, kubectl):
    project.run("build")
    assert "install" in project.run("deploy", "--plan")
    namespaces = kubectl("get", "namespaces", "-o", "name").split()
    assert f"namespace/{project.name}" not in namespaces


def test_a_release_of_another_project_is_refused(project, tmp_path):
    project.run("build")
    release = json.loads((project.folder / ".aksci/release.json").read_text())["ref"]
    path = project.folder / "aksci.toml"
    path.write_text(path.read_text().replace(f'name = "{project.name}"', 'name = "other"'))
    output = project.run("deploy", "--release", release, expect=9)
    assert "is a release of" in output


def test_an_existing_cluster_and_registry_are_used_by_their_context(project, platform):
    """``platform = "external"``: nothing of the embedded platform is assumed."""
    environment = EXTERNAL.format(platform="external", registry=platform.registry)
    project.write(extra=environment + 'context = "aksci-local"\n')
    kubeconfig = project.folder / "kubeconfig"
    kubeconfig.write_text(platform.kubeconfig.read_text())
    assert "namespace  nowhere" in project.run("status", "--env", "far")
    kubeconfig.write_text(platform.kubeconfig.read_text().replace("aksci-local", "other"))
    assert "aksci-local" in project.run("status", "--env", "far", expect=3)


def test_a_builder_of_the_users_own_is_used(project, platform, toolbox, tmp_path):
    """``builder`` names a buildx builder in the user's own BUILDX_CONFIG; ours has none of it."""
    external = EXTERNAL.format(platform="external", registry=platform.registry)
    project.write(extra=external + 'builder = "mine"\n')
    (project.folder / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    project.variables["BUILDX_CONFIG"] = str(tmp_path / "buildx")
    create = ["create", "--name", "mine", "--driver", "remote", platform.buildkit]
    variables = os.environ | project.variables
    subprocess.run([toolbox.ensure("buildx"), *create], check=True, env=variables)
    project.run("build", "--env", "far", "--until", "build")
    work = json.loads(project.run("plan", "--env", "far", "--format", "json"))["work"]
    assert [item["action"] for item in work] == ["reuse"]
