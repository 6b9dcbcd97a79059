"""The step ``lint``: Dockerfiles, charts and rendered manifests, checked without a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.config.policy_files import policy_files
from aksci.deploy.lint.lint_project import lint_project
from aksci.deploy.lint.lint_tools import lint_tools
from aksci.steps.graph_step import graph

if TYPE_CHECKING:
    from aksci.deploy.lint.lint_project import LintReport
    from aksci.environment import Environment

__all__ = ["lint"]


def lint(env: Environment) -> LintReport:
    """Check every Dockerfile, and every chart with the values of every environment.

    Neither a build nor a cluster is needed; Helm and kubeconform are installed where they are
    missing.

    >>> [str(finding) for finding in lint(env).errors]  # doctest: +SKIP
    ['charts/web (local): error: Deployment/web, container web: no readinessProbe [aksci-probe]']

    :raises ConfigError: aksci.toml, a Dockerfile or a file that [discover] names is wrong. Findings
        are returned; ``.require()`` raises it for those that are errors.
    :raises ToolError: a program that checks is missing and could not be installed.
    """
    images = graph(env).images.values()
    dockerfiles = sorted({env.root / image.spec.dockerfile for image in images})
    tools = lint_tools(env.toolbox, runner=env.runner, variables=env.variables)
    report = lint_project(env.config, env.root, dockerfiles, tools)
    env.reporter.line(f"{len(report.findings)} findings, {len(report.errors)} of them errors")
    named = ", ".join(policy_files(env.config))
    env.reporter.line(f"policy, which code owners should review: {named}")
    env.note("lint", {"findings": [finding.as_json() for finding in report.findings]})
    return report
