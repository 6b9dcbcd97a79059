"""What is known of a project's own files before anything is built."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from aksci.config.loader import load_config
from aksci.deploy.lint.lint_sources import dates_note, lint_sources
from aksci.deploy.lint.lint_tools import lint_tools
from aksci.images.graph_warnings import graph_warnings

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
ALL = '[discover]\ndockerfiles = ["**/Dockerfile"]\n'
SECRET = "FROM scratch\nRUN --mount=type=secret,id=npm"


@pytest.fixture
def lint(project):
    def run(files, toml=ALL):
        graph = project(files, toml)
        config = load_config(project.root / "aksci.toml")
        graph = replace(graph, warnings=graph_warnings(graph, config, now=NOW))
        return [str(one) for one in lint_sources(graph, config, now=NOW)]

    return run


def test_a_project_in_which_all_is_as_it_should_be_has_no_findings(lint):
    assert lint({"web/Dockerfile": "FROM scratch\nCOPY . .", "web/.dockerignore": ".git"}) == []


def test_what_the_graph_warns_of_is_found_with_its_place_once(lint):
    assert lint({"web/Dockerfile": f"{SECRET} x"}) == [
        (
            "web/Dockerfile:2: warning: aksci.toml has no [build.secrets.npm]; BuildKit goes on "
            "without it [aksci-no-secret]"
        )
    ]


def test_what_a_build_would_refuse_is_an_error(lint):
    (found,) = lint({"web/Dockerfile": f"{SECRET},required=true x"})
    assert "web/Dockerfile:2: error: " in found


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_an_ignore_file_that_buildkit_can_not_read_is_found(lint, project, encoding):
    ignored = project.root / "web/.dockerignore"
    ignored.parent.mkdir()
    ignored.write_bytes("node_modules\n".encode(encoding))
    (found,) = lint({"web/Dockerfile": "FROM scratch"})
    assert found.startswith("web/.dockerignore: warning: it is UTF-16")


def test_trivys_own_settings_are_named_wherever_an_image_has_them(lint):
    files = {"web/Dockerfile": "FROM scratch", ".trivyignore": "", "web/trivy.yaml": ""}
    found = lint({**files, "other/trivy.yaml": ""})
    assert [one.partition(": ")[0] for one in found] == [".trivyignore", "web/trivy.yaml"]
    assert all("the gate does not read it" in one for one in found)


def test_another_scanners_settings_are_its_own_matter(lint):
    files = {"web/Dockerfile": "FROM scratch", ".trivyignore": ""}
    assert lint(files, f'{ALL}[scan]\nscanner = "grype"\n') == []


def test_an_ignore_that_can_hold_for_nothing_is_known_without_a_scan(lint):
    entry = (
        '[[scan.ignore]]\nid = "{}"\nowner = "kim"\nreason = "not reachable"\nexpires = {}\n'.format
    )
    toml = ALL + "".join(
        entry(*each)
        for each in (
            ("CVE-2024-0001", "2026-11-29"),
            ("cve-2024-0002", "2028-01-01"),
            ("CVE-2024-0003", "2026-11-30"),
            ("CVE-2024-0004", "2028-01-01"),
        )
    )
    assert lint({"web/Dockerfile": "FROM scratch"}, toml) == [
        f"aksci.toml: warning: the ignore of {text} [aksci-ignore]"
        for text in (
            "CVE-2024-0001 expired on 2026-11-29 (owner: kim): today, at 00:00 UTC",
            "cve-2024-0002: Trivy calls it CVE-2024-0002 (owner: kim)",
            "CVE-2024-0003 expires in 1 day, on 2026-11-30 (owner: kim)",
        )
    ]


@pytest.mark.parametrize(
    ("build", "told"),
    [("", True), ("source_date_epoch = 0", False), ("source_date_epoch = 1700000000", False)],
)
def test_a_date_of_1970_is_told_unless_aksci_toml_says_that_it_is_meant(project, build, told):
    graph = project({"web/Dockerfile": "FROM scratch"}, f"{ALL}[build]\n{build}")
    note = dates_note(graph, load_config(project.root / "aksci.toml"))
    assert ("the date of all images is 1970-01-01" in note) is told


class NoToolbox:
    def ensure_all(self, names):
        raise AssertionError(names)


def test_a_project_without_charts_needs_none_of_the_programs_that_check_them(project):
    project({"web/Dockerfile": "FROM scratch"})
    config = load_config(project.root / "aksci.toml")
    hadolint = project.root / "hadolint"
    hadolint.touch(mode=0o755)
    variables = {"PATH": str(project.root)}
    tools = lint_tools(config, NoToolbox(), runner=None, variables=variables)
    assert (tools.hadolint, tools.helm, tools.kubeconform) == (hadolint, None, None)
