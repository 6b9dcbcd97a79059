"""What we ask of rendered manifests beyond Kubernetes' schema."""

from __future__ import annotations

import pytest

from aksci.core.errors import ConfigError
from aksci.deploy.lint.lint_project import LintFinding, LintReport, check_manifests

GOOD = {
    "name": "main",
    "image": "r/a@sha256:" + "a" * 64,
    "resources": {"requests": {"cpu": "1m"}, "limits": {"memory": "1Mi"}},
    "readinessProbe": {},
    "livenessProbe": {},
}


def deployment(**changes):
    container = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    template = {"spec": {"containers": [container]}}
    return {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": template}}


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, []),
        ({"image": "r/a:latest"}, ["aksci-digest"]),
        ({"image": "r/a:1@sha256:" + "a" * 64}, []),
        ({"resources": None}, ["aksci-resources"]),
        ({"resources": {"requests": {"cpu": "1"}}}, ["aksci-resources"]),
        ({"readinessProbe": None, "livenessProbe": None}, ["aksci-probe", "aksci-probe"]),
    ],
)
def test_a_container_is_checked(changes, rules):
    assert [each.rule for each in check_manifests("chart", [deployment(**changes)])] == rules


def test_jobs_and_cron_jobs_need_no_probes_but_digests():
    container = {key: value for key, value in GOOD.items() if "Probe" not in key}
    bad = {**container, "image": "r/a:1"}
    template = {"template": {"spec": {"containers": [bad], "initContainers": [container]}}}
    job = {"kind": "Job", "metadata": {"name": "j"}, "spec": template}
    cron = {
        "kind": "CronJob",
        "metadata": {"name": "c"},
        "spec": {"jobTemplate": {"spec": template}},
    }
    assert [each.rule for each in check_manifests("chart", [job, cron])] == ["aksci-digest"] * 2


def test_other_kinds_and_empty_documents_are_left_alone():
    assert check_manifests("chart", [{}, {"kind": "Service"}, {"kind": "Deployment"}]) == []


@pytest.mark.parametrize("value", [None, 1, "x", [], ["x"], [None], {}, {"containers": "x"}])
def test_a_chart_may_render_anything(value):
    for kind in ("Deployment", "CronJob", "Pod", ["Pod"]):
        check_manifests("chart", [{"kind": kind, "metadata": value, "spec": value}])
        pod = {"containers": value, "initContainers": value}
        check_manifests("chart", [{"kind": kind, "spec": pod | {"template": value}}])
        template = {"template": {"spec": {"containers": [{"resources": value, "image": value}]}}}
        check_manifests("chart", [{"kind": kind, "metadata": value, "spec": template}])


def test_only_a_finding_that_is_an_error_fails():
    def finding(level):
        return LintFinding(path="web", line=0, level=level, rule="R1", message=level)

    allowed = LintReport(findings=(finding("info"), finding("warning")))
    allowed.require()
    assert allowed.errors == ()
    bad = LintReport(findings=(*allowed.findings, finding("error"), finding("error")))
    with pytest.raises(ConfigError, match=r"lint found 2 errors; the first: web: error: error"):
        bad.require()
