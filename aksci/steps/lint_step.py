"""The step ``lint``: Dockerfiles, charts and rendered manifests, checked without a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.config.policy_files import policy_files
from aksci.core.reporting import Annotating
from aksci.deploy.lint.lint_project import LintReport, lint_project
from aksci.deploy.lint.lint_sources import dates_note, lint_sources
from aksci.deploy.lint.lint_tools import lint_tools
from aksci.steps.graph_step import read_graph

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aksci.deploy.lint.lint_project import LintFinding
    from aksci.environment import Environment

__all__ = ["lint"]


def lint(env: Environment) -> LintReport:
    """Check every Dockerfile, and every chart with the values of every environment.

    Neither a build nor a cluster is needed; Helm and kubeconform are installed where they are
    missing and there is a chart. What is legal and most often not meant so, as a secret that
    nothing brings or an argument that no ARG declares, is among the findings.

    >>> [str(finding) for finding in lint(env).errors]  # doctest: +SKIP
    ['charts/web (local): error: Deployment/web, container web: no readinessProbe [aksci-probe]']

    :raises ConfigError: aksci.toml, a Dockerfile or a file that [discover] names is wrong. Findings
        are returned; ``.require()`` raises it for those that are errors.
    :raises ToolError: a program that checks is missing and could not be installed.
    """
    found = read_graph(env)
    dockerfiles = sorted({env.root / image.spec.dockerfile for image in found.images.values()})
    tools = lint_tools(env.config, env.toolbox, runner=env.runner, variables=env.variables)
    of_files = lint_sources(found, env.config, now=env.now())
    report = lint_project(env.config, env.root, dockerfiles, tools)
    report = LintReport(findings=tuple(sorted({*report.findings, *of_files})))
    _annotate(env, of_files)
    env.reporter.line(f"{len(report.findings)} findings, {len(report.errors)} of them errors")
    named = ", ".join(policy_files(env.config))
    if dates := dates_note(found, env.config):
        env.reporter.line(dates)
    env.reporter.line(f"policy, which code owners should review: {named}")
    env.note("lint", {"findings": [finding.as_json() for finding in report.findings]})
    return report


def _annotate(env: Environment, findings: Iterable[LintFinding]) -> None:
    """Put on the run's page what the graph's other sessions put there; people read it below."""
    if isinstance(env.reporter, Annotating):
        for finding in findings:
            if finding.level != "info":
                env.reporter.warning(str(finding))
