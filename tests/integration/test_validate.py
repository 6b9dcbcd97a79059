"""Running images for their checks: in a real Docker Engine and in the real cluster."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from aksci.config.loader import load_config
from aksci.config.models import ValidateConfig
from aksci.core.errors import (
    DockerError,
    Interrupted,
    PlatformError,
    RegistryError,
    ValidationError,
)
from aksci.core.git import Tracked
from aksci.core.process import Runner
from aksci.core.work_folder import WorkFolder
from aksci.deploy.kubernetes.cluster import connect
from aksci.deploy.kubernetes.pod_runner import PodRunner, pod_manifest
from aksci.environment import Environment
from aksci.images.build.build_record import BuiltImage
from aksci.images.validate import runc_container
from aksci.images.validate.checks import Check, spec_hash
from aksci.images.validate.containerd_runner import ContainerdRunner
from aksci.images.validate.docker_runner import DockerRunner
from aksci.images.validate.image_runner import CheckTask
from aksci.images.validate.own_validations import OwnValidations
from aksci.images.validate.result import ARTIFACT_TYPE
from aksci.images.validate.running_image import keep_running
from aksci.images.validate.validator import Validator
from aksci.local.layout import Layout
from aksci.oci.artifact import push_image
from aksci.oci.client import RegistryClient
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers
from aksci.steps.run_image_step import run_image
from aksci.testing.reporter import RecordingReporter

NAMESPACE = "aksci-validate-test"
CAPABILITIES = 0b100_1110_1011  # chown dac_override fowner kill setgid setuid net_bind_service
SLEEP = 'CMD ["sleep", "300"]'


@pytest.fixture(scope="session")
def registry(platform):
    client = RegistryClient(platform.registry, plain_http=True)
    yield client
    client.close()


@pytest.fixture(scope="session")
def make_image(platform, toolbox, registry, tmp_path_factory):
    """Build a Dockerfile through the platform's BuildKit; return its digest reference."""
    folder = tmp_path_factory.mktemp("images")
    runner = Runner(environment={**os.environ, "BUILDX_CONFIG": str(folder)}, log=lambda _: None)
    buildx = toolbox.ensure("buildx")
    where = ["create", "--name", "validate", "--driver", "remote", platform.buildkit]
    runner.run([buildx, *where])

    def make(dockerfile: str) -> ImageRef:
        context = folder / uuid.uuid4().hex
        context.mkdir()
        # Each test's image is one of its own: what a test stored beside it is not another's.
        (context / "Dockerfile").write_text(f"{dockerfile}\nLABEL test={context.name}\n")
        output = f"type=image,push=true,oci-mediatypes=true,name={registry.host}/validate-test/app"
        told = context / "metadata.json"
        runner.run(
            [buildx, "build", "--builder", "validate", "--provenance=false", "--output", output,
             "--metadata-file", told, context]
        )  # fmt: skip
        digest = json.loads(told.read_text())["containerimage.digest"]
        return ImageRef(registry.host, "validate-test/app", digest)

    return make


def now():
    return datetime.now(UTC)


@pytest.fixture(scope="session", params=["docker", "containerd", "cluster"])
def engine(request, platform):
    """An engine, and a function that lists what it has left behind."""
    if request.param == "docker":
        server = request.getfixturevalue("docker_engine")
        client = server.client()
        before = {image.id for image in client.images.list(all=True)}
        made = DockerRunner({"DOCKER_HOST": server.address}, hint="the hint", now=now)
        ours = {"label": "app.kubernetes.io/managed-by=aksci"}

        def left():
            networks = client.networks.list(filters={"label": "dev.aksci.expires"})
            return [*client.containers.list(all=True, filters=ours), *networks]

        yield SimpleNamespace(name="docker", made=made, left=left)
        made.close()
        assert {image.id for image in client.images.list(all=True)} <= before
        client.close()
        return
    if request.param == "containerd":
        layout = Layout(platform.state)
        made = ContainerdRunner(layout, variables=os.environ, make_network=lambda: None)
        # Other runs may use the platform meanwhile.
        yield SimpleNamespace(
            name="containerd", made=made, left=lambda: traces(layout, os.getpid())
        )
        return
    cluster = connect(platform.kubeconfig, None, NAMESPACE, create_namespace=True, embedded=True)

    def left():
        pods = cluster.list("Pod")
        return [each for each in pods if "deletionTimestamp" not in each["metadata"]]

    with cluster:
        yield SimpleNamespace(name="cluster", made=PodRunner(cluster), left=left)


