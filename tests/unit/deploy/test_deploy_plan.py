"""Plans are pure: the same release and the same cluster give the same plan."""

from __future__ import annotations

import json
import tarfile
from dataclasses import asdict, replace

import pytest

from aksci.config.deploy_models import EnvironmentConfig, ServiceConfig
from aksci.core.errors import ConfigError, DeployError, UsageError
from aksci.deploy.deploy_plan import ClusterState, plan_deploy
from aksci.deploy.deploy_plan_changes import plan_changes
from aksci.deploy.opened_release import OpenedRelease, OpenedService
from aksci.deploy.rollback import choose_release
from aksci.deploy.state.deploy_record import Deployed, DeployRecord, ServiceRecord, read_record
from aksci.deploy.state.desired import gather_inputs
from aksci.deploy.targets.deploy_target import Revision, ServiceState
from aksci.deploy.tracking.track_rollout import Snapshot
from aksci.oci.references import ImageRef

OLD, NEW = (ImageRef("localhost:5000", "shop/web", f"sha256:{digit * 64}") for digit in "12")
EMPTY = Snapshot(workloads={}, pods=[], replica_sets=[])
HEALTHY = Snapshot(
    workloads={"CronJob/web": {"kind": "CronJob", "metadata": {"name": "web"}}},
    pods=[],
    replica_sets=[],
)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "Chart.yaml").write_text("name: web\n")
    (tmp_path / "web.yaml").write_text("")
    return tmp_path


def release(root, *names, image=OLD):
    services = {
        name: OpenedService(name=name, chart=root / "chart", images={"image": image})
        for name in names or ("web",)
    }
    return OpenedRelease(reference=f"localhost:5000/shop/release@{image.digest}", services=services)


def service(**settings):
    return ServiceConfig.model_validate({"chart": "chart", **settings}, strict=False)


def plan(root, state, *, of=None, services=None, values=("{service}.yaml",), **options):
    environment = EnvironmentConfig(registry="localhost:5000", namespace="shop", values=values)
    services = services or {"web": service()}
    return plan_deploy(
        of or release(root), services, "test", environment, state, root=root, **options
    )


def deployed(root, *, status="deployed", number=3, label=None, image=OLD, snapshot=HEALTHY):
    whole = release(root, image=image)
    inputs = gather_inputs(whole, whole.services["web"], service(), [root / "web.yaml"], root=root)
    record = ServiceRecord(
        desired=inputs.desired,
        revision=3,
        release=whole.reference,
        inputs=asdict(inputs),
        workloads=("CronJob/web",),
    )
    desired = inputs.desired if label is None else label
    latest = Revision(number=number, status=status, desired=desired, release="x")
    first = Revision(number=3, status="superseded", desired=inputs.desired, release="x")
    revisions = (first, latest) if number > 3 else (latest,)
    history = (Deployed(release=whole.reference, at="2026-01-01T00:00:00+00:00", run="r"),)
    return ClusterState(
        applied={"web": ServiceState(name="web", revisions=revisions)},
        record=DeployRecord(services={"web": record}, history=history),
        snapshot=snapshot,
    )


def test_an_unchanged_and_healthy_service_is_skipped(root):
    made = plan(root, deployed(root))
    assert made.services[0].action == "skip"
    assert made.nothing_to_do


def test_a_new_image_is_a_reason_with_its_old_and_new_digest(root):
    made = plan(root, deployed(root), of=release(root, image=NEW))
    assert made.as_json()["services"] == [
        {
            "service": "web",
            "action": "upgrade",
            "reasons": [{"code": "IMAGE", "key": "image", "old": str(OLD), "new": str(NEW)}],
        }
    ]
    assert "IMAGE image 111111111111 → 222222222222" in made.text()
    assert made.services[0].rollback_to == 3


