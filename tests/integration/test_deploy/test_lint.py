"""Lint with the real programs."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aksci.cli.edge import run_session
from aksci.config.models import Config
from aksci.core.errors import ProcessError
from aksci.deploy.lint.lint_project import LintTools, lint_project
from aksci.deploy.program_limits import LIMITS

CHART = Path(__file__).parent / "chart"


@pytest.fixture
def project(tmp_path):
    shutil.copytree(CHART, tmp_path / "chart")
    (tmp_path / "web.yaml").write_text("")
    return tmp_path


@pytest.fixture
def lint(project, toolbox, runner):
    from aksci.tools.schemas import SCHEMA_LOCATION, ensure_schemas

    document = {
        "schema": 1,
        "project": {"name": "shop"},
        "services": {"web": {"chart": "chart", "images": {"image": "web"}}},
        "environments": {
            "test": {
                "registry": "localhost:5000",
                "namespace": "shop",
                "values": ["{service}.yaml"],
            }
        },
    }
    tools = LintTools(
        runner=runner,
        helm=toolbox.ensure("helm"),
        hadolint=Path(sys.executable).with_name("hadolint"),
        kubeconform=toolbox.ensure("kubeconform"),
        schema_location=f"{ensure_schemas(toolbox)}/{SCHEMA_LOCATION}",
    )

    def run(*dockerfiles):
        config = Config.model_validate(document, strict=False)
        return list(lint_project(config, project, dockerfiles, tools).findings)

    return run


def test_a_good_project_has_no_findings(lint):
    assert lint() == []


def test_a_dockerfile_s_finding_has_its_line(lint, project):
    dockerfile = project / "Dockerfile"
    dockerfile.write_text("FROM debian:bookworm-slim\nRUN cd /tmp && ls\n")
    found = lint(dockerfile)
    assert ("Dockerfile", 2, "DL3003") in [(each.path, each.line, each.rule) for each in found]


def test_a_field_that_kubernetes_does_not_know_is_found(lint, project):
    template = project / "chart" / "templates" / "all.yaml"
    template.write_text(template.read_text().replace("replicas:", "replicaz:", 1))
    assert [each.rule for each in lint()] == ["kubeconform"]


def test_a_misspelt_value_is_found_with_helm_s_words(lint, project):
    (project / "web.yaml").write_text("repliccas: 2\n")
    assert any(each.rule == "helm-lint" and "repliccas" in each.message for each in lint())


def test_a_missing_values_file_and_a_missing_chart_are_findings(lint, project):
    (project / "web.yaml").unlink()
    assert [each.rule for each in lint()] == ["aksci-values"]
    shutil.rmtree(project / "chart")
    assert [each.rule for each in lint()] == ["aksci-chart"]


ENDLESS = {
    "memory": "{{ range until 1000000000 }}{{ end }}",
    "output": '{{ range until 1000000 }}# {{ repeat 1000 "x" }}\n{{ end }}',
    "work": "{{ range 1000000000000 }}{{ end }}",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_template_without_an_end_is_ended(lint, project, monkeypatch, name):
    monkeypatch.setattr("aksci.deploy.lint.lint_project.LIMITS", replace(LIMITS, cpu=2))
    (project / "chart" / "templates" / "a.yaml").write_text(ENDLESS[name])
    message = "Helm can't render it: it takes more than 512 MiB, or 2 s of work"
    assert [each.message for each in lint()] == [message]


def test_a_dockerfile_that_takes_all_memory_is_none_that_passes(lint, project):
    dockerfile = project / "Dockerfile"
    dockerfile.write_text(f"FROM scratch\nRUN {'(' * 3000}a{')' * 3000}\n")
    with pytest.raises(ProcessError, match="memory"):
        lint(dockerfile)


TOML = """schema = 1
[project]
name = "shop"
[images.web]
dockerfile = "Dockerfile"
"""


def test_the_session_prints_its_findings_keeps_them_and_fails_for_errors(tmp_path, capsys):
    (tmp_path / "aksci.toml").write_text(TOML)
    dockerfile = tmp_path / "Dockerfile"

    def session():
        status = run_session("lint", [], folder=tmp_path)
        newest = max((tmp_path / ".aksci/runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        record = json.loads(newest.read_text())
        return status, capsys.readouterr().out, record["lint"]["findings"]

    dockerfile.write_text('FROM debian:bookworm-slim\nCMD ["true"]\n')
    assert session() == (0, "", [])
    dockerfile.write_text("FROM debian:bookworm-slim\nRUN cd /tmp && ls\n")
    status, shown, (kept,) = session()
    assert (status, kept["rule"]) == (0, "DL3003")
    assert shown.startswith("Dockerfile:2: warning: ")
    dockerfile.write_text("FROM debian:bookworm-slim\nRUN (\n")
    status, shown, (kept,) = session()
    assert (status, kept["level"]) == (3, "error")
    assert "Dockerfile" in shown