def traces(layout, process):
    """Return what containers of a process have left of the platform's and of the machine's."""
    name = f"aksci-{process}-"
    ctr = ["ctr", "--address", layout.containerd_socket, "--namespace", "k8s.io"]
    told = "".join(
        subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        for argv in (
            [*ctr, "containers", "list", "--quiet"],
            [*ctr, "leases", "list", "--quiet"],
            [*ctr, "snapshots", "list"],
            ["iptables-save"],
        )
    )
    lines = [*told.splitlines(), *Path("/proc/self/mountinfo").read_text().splitlines()]
    folders = [layout.containers, layout.run / "runc-containers"]
    groups = Path("/sys/fs/cgroup").glob(f"**{layout.cgroup}/containers/{name}*")
    found = [path for folder in folders for path in folder.glob(f"{name}*")]
    return [*found, *groups, *(line for line in lines if name in line)]


@pytest.fixture
def notes():
    return RecordingReporter()


@pytest.fixture
def own(tmp_path):
    """What this project's own runs have seen."""
    return OwnValidations(WorkFolder(tmp_path, tracked=Tracked))


@pytest.fixture
def validate(registry, engine, notes, own):
    """Check an image with some configuration; nothing may be left behind."""

    def check(ref, *, make_engine=lambda: engine.made, **config):
        validator = Validator(
            registry=registry,
            make_engine=make_engine,
            configs={"app": ValidateConfig(**config)},
            own=own,
            reporter=notes,
            now=now,
            run="20261124T000000Z-abcdef",
        )
        try:
            return validator.check("app", ref)
        finally:
            assert engine.left() == []

    return check


def refuse():
    pytest.fail("nothing had to be run")


def stored(registry, ref):
    """Return the documents stored beside an image."""
    documents = []
    for entry in list_referrers(registry, ref, artifact_type=ARTIFACT_TYPE):
        manifest = json.loads(registry.manifest(ref.repository, entry["digest"]).content)
        documents.append(json.loads(registry.blob(ref.repository, manifest["layers"][0]["digest"])))
    return documents


def test_a_service_that_keeps_running_passes_and_is_not_run_again(
    validate, make_image, registry, notes
):
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    result = validate(ref)
    assert (result.passed, result.remembered) == (True, False)
    (document,) = stored(registry, ref)
    assert document["finding"] == "its process starts and keeps running"
    assert document["spec"] == spec_hash(ValidateConfig())
    assert document["platform"] == "linux/amd64"
    assert document["exitCode"] is None
    assert notes.lines == ["[app] validated: its process starts and keeps running"]
    again = validate(ref, make_engine=refuse)
    assert again.remembered
    assert again.stored == result.stored


@pytest.mark.parametrize(
    ("dockerfile", "why"),
    [
        ('FROM debian:bookworm-slim\nENTRYPOINT ["/nope"]', "no such file or directory"),
        ('FROM debian:bookworm-slim\nENTRYPOINT ["/etc/passwd"]', "permission denied"),
        (f"FROM debian:bookworm-slim\nUSER nobody-knows\n{SLEEP}", "find user|no users found"),
        (
            'FROM debian:bookworm-slim\nRUN echo hi >/x && chmod +x /x\nENTRYPOINT ["/x"]',
            "exec format error",
        ),
        (
            'FROM scratch\nCOPY --from=debian:bookworm-slim /bin/sleep /\nCMD ["/sleep", "9"]',
            "no such file or directory",
        ),
        ("FROM debian:bookworm-slim\nCMD exec nosuch-program", "nosuch-program: not found"),
    ],
)
def test_a_process_that_cannot_be_executed_fails(validate, make_image, registry, dockerfile, why):
    ref = make_image(dockerfile)
    with pytest.raises(
        ValidationError, match=r"^app does not run as it must: it.* can't"
    ) as caught:
        validate(ref)
    assert re.search(why, caught.value.message)
    assert "[images.app.validate]" in caught.value.hint
    (document,) = stored(registry, ref)
    assert document["passed"] is False