def test_a_changed_values_file_a_chart_and_a_step_are_reasons(root):
    state = deployed(root)
    (root / "web.yaml").write_text("replicas: 2\n")
    (root / "chart" / "values.yaml").write_text("a: 1\n")
    step = {"name": "smoke", "kind": "http", "service": "web"}
    made = plan(root, state, services={"web": service(post=[step])})
    assert [each["code"] for each in made.services[0].reasons] == ["CHART", "VALUES", "STEPS"]


@pytest.mark.parametrize(
    ("changes", "action", "code"),
    [
        ({"status": "pending-upgrade", "number": 4}, "upgrade", "PENDING"),
        ({"status": "pending-install"}, "install", "PENDING"),
        ({"status": "failed", "number": 4}, "upgrade", "FAILED"),
        ({"number": 4, "label": ""}, "upgrade", "FOREIGN_CHANGE"),
        ({"number": 4}, "resume", "UNFINISHED"),
        ({"snapshot": EMPTY}, "upgrade", "MISSING"),
    ],
)
def test_an_unfinished_or_foreign_state_is_seen(root, changes, action, code):
    made = plan(root, deployed(root, **changes)).services[0]
    assert (made.action, made.reasons[0]["code"]) == (action, code)


def drifted(root, live, **changes):
    """Return a state whose CronJob was applied with OLD, and has other containers now."""
    pod = {"spec": {"containers": [{"name": key, "image": value} for key, value in live.items()]}}
    cron = {
        **HEALTHY.workloads["CronJob/web"],
        "spec": {"jobTemplate": {"spec": {"template": pod}}},
    }
    snapshot = replace(HEALTHY, workloads={"CronJob/web": cron})
    state = deployed(root, snapshot=snapshot, **changes)
    good = replace(state.record.services["web"], images={"CronJob/web": {"main": str(OLD)}})
    return replace(state, record=replace(state.record, services={"web": good}))


def test_an_image_that_was_set_by_hand_is_put_right(root):
    made = plan(root, drifted(root, {"main": "other:1"})).services[0]
    where = {"workload": "CronJob/web", "container": "main", "image": "other:1"}
    assert (made.action, made.reasons) == ("upgrade", ({"code": "DRIFT", **where},))
    assert made.drifted
    assert "DRIFT CronJob/web main other:1" in made.why


def test_an_image_that_was_set_by_hand_is_taken_back_by_an_ordinary_upgrade_too(root):
    made = plan(root, drifted(root, {"main": "x"}), of=release(root, image=NEW)).services[0]
    assert [each["code"] for each in made.reasons] == ["IMAGE", "DRIFT"]


def test_the_applied_image_and_a_container_that_was_only_added_are_no_drift(root):
    live = {"main": str(OLD), "injected": "mesh:1"}
    assert plan(root, drifted(root, live)).nothing_to_do


def test_the_revision_that_a_rollback_made_counts_as_what_it_restored(root):
    state = deployed(root, number=3, label="")
    assert plan(root, state).nothing_to_do


def test_a_service_without_a_known_good_revision_is_not_rolled_back_to_a_bad_one(root):
    bad = Revision(number=1, status="deployed", desired="other", release="x")
    state = ClusterState(
        applied={"web": ServiceState(name="web", revisions=(bad,))},
        record=DeployRecord(),
        snapshot=EMPTY,
    )
    assert plan(root, state).services[0].rollback_to is None
    foreign = replace(bad, desired="", release="")
    state = replace(state, applied={"web": ServiceState(name="web", revisions=(foreign,))})
    assert plan(root, state).services[0].rollback_to == 1


def test_services_come_after_what_they_need(root):
    services = {
        "a": service(needs=["c"]),
        "b": service(),
        "c": service(needs=["b"]),
    }
    state = ClusterState(applied={}, record=DeployRecord(), snapshot=EMPTY)
    made = plan(root, state, of=release(root, "a", "b", "c"), services=services, values=())
    assert [each.name for each in made.services] == ["b", "c", "a"]


