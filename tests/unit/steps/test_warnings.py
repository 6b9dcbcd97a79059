"""What sessions say of a project's files before they do anything."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from aksci import steps
from aksci.ci.azure_pipelines import AzurePipelinesReporter
from aksci.ci.console import ConsoleReporter
from aksci.ci.github import GitHubReporter
from aksci.core.errors import ConfigError, GateError
from aksci.core.process import Runner
from aksci.core.reporting import Annotating
from aksci.testing import CannedFinding, open_environment
from aksci.testing.reporter import RecordingReporter

TOML = 'schema = 1\n[project]\nname = "shop"\n[discover]\ndockerfiles = ["**/Dockerfile"]\n'
SAID = "aksci.toml has no [build.secrets.npm]; BuildKit goes on without it"


class OnAPage(RecordingReporter):
    ANNOTATES: ClassVar[bool] = True


@pytest.fixture
def folder(tmp_path):
    def make(flags=""):
        (tmp_path / "aksci.toml").write_text(TOML)
        mount = f"RUN --mount=type=secret,id=npm{flags} x"
        for name, line in (("web", mount), ("api", 'CMD ["x"]')):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "Dockerfile").write_text(f"FROM scratch\n{line}\n")
        return tmp_path

    return make


@pytest.mark.parametrize("step", [steps.graph, steps.plan])
def test_graph_and_plan_warn_and_their_documents_say_it_too(folder, capsys, step):
    with open_environment(folder()) as env:
        steps.show(env, step(env), format="json")
    assert env.reporter.warnings == [f"web/Dockerfile, line 2: {SAID}"]
    (one,) = json.loads(capsys.readouterr().out)["warnings"]
    assert (one["code"], one["images"]) == ("NO_SECRET", ["web"])


@pytest.mark.parametrize(("reporter", "times"), [(RecordingReporter, 0), (OnAPage, 1)])
def test_lint_has_it_among_its_findings_and_on_the_page_of_a_run(folder, reporter, times):
    told = reporter()
    runner = Runner(environment={}, log=told.line)
    with open_environment(folder(), reporter=told, runner=runner) as env:
        findings = steps.lint(env).findings
    line = f"web/Dockerfile:2: warning: {SAID} [aksci-no-secret]"
    assert [str(one) for one in findings if one.rule == "aksci-no-secret"] == [line]
    assert told.warnings == [line] * times
    assert sum("1970-01-01" in text for text in told.lines) == 1


def test_the_reporters_of_ci_systems_annotate(capsys):
    found = [
        isinstance(make(None), Annotating)
        for make in (GitHubReporter, AzurePipelinesReporter, ConsoleReporter)
    ]
    assert found == [True, True, False]


def test_what_is_required_stops_a_build_before_anything_is_built(folder):
    with open_environment(folder(",required=true")) as env:
        with pytest.raises(ConfigError, match=r"web/Dockerfile, line 2: aksci\.toml has no"):
            steps.build(env)
        assert env.world.builder.built == []
        steps.build(env, only=["api"])
        assert env.world.builder.built == ["api"]


def test_trivys_own_ignores_are_a_warning_beside_what_fails_and_else_a_note(folder):
    root = folder()
    (root / ".trivyignore").write_text("CVE-1\n")
    with open_environment(root) as env:
        made = steps.build(env)
        steps.scan(env, made).require()
        assert [one for one in env.reporter.lines if ".trivyignore" in one]
        assert not [one for one in env.reporter.warnings if ".trivyignore" in one]
        env.world.scanner.find("web", CannedFinding(id="CVE-1"))
        with pytest.raises(GateError):
            steps.scan(env, made).require()
    (told,) = [one for one in env.reporter.warnings if ".trivyignore" in one]
    assert "the gate does not read it" in told


def test_vex_that_holds_for_nothing_is_told_of_all_images_only(folder):
    root = folder()
    statement = {
        "vulnerability": {"name": "CVE-1"},
        "products": [{"@id": "pkg:deb/debian/other"}],
        "status": "not_affected",
        "justification": "component_not_present",
    }
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "author": "kim",
        "timestamp": "2026-11-01T00:00:00Z",
        "statements": [statement],
    }
    (root / "a.vex").write_text(json.dumps(document))
    with (root / "aksci.toml").open("a") as file:
        file.write('[scan]\nvex = ["a.vex"]\n')
    with open_environment(root) as env:
        env.world.scanner.find("web", CannedFinding(id="CVE-1"))
        steps.scan(env, steps.build(env, only=["api"]))
        assert not [one for one in env.reporter.warnings if "a.vex" in one]
        steps.scan(env, steps.build(env))
    (told,) = [one for one in env.reporter.warnings if "a.vex" in one]
    assert told.startswith("a.vex, statement 1: its product pkg:deb/debian/other is not where")