def test_a_service_that_misses_its_database_passes_with_advice(validate, make_image, notes):
    ref = make_image("FROM debian:bookworm-slim\nCMD echo no database; exit 3")
    result = validate(ref)
    assert result.finding == "its process starts, and ended with status 3 by itself"
    assert "[images.app.validate]" in result.advice
    assert notes.lines[0].endswith(result.advice)


def test_a_process_that_ends_well_passes_without_advice(validate, make_image):
    result = validate(make_image('FROM debian:bookworm-slim\nCMD ["true"]'))
    assert (result.finding[-9:], result.advice) == ("by itself", "")


def test_the_images_own_healthcheck_must_pass(validate, make_image):
    ref = make_image(
        "FROM debian:bookworm-slim\nHEALTHCHECK --interval=30s --retries=1 CMD test -e /tmp/ok\n"
        'CMD ["sh", "-c", "sleep 2; touch /tmp/ok; exec sleep 300"]'
    )
    result = validate(ref)
    assert result.finding.startswith("its health check passes after ")
    assert result.check.probe == ("/bin/sh", "-c", "test -e /tmp/ok")
    assert result.outcome.seconds < 15


def test_a_healthcheck_that_does_not_pass_in_time_fails_with_its_output(validate, make_image):
    ref = make_image(f"FROM debian:bookworm-slim\nHEALTHCHECK CMD echo not yet; exit 1\n{SLEEP}")
    with pytest.raises(ValidationError, match=r"did not pass within 4 s.*not yet"):
        validate(ref, timeout=4)


def test_a_process_that_ends_before_it_is_healthy_fails_with_its_log(validate, make_image):
    ref = make_image(
        "FROM debian:bookworm-slim\nHEALTHCHECK CMD false\nCMD echo the cause; sleep 1; exit 5"
    )
    with pytest.raises(
        ValidationError, match=r"its process ended with status 5 before its health check"
    ) as caught:
        validate(ref)
    assert caught.value.message.endswith("\n\n  the cause")


def test_a_configured_health_command_stands_in_for_the_healthcheck(validate, make_image):
    ref = make_image(f"FROM debian:bookworm-slim\nHEALTHCHECK CMD false\n{SLEEP}")
    result = validate(
        ref, health=("sh", "-c", 'test "$A" = "$(echo \'$$(B)\')"'), env={"A": "$$(B)"}
    )
    assert result.passed


def test_healthcheck_none_asks_only_that_the_process_starts(validate, make_image):
    result = validate(make_image(f"FROM debian:bookworm-slim\nHEALTHCHECK NONE\n{SLEEP}"))
    assert result.finding == "its process starts and keeps running"


def test_a_configured_command_runs_in_place_of_entrypoint_and_cmd(validate, make_image, registry):
    ref = make_image(
        'FROM debian:bookworm-slim\nHEALTHCHECK CMD false\nENTRYPOINT ["/no"]\nCMD ["x"]'
    )
    words = ("sh", "-c", 'test "$#-$1-$A" = "1-\\$(A)-secret"', "sh", "$(A)")
    result = validate(ref, command=words, env={"A": "secret"})
    assert result.outcome.exit_code == 0
    (document,) = stored(registry, ref)
    assert document["argv"] == list(words)
    assert document["variables"] == ["A"]
    assert "secret" not in json.dumps(document).replace("-secret", "")


