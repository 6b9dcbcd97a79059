"""What is behind the first thing that was noticed."""

from __future__ import annotations

import pytest

from aksci.deploy.tracking.diagnose import Diagnosis, refine
from aksci.deploy.tracking.workload_health import Fault

POD = {
    "metadata": {"name": "web-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"containers": [{"name": "main"}]},
    "status": {},
}


def event(reason, message, about="web-1"):
    return {
        "reason": reason,
        "message": message,
        "involvedObject": {"name": about},
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "metadata": {},
    }


LATE = Fault(code="TIMEOUT", message="not complete after 60 s")
KILLED = Fault(
    code="CRASH_LOOP", message="ended 3 times", pod="web-1", container="main", exit_code=137
)


@pytest.mark.parametrize(
    ("fault", "events", "pods", "code"),
    [
        (LATE, [event("Unhealthy", "Readiness probe failed: 503")], [POD], "PROBE_FAILING"),
        (LATE, [event("Unhealthy", "Readiness probe failed", about="other-1")], [POD], "TIMEOUT"),
        (LATE, [event("FailedCreate", "exceeded quota: q", about="web")], [], "QUOTA"),
        (LATE, [event("FailedCreate", "denied by policy", about="web")], [], "ADMISSION"),
        (LATE, [event("FailedCreate", "exceeded quota", about="other")], [], "TIMEOUT"),
        (LATE, [], [POD], "TIMEOUT"),
        (KILLED, [event("Unhealthy", "Liveness probe failed: timeout")], [POD], "PROBE_FAILING"),
        (KILLED, [event("Unhealthy", "Readiness probe failed: timeout")], [POD], "CRASH_LOOP"),
    ],
)
def test_the_root_cause_is_looked_for_behind_the_symptom(fault, events, pods, code):
    assert refine(fault, "StatefulSet/web", pods, events).code == code


def test_every_line_of_evidence_is_in_the_text():
    diagnosis = Diagnosis(
        service="web",
        workload="Deployment/web",
        fault=KILLED,
        events=("BackOff: restarting",),
        logs=("now",),
        previous_logs=("before",),
    )
    for words in (
        "CRASH_LOOP: ended 3 times",
        "pod web-1, container main",
        "BackOff",
        "now",
        "before",
    ):
        assert words in diagnosis.text()
    assert diagnosis.as_json()["exitCode"] == 137