def test_needs_that_go_in_a_circle_are_shown_as_one(root):
    services = {"a": service(needs=["b"]), "b": service(needs=["a"])}
    state = ClusterState(applied={}, record=DeployRecord(), snapshot=EMPTY)
    with pytest.raises(ConfigError, match=r"circle: (a → b → a|b → a → b)"):
        plan(root, state, of=release(root, "a", "b"), services=services, values=())


def test_a_missing_values_file_is_named(root):
    with pytest.raises(ConfigError, match=r"prod/web\.yaml does not exist"):
        plan(root, deployed(root), values=("prod/{service}.yaml",))


def test_a_service_that_the_release_does_not_have_is_refused_but_not_when_rolling_back(root):
    services = {"web": service(), "new": service()}
    with pytest.raises(ConfigError, match="has no service new"):
        plan(root, deployed(root), services=services)
    made = plan(root, deployed(root), services=services, rollback=True)
    assert [each.name for each in made.services] == ["web"]
    assert made.notes == ("the release does not have new: it stays as it is",)


def test_packing_a_chart_again_changes_nothing(root):
    def desired(chart):
        whole = replace(release(root), services={"web": OpenedService(name="web", chart=chart)})
        return gather_inputs(whole, whole.services["web"], service(), [], root=root).desired

    packed = []
    for time in (1, 2):
        path = root / f"{time}.tgz"
        with tarfile.open(path, "w:gz") as archive:
            info = archive.gettarinfo(root / "chart" / "Chart.yaml", "web/Chart.yaml")
            info.mtime = time
            with (root / "chart" / "Chart.yaml").open("rb") as content:
                archive.addfile(info, content)
        packed.append(desired(path))
    assert packed[0] == packed[1]
    (root / "chart" / "Chart.yaml").write_text("name: other\n")
    assert desired(root / "chart") != packed[0]


def record(*releases, attempt="", rollback=False, last_was_rollback=False):
    entries = [Deployed(release=each, at="", run="") for each in releases]
    if last_was_rollback:
        entries[-1] = replace(entries[-1], rollback=True)
    return DeployRecord(history=tuple(entries), attempt=attempt, rollback=rollback)


A, B = f"r/x@sha256:{'a' * 64}", f"r/x@sha256:{'b' * 64}"


@pytest.mark.parametrize(
    ("known", "to", "chosen"),
    [
        (record(A, B), None, A),
        (record(A, B, attempt="r/x@sha256:c"), None, B),
        (record(A, B, attempt=B), None, A),
        (record(A, B, attempt=A, rollback=True), None, A),  # interrupted on the way back: go on
        (record(A, B, attempt=A), None, B),  # an ordinary deployment of A that failed
        (record(A, B, A, B), None, A),
        (record(A, B), "aaaaaa", A),
        (record(A, B), B, B),
    ],
)
def test_the_release_to_roll_back_to(known, to, chosen):
    assert choose_release(known, to) == chosen


@pytest.mark.parametrize(
    ("known", "to"),
    [
        (record(), None),
        (record(A), None),
        (record(A), "bbbbbb"),
        (record(A), "a"),
        (record(A, B, A), None),
        (record(B, A, last_was_rollback=True), None),  # A's first deployment is older than history
    ],
)
def test_a_rollback_to_nowhere_is_refused(known, to):
    with pytest.raises(UsageError):
        choose_release(known, to)


def test_a_release_that_is_deployed_again_has_run_unchanged_since_then_only():
    """Another one had begun, or something was changed: the gate ``soak`` counts from now."""
    first = Deployed(release=A, at="2026-01-01T00:00:00+00:00", run="1")
    again = replace(first, at="2026-01-03T00:00:00+00:00", run="2")
    begun = replace(DeployRecord().finished(first), attempt=B)
    assert [(each.release, each.at) for each in begun.finished(again).history] == [(A, again.at)]