def test_a_command_that_fails_ends_the_message_with_its_last_lines_made_harmless(
    validate, make_image, registry
):
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    script = "seq 1 5000; printf '##vso[task.setvariable]\\033[31m'; echo; exit 4"
    with pytest.raises(ValidationError, match="ended with status 4") as caught:
        validate(ref, command=("sh", "-c", script))
    assert caught.value.message.endswith("\n  5000\n  # #vso[task.setvariable]")
    (document,) = stored(registry, ref)
    assert len(document["log"].splitlines()) == 40


def test_a_command_that_does_not_end_is_ended_at_its_time_out(validate, make_image):
    started = time.monotonic()
    with pytest.raises(ValidationError, match="sleep 300 did not end within 2 s"):
        validate(
            make_image(f"FROM debian:bookworm-slim\n{SLEEP}"), command=("sleep", "300"), timeout=2
        )
    assert time.monotonic() - started < 30


def test_an_image_of_data_has_nothing_to_run(validate, make_image, registry):
    ref = make_image("FROM scratch\nCOPY Dockerfile /data")
    result = validate(ref, make_engine=refuse)
    assert result.finding.endswith("nothing to run")
    assert stored(registry, ref)[0]["kind"] == "nothing"


def test_a_container_is_isolated_unprivileged_and_limited(validate, engine, make_image):
    look = (
        "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; "
        "echo memory $(cat /sys/fs/cgroup/memory/memory.limit_in_bytes); "
        "echo secrets $(ls /var/run/secrets); echo links $(ls /sys/class/net); "
        "echo services $(env | grep -c _SERVICE_HOST); exit 9"
    )
    with pytest.raises(ValidationError) as caught:
        validate(make_image(f"FROM debian:bookworm-slim\n{SLEEP}"), command=("sh", "-c", look))
    seen = dict(re.findall(r"^  (\w+):?[ \t]+(.*)$", caught.value.message, re.MULTILINE))
    assert int(seen["CapBnd"], 16) == int(seen["CapEff"], 16) == CAPABILITIES
    assert (seen["NoNewPrivs"], seen["Seccomp"]) == ("1", "2")
    assert seen["memory"] == str(2**30)
    assert "secrets" not in seen
    if engine.name != "cluster":
        assert "eth0" not in seen["links"]


def test_an_image_with_a_numeric_user_gets_no_capability(validate, make_image):
    ref = make_image(f"FROM debian:bookworm-slim\nUSER 1000:1000\n{SLEEP}")
    result = validate(
        ref, command=("sh", "-c", "grep -q '^CapBnd:.*0000000000000000$' /proc/self/status")
    )
    assert result.passed


def test_stopping_removes_what_runs_at_once(engine, make_image):
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    task = CheckTask(
        image="app", ref=ref, platform="linux/amd64", run="r",
        check=Check(kind="command", argv=("sleep", "300"), timeout=300),
    )  # fmt: skip
    halt = threading.Event()
    timer = threading.Timer(4, halt.set)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        engine.made.run(task, halt)
    timer.join()
    assert time.monotonic() - started < 15
    assert engine.left() == []


def test_nothing_is_run_any_more_once_it_was_stopped(engine, make_image):
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    check = Check(kind="command", argv=("sleep", "300"), timeout=300)
    task = CheckTask(image="app", ref=ref, platform="linux/amd64", run="r", check=check)
    halt = threading.Event()
    halt.set()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        engine.made.run(task, halt)
    assert time.monotonic() - started < 5
    assert engine.left() == []


@pytest.mark.parametrize(
    "config", [{"health": ("no-such",), "timeout": 3}, {"command": ("no-such",)}]
)
def test_a_check_whose_program_the_image_lacks_says_so(validate, make_image, config):
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    with pytest.raises(ValidationError, match=r"no-such.*executable file not found"):
        validate(ref, **config)


