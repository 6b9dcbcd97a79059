"""Runs that end in the middle, and runs that meet each other."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from aksci.core.errors import AksciError, ClusterError, ConfigError, LockError
from aksci.deploy.kubernetes.cluster import connect
from aksci.deploy.state.lease import hold_lock
from aksci.deploy.targets.helm import read_helm_states

CHART = Path(__file__).parent / "chart"
HOOK = """
apiVersion: batch/v1
kind: Job
metadata:
  name: slow-hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade"}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - {name: hook, image: "%s", env: [{name: MODE, value: job}, {name: SECONDS, value: "100"}]}
"""


def latest(world, service="web"):
    state = read_helm_states(world.cluster).get(service)
    return state.latest if state else None


def kill_helm_in_the_middle(world, tmp_path):
    """Start a real helm upgrade with a hook that takes long, and kill it there."""
    chart = shutil.copytree(CHART, tmp_path / "with-hook", dirs_exist_ok=True)
    (chart / "templates" / "hook.yaml").write_text(HOOK % world.image)
    image = [f"image.repository={world.image.name}", f"image.digest={world.image.digest}"]
    argv = [world.helm_program, "upgrade", "--install", "web", chart, "--namespace"]
    argv += [world.namespace, "--kubeconfig", world.kubeconfig]
    argv += ["--set-string", image[0], "--set-string", image[1]]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not world.cluster.get("Job", "slow-hook") and time.monotonic() < deadline:
            time.sleep(0.1)
        process.kill()
    assert latest(world).pending


def test_a_release_that_helm_left_pending_is_repaired_and_upgraded(world, tmp_path):
    world.deploy()
    kill_helm_in_the_middle(world, tmp_path)
    world.values(version="2")
    world.deploy()
    assert "back to revision 1 first" in world.reporter.text
    assert latest(world).status == "deployed"
    assert world.ask() == "hello from 2"


def test_a_first_install_that_helm_left_pending_is_removed_and_installed(world, tmp_path):
    kill_helm_in_the_middle(world, tmp_path)
    result = world.deploy()
    assert result.plan.services[0].reasons == ({"code": "PENDING", "status": "pending-install"},)
    assert world.ask() == "hello from 1"


def interrupt_when(world, words):
    """Send ourselves Ctrl-C as soon as the narration has these words."""
    reporter, line = world.reporter, world.reporter.line

    def listen(text):
        line(text)
        if words in text:
            reporter.line = line
            os.kill(os.getpid(), signal.SIGINT)

    reporter.line = listen


@pytest.mark.parametrize("words", ["install (revision 1)", "updated, 0 available", "migrating"])
def test_after_ctrl_c_the_next_run_finishes(world, words):
    services = {"web": {"pre": [world.job("migrate", SECONDS=4)]}}
    release = world.release()
    interrupt_when(world, words)
    with pytest.raises((KeyboardInterrupt, AksciError)) as caught:
        world.deploy(release, **services)
    assert caught.type is KeyboardInterrupt
    world.cluster.halt.clear()

    result = world.deploy(release, run_id="run-2", **services)

    steps = result.services[0].steps
    assert [each.action for each in steps] == ["attached" if words == "migrating" else "unchanged"]
    assert world.ask() == "hello from 1"
    assert not world.deploy(release, **services).changed


def test_two_runs_at_once_are_kept_apart_and_the_second_is_told_who_was_first(world):
    with (
        hold_lock(world.cluster, "run-1 of alice", say=print),
        connect(world.kubeconfig, None, world.namespace) as other,
        pytest.raises(LockError, match="run-1 of alice, since 20"),
        hold_lock(other, "run-2", say=print),
    ):
        pass
    with hold_lock(world.cluster, "run-3", say=print) as lock:
        lock.check()


def test_the_lock_of_a_killed_run_is_taken_over_and_it_may_not_go_on(world):
    with hold_lock(world.cluster, "killed", say=print) as lock:
        lease = world.cluster.get("Lease", "aksci-deploy")
        lease["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
        world.cluster.replace("Lease", lease)
        with connect(world.kubeconfig, None, world.namespace) as other:
            taken = threading.Event()

            def take():
                with hold_lock(other, "second", say=print):
                    taken.set()
                    deadline = time.monotonic() + 20
                    while not lock._lost.is_set() and time.monotonic() < deadline:
                        time.sleep(0.1)

            thread = threading.Thread(target=take)
            thread.start()
            assert taken.wait(10)
            thread.join()
        with pytest.raises(LockError, match="was lost"):
            lock.check()


def test_wrong_credentials_are_told_from_an_unreachable_cluster(world, tmp_path):
    import yaml

    config = yaml.safe_load(world.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    wrong = tmp_path / "wrong"
    wrong.write_text(yaml.safe_dump(config))
    with pytest.raises(ClusterError, match="refuses the kubeconfig's credentials"):
        connect(wrong, None, world.namespace)


def test_an_absent_namespace_is_not_made_unless_asked_for(world):
    with pytest.raises(ConfigError, match="no namespace 't-absent'"):
        connect(world.kubeconfig, None, "t-absent")