@pytest.mark.parametrize(
    "change",
    [
        {"services": []},
        {"history": [{"release": None, "at": "", "run": ""}]},
        {"history": [{"release": A, "at": 5, "run": ""}]},
        {"attempt": None},
    ],
)
def test_a_record_that_is_none_is_damaged(change):
    document = {"services": {}, "history": [], "attempt": "", **change}

    class Cluster:
        def get(self, _kind, _name):
            return {"data": {"record.json": json.dumps(document)}}

    with pytest.raises(DeployError, match="is damaged"):
        read_record(Cluster())


def test_a_plan_holds_while_nothing_has_changed(root):
    planned = plan(root, deployed(root), of=release(root, image=NEW))
    found = plan(root, deployed(root), of=release(root, image=NEW))
    assert plan_changes(planned, found) == ()


@pytest.mark.parametrize("state", ["0 of 1 ready", "1 of 2 ready"])
def test_how_far_a_rollout_is_makes_no_other_plan(root, state):
    planned = plan(root, deployed(root, snapshot=EMPTY))
    service = replace(
        planned.services[0],
        action="resume",
        reasons=({"code": "UNHEALTHY", "workload": "Deployment/web", "state": state},),
    )
    reasons = ({"code": "UNHEALTHY", "workload": "Deployment/web", "state": "0 of 2 ready"},)
    found = replace(planned, services=(replace(service, reasons=reasons),))
    assert plan_changes(replace(planned, services=(service,)), found) == ()


def changes(root, before, after, **options):
    """Tell what differs between plans of two states of the cluster."""
    made = [plan(root, state, of=release(root, image=NEW), **options) for state in (before, after)]
    return plan_changes(*made)


def test_a_service_that_was_changed_meanwhile_is_told_with_both_plans(root):
    absent = ClusterState(applied={}, record=DeployRecord(), snapshot=EMPTY)
    (told,) = changes(root, deployed(root), absent)
    planned = "web: planned was upgrade (IMAGE image 111111111111 → 222222222222)"
    assert told == f"{planned}, and now it is install (NEW)"


def test_a_revision_that_somebody_made_meanwhile_is_told_though_it_looks_the_same(root):
    before, after = deployed(root, status="failed"), deployed(root, status="failed", number=5)
    assert changes(root, before, after) == (
        "web: Helm has revision 5 (failed), and had revision 3 (failed)",
    )


def test_files_and_settings_that_changed_are_told(root):
    state = deployed(root, status="failed")
    planned = plan(root, state)
    (root / "web.yaml").write_text("replicas: 2\n")
    assert plan_changes(planned, plan(root, state)) == ("web: its values changed",)
    (root / "web.yaml").write_text("")
    patient = {"web": service(timeout=9)}
    assert plan_changes(planned, plan(root, state, services=patient)) == (
        "web: its settings in aksci.toml changed",
    )


def test_other_services_another_release_and_another_way_are_told(root):
    state = ClusterState(applied={}, record=DeployRecord(), snapshot=EMPTY)
    both = release(root, "web", "worker")
    services = {"web": service(), "worker": service()}
    planned = plan(root, state, of=both, services=services, values=(), rollback=True)
    found = plan(root, state, of=release(root, image=NEW), values=())
    assert plan_changes(planned, found) == (
        f"the release is localhost:5000/shop/release@{NEW.digest}, planned was {both.reference}",
        "it is no rollback, planned was a rollback",
        "web: its images changed",
        "worker: planned was install (NEW), and now it is left alone",
    )
    told = plan_changes(found, planned)
    assert "worker: nothing was planned, and now it is install (NEW)" in told


def test_a_plan_for_another_environment_is_told(root):
    planned = plan(root, deployed(root))
    assert plan_changes(planned, replace(planned, environment="live", namespace="x")) == (
        "planned for test (namespace shop), and this is live (x)",
    )