def test_an_image_that_cannot_be_pulled_is_the_registrys_failure(engine, registry):
    ref = ImageRef(registry.host, "validate-test/app", "sha256:" + "0" * 64)
    task = CheckTask(
        image="app", ref=ref, platform="linux/amd64", run="r",
        check=Check(kind="start", argv=("x",)),
    )  # fmt: skip
    with pytest.raises(RegistryError, match=r"can't pull .*not found"):
        engine.made.run(task, threading.Event())
    assert engine.left() == []


def test_an_image_for_other_machines_is_told_and_not_remembered(
    validate, registry, notes, tmp_path
):
    with tarfile.open(tmp_path / "layer.tar", "w") as archive:
        entry = tarfile.TarInfo("data")
        archive.addfile(entry, io.BytesIO())
    config = {
        "architecture": "s390x",
        "os": "linux",
        "config": {"Cmd": ["/x"], "Labels": {"test": uuid.uuid4().hex}},
    }
    ref = push_image(
        registry, "validate-test/app", "s390x", layers=[tmp_path / "layer.tar"], config=config
    )
    result = validate(ref)
    assert (result.passed, result.stored) == (True, None)
    assert stored(registry, ref) == []
    assert notes.warnings == [
        "app: not validated: it is for linux/s390x, and what would run it is linux/amd64."
    ]


def test_ctrl_c_leaves_no_container(engine, registry, make_image, notes, own):
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    validator = Validator(
        registry=registry,
        make_engine=lambda: engine.made,
        configs={"app": ValidateConfig(command=("sleep", "300"), timeout=300)},
        own=own,
        reporter=notes,
        now=now,
        run="r",
    )
    done = threading.Event()

    def press():
        while not done.is_set() and not engine.left():
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    watcher = threading.Thread(target=press, daemon=True)
    watcher.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        validator.check_all({"app": ref})
    done.set()
    watcher.join()
    assert time.monotonic() - started < 30
    assert engine.left() == []
    assert stored(registry, ref) == []


def test_several_failures_are_told_together(engine, registry, make_image, notes, own):
    good = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    bad = make_image('FROM debian:bookworm-slim\nCMD ["/nope"]')
    validator = Validator(
        registry=registry,
        make_engine=lambda: engine.made,
        configs={},
        own=own,
        reporter=notes,
        now=now,
        run="r",
    )
    with pytest.raises(ValidationError, match="2 images don't run as they must: a, b") as caught:
        validator.check_all({"a": bad, "b": bad, "c": good})
    assert caught.value.message.count("no such file or directory") == 2
    assert [each["passed"] for each in stored(registry, good)] == [True]


def test_what_a_killed_run_left_is_removed_once_its_time_is_over(docker_engine, make_image):
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    client = docker_engine.client()
    client.images.pull(str(ref))
    for expires in ("1", "99999999999"):
        labels = {"dev.aksci.expires": expires}
        client.networks.create(f"left-{expires}", driver="bridge", labels=labels)
        client.containers.run(str(ref), detach=True, network_mode="none", labels=labels)
    DockerRunner({"DOCKER_HOST": docker_engine.address}, hint="", now=now).close()
    (left,) = client.containers.list(all=True, filters={"label": "dev.aksci.expires"})
    assert left.labels["dev.aksci.expires"] == "99999999999"
    left.remove(force=True)
    (network,) = client.networks.list(filters={"label": "dev.aksci.expires"})
    assert network.name == "left-99999999999"
    network.remove()
    client.images.remove(str(ref))
    client.close()


RUN = """
import os, sys, threading
from pathlib import Path
from aksci.images.validate.checks import Check
from aksci.images.validate.containerd_runner import ContainerdRunner
from aksci.images.validate.image_runner import CheckTask
from aksci.local.layout import Layout
from aksci.oci.references import ImageRef
layout, ref = Layout(Path(sys.argv[1])), ImageRef(*sys.argv[2:5])
runner = ContainerdRunner(layout, variables=os.environ, make_network=lambda: None)
check = Check(kind="start", argv=("sleep", "300"), timeout=300)
task = CheckTask(image="app", ref=ref, platform="", check=check, run="r")
with runner.serve(task, 80, threading.Event()):
    print("runs", flush=True)
    threading.Event().wait(300)
"""


