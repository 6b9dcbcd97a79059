"""The pod that an image is validated in, as data."""

from __future__ import annotations

from aksci.deploy.kubernetes.pod_runner import _state, pod_manifest
from aksci.images.validate.checks import Check
from aksci.images.validate.image_runner import CheckTask
from aksci.oci.references import ImageRef

REF = ImageRef("r:1", "shop/app", "sha256:" + "1" * 64)


def pod(*, platform="linux/amd64", run="20261124T000000Z-abcdef", **check):
    values = {"kind": "start", "argv": ("x",), **check}
    task = CheckTask(image="web/app", ref=REF, platform=platform, check=Check(**values), run=run)
    return pod_manifest(task, "validate-1")


def container(**check):
    (only,) = pod(**check)["spec"]["containers"]
    return only


def test_the_image_is_named_by_digest_and_nothing_of_the_host_or_the_cluster_is_given():
    spec = pod()["spec"]
    assert spec["containers"][0]["image"] == str(REF)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes", "serviceAccountName"} & set(spec)
    assert not {"volumeMounts", "envFrom", "ports"} & set(spec["containers"][0])
    assert spec["restartPolicy"] == "Never"
    assert spec["activeDeadlineSeconds"] > 60


def test_labels_name_aksci_and_the_run_and_are_valid():
    metadata = pod(run="-run: 1/" + "x" * 99)["metadata"]
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "aksci"
    assert metadata["labels"]["aksci.dev/run"] == "run--1-" + "x" * 55
    assert metadata["annotations"] == {"aksci.dev/image": "web/app"}


def test_the_images_own_process_runs_unless_a_command_is_configured():
    assert not {"command", "args"} & set(container())
    assert container(kind="command", argv=("a", "$(B)"))["command"] == ["a", "$$(B)"]
    assert container(env={"A": "$(B)"})["env"] == [{"name": "A", "value": "$$(B)"}]


def test_a_probe_is_asked_each_second_and_never_given_up_before_our_own_time():
    probe = container(kind="health", probe=("p", "$x"), probe_timeout=0.2, timeout=50)[
        "startupProbe"
    ]
    assert probe["exec"]["command"] == ["p", "$$x"]
    assert (probe["periodSeconds"], probe["timeoutSeconds"]) == (1, 1)
    assert probe["failureThreshold"] > 50
    assert "startupProbe" not in container()


def test_a_numeric_user_satisfies_the_restricted_standard_and_root_the_baseline():
    restricted = pod(unprivileged=True)["spec"]
    assert restricted["securityContext"]["runAsNonRoot"] is True
    assert restricted["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    baseline = pod()["spec"]
    assert "runAsNonRoot" not in baseline["securityContext"]
    assert "SYS_ADMIN" not in str(baseline)
    for spec in (restricted, baseline):
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_node_is_of_the_images_platform():
    assert pod(platform="linux/arm64")["spec"]["nodeSelector"] == {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "arm64",
    }
    assert pod(platform="")["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}


def test_a_container_that_runs_is_healthy_only_when_its_probe_has_passed():
    def seen(started, **check):
        status = {"name": "image", "state": {"running": {}}, "started": started}
        return _state({**pod(**check), "status": {"containerStatuses": [status]}})

    assert seen(True, kind="health", probe=("p",)).healthy
    assert not seen(False, kind="health", probe=("p",)).healthy
    assert not seen(True).healthy
    assert seen(True).running