def sleeping(layout):
    """Return which of the containers' processes run, by their folder's name."""
    groups = Path("/sys/fs/cgroup").glob(f"**{layout.cgroup}/containers/aksci-*/cgroup.procs")
    return {group.parent.name for group in groups if group.read_text().strip()}


@pytest.mark.parametrize("moment", [0.0, 0.15, 0.3, 0.45, None], ids=str)
def test_the_next_run_removes_what_a_killed_one_left_and_nothing_else(platform, make_image, moment):
    """Killed at once, on the way, or when its container runs."""
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    layout = Layout(platform.state)
    words = [platform.state, ref.registry, ref.repository, ref.digest]

    def begin():
        argv = [sys.executable, "-c", RUN, *words]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    with begin() as other, begin() as killed:
        try:
            assert other.stdout.readline() == "runs\n"
            if moment is None:
                assert killed.stdout.readline() == "runs\n"
            else:
                while not list(layout.containers.glob(f"aksci-{killed.pid}-*")):
                    time.sleep(0.005)
                time.sleep(moment)
            killed.kill()
            killed.wait()
            assert traces(layout, killed.pid)
            ContainerdRunner(layout, variables=os.environ, make_network=lambda: None)
            assert traces(layout, killed.pid) == []
            running = {name for name in sleeping(layout) if name.startswith(f"aksci-{other.pid}-")}
            assert len(running) == 1
        finally:
            killed.kill()
            other.send_signal(signal.SIGINT)
    assert traces(layout, other.pid) == []


def test_a_container_that_takes_too_much_memory_is_ended_and_that_is_told(
    validate, engine, make_image
):
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    with pytest.raises(ValidationError, match=r"using too much memory \(status 137\)"):
        validate(ref, command=("tail", "/dev/zero"))


def test_a_container_that_fills_the_disk_is_ended(make_image, platform, monkeypatch):
    monkeypatch.setattr(runc_container, "_DISK", 2**20)
    engine = ContainerdRunner(Layout(platform.state), variables=os.environ, make_network=now)
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    script = "head -c 2M /dev/urandom >/var/tmp/x; sleep 300"
    task = CheckTask(
        image="app", ref=ref, platform="", run="r",
        check=Check(kind="command", argv=("sh", "-c", script), timeout=300),
    )  # fmt: skip
    with pytest.raises(PlatformError, match=r"app was ended .* written more than .* GiB"):
        engine.run(task, threading.Event())
    assert traces(Layout(platform.state), os.getpid()) == []


def test_names_are_found_where_images_look_for_them(validate, make_image):
    ref = make_image(
        "FROM debian:bookworm-slim\nRUN mkdir -p /run/app && touch /run/app/there\n"
        f"USER 1000\n{SLEEP}"
    )
    script = (
        'test "$HOSTNAME" = "$(hostname)" && getent hosts localhost && test -r /etc/resolv.conf && '
        'getent hosts "$HOSTNAME" && test -e /run/app/there'
    )
    assert validate(ref, command=("sh", "-c", script)).passed


def test_a_flood_of_output_does_no_harm(validate, make_image):
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    with pytest.raises(ValidationError, match="did not end within 3 s") as caught:
        validate(ref, command=("sh", "-c", "yes flood & exec cat /dev/zero"), timeout=3)
    assert len(caught.value.message) < 50_000


# In a pod, the attempt lasts until all that it started has closed its output: the kubelet waits.
@pytest.mark.parametrize("engine", ["docker", "containerd"], indirect=True)
def test_what_a_health_check_that_hangs_has_started_is_ended(validate, make_image):
    """Each attempt ignores what can be ignored; the second one passes."""
    script = "trap '' TERM; test -e /tmp/again && exit 0; touch /tmp/again; sleep 60 & wait"
    ref = make_image(
        f'FROM debian:bookworm-slim\nHEALTHCHECK --timeout=1s CMD ["sh", "-c", "{script}"]\n{SLEEP}'
    )
    assert validate(ref, timeout=20).outcome.seconds < 10


def test_an_engine_that_does_not_answer_is_not_the_images_fault():
    with pytest.raises(DockerError, match="Docker Engine failed") as caught:
        DockerRunner({"DOCKER_HOST": "tcp://127.0.0.1:1"}, hint="the hint", now=now)
    assert caught.value.hint == "the hint"


def test_a_pod_that_a_killed_run_left_is_removed_once_its_time_is_over(platform):
    with connect(
        platform.kubeconfig, None, NAMESPACE, create_namespace=True, embedded=True
    ) as cluster:
        ref = ImageRef(platform.registry, "aksci/none", "sha256:" + "0" * 64)
        task = CheckTask(image="app", ref=ref, platform="", check=Check(kind="start"), run="r")
        for name, deadline in (("over", 1), ("not-yet", 600)):
            pod = pod_manifest(task, f"validate-{name}-{uuid.uuid4().hex[:8]}")
            pod["spec"]["activeDeadlineSeconds"] = deadline
            cluster.create("Pod", pod)
        while not cluster.list("Pod", fields="status.phase=Failed"):
            time.sleep(0.2)
        PodRunner(cluster)
        while len(pods := cluster.list("Pod")) > 1:
            time.sleep(0.2)
        (left,) = pods
        assert "not-yet" in left["metadata"]["name"]
        cluster.delete("Pod", left["metadata"]["name"], wait=60)


@pytest.fixture
def shop(platform, toolbox, runner, notes, tmp_path):
    """Make the embedded platform's environment of a project with these tables."""

    def make(tables="", settings=""):
        (tmp_path / "aksci.toml").write_text(
            f'schema = 1\n[project]\nname = "shop"\n{tables}'
            f'[environments.local]\nplatform = "embedded"\nnamespace = "shop"\n{settings}'
        )
        config = load_config(tmp_path / "aksci.toml")
        return Environment(
            root=tmp_path,
            config=config,
            name="local",
            settings=config.environments["local"],
            variables=os.environ,
            now=now,
            runner=runner,
            reporter=notes,
            cache=toolbox.cache,
            state=platform.state.parent,
            run_id="r",
        )

    return make


def test_the_embedded_platform_runs_images_in_its_containerd(shop, make_image):
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    with shop() as env:
        assert env.validator.check("app", ref).outcome.engine.startswith("containerd 1.")


def test_on_the_embedded_platform_pods_have_a_namespace_of_their_own(
    shop, registry, make_image, own
):
    env = shop(settings='validate_in = "cluster"\n')
    ref = make_image(f"FROM debian:bookworm-slim\n{SLEEP}")
    with env:
        validator = env.validator
        assert validator.check("app", ref).outcome.engine.startswith("kubernetes 1.")
        assert validator._made._cluster.namespace == "aksci-validate"


def test_the_step_runs_what_was_built_with_the_variables_of_its_table(shop, notes, server):
    env = shop('[images.app]\ndockerfile = "Dockerfile"\nvalidate.env = { PORT = "8080" }\n')
    built = BuiltImage(
        name="app", ref=server, input_key="k", tags=(), action="built", reasons=(), seconds=0,
        bases=(),
    )  # fmt: skip
    with env, run_image(env, built, port=8080) as running:
        assert running.get("/x") == (200, "asked x")
    assert "[app] runs, and answers on port 8080" in notes.lines
    with (
        env,
        pytest.raises(ValidationError, match="no port"),
        run_image(env, built, port=8080, variables={"PORT": "none"}),
    ):
        pytest.fail("it never answered")


def test_an_engine_of_another_machine_is_refused_before_anything_runs(docker_engine, monkeypatch):
    made = DockerRunner({"DOCKER_HOST": docker_engine.address}, hint="", now=now)
    ref = ImageRef("localhost:5000", "shop/app", "sha256:" + "0" * 64)
    task = CheckTask(image="app", ref=ref, platform="", check=Check(kind="start"), run="r")
    with contextlib.closing(made):
        monkeypatch.setattr(made._client.api, "base_url", "http://build.example:2375")
        with (
            pytest.raises(DockerError, match=r"Docker Engine runs on build\.example") as told,
            made.serve(task, 80, threading.Event()),
        ):
            pytest.fail("it can't be reached")
    assert 'validate_in = "cluster"' in told.value.hint


SERVER = r"""FROM debian:bookworm-slim
COPY <<'PERL' /server
use Socket;
socket(S, PF_INET, SOCK_STREAM, 0);
$ENV{PORT} =~ /^\d+$/ or die "no port\n";
bind(S, sockaddr_in($ENV{PORT}, INADDR_ANY)) or die "no port: $!\n";
listen(S, 99);
while (accept(C, S)) {
    while (<C>) { $path = $1 if m(^GET /(\S*)); last if /^\r?\n/ }
    exit 3 if $path eq "die";
    print C "HTTP/1.0 ", $path eq "bad" ? "500 Bad" : "200 OK", "\r\n\r\nasked $path";
    close C;
}
PERL
CMD ["perl", "/server"]
"""


@pytest.fixture
def serve(registry, engine):
    """Keep an image running; nothing may be left behind."""

    @contextlib.contextmanager
    def run(ref, *, port=8080, ready="/", timeout=30.0, **variables):
        try:
            with keep_running(
                engine.made, registry, "app", ref, variables=variables, port=port,
                ready=ready, timeout=timeout, limit=60, run="r",
            ) as running:  # fmt: skip
                assert engine.left()
                yield running
        finally:
            assert engine.left() == []

    return run


@pytest.fixture(scope="module")
def server(make_image):
    return make_image(SERVER)


def test_an_image_that_is_kept_running_answers_many_threads_at_once(serve, server):
    with serve(server, PORT="8080") as running, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(running.get, [f"/{number}?a=b" for number in range(40)]))
        assert answers == [(200, f"asked {number}?a=b") for number in range(40)]
        assert running.get("/bad") == (500, "asked bad")
        assert running.get("/die", timeout=5).status != 200


def test_what_the_block_raises_is_raised_and_the_image_is_removed(serve, server):
    with pytest.raises(OSError, match="mine"), serve(server, PORT="8080"):
        raise OSError("mine")


def test_an_image_that_ends_before_it_answers_is_refused_with_its_log(serve, server):
    with (
        pytest.raises(
            ValidationError, match=r"(?s)ended with status .* before it .*no port"
        ) as told,
        serve(server, PORT="80x80x"),
    ):
        pytest.fail("it did not answer")
    assert told.value.message.startswith("app ")


def test_an_image_that_listens_elsewhere_is_refused_when_its_time_is_over(serve, server):
    with (
        pytest.raises(
            ValidationError, match=r"runs, and port 8080 does not answer GET /r within 2"
        ),
        serve(server, PORT="8081", ready="/r", timeout=2),
    ):
        pytest.fail("it did not answer")


def test_an_image_that_cannot_be_started_is_refused(serve, make_image):
    ref = make_image('FROM debian:bookworm-slim\nENTRYPOINT ["/nope"]')
    with pytest.raises(ValidationError, match=r"app can't be started: .*no such file"), serve(ref):
        pytest.fail("it can't run")


def test_data_and_other_platforms_are_refused_before_anything_runs(serve, make_image, registry):
    with (
        pytest.raises(ValidationError, match="nothing to run"),
        serve(make_image("FROM scratch\nCOPY Dockerfile /data")),
    ):
        pytest.fail("it can't run")
