"""The tasks as commands of the Azure CLI.

Source: "az acr task" in the Azure CLI reference. ``--git-access-token @-`` reads the token from
stdin ("Use the Azure CLI successfully", "@" loads a value), so that no list of processes shows it.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from aksci.azure.acr_tasks.taskfile import one_line

if TYPE_CHECKING:
    from aksci.azure.acr_tasks.acr_export import AcrExport, AcrTask

__all__ = ["create_script", "run_script"]

_HEAD = """\
#!/usr/bin/env bash
# {title}
# Written by "nox -s export -- acr-tasks"; the next export writes it anew.
set -euo pipefail
{registry}
"""
_CREATE = """\
{source}
branch=${{BRANCH:-main}}
context=$source#$branch{folder}
# Where the task files are in that repository, from the project's folder on.
default_tasks={tasks}
tasks=${{TASKS:-$default_tasks}}
commits=${{COMMITS:-false}}
token=()
if [[ -n ${{GIT_ACCESS_TOKEN:-}} ]]; then
    token=(--git-access-token @-)
elif [[ $commits == true ]]; then
    echo "COMMITS=true needs GIT_ACCESS_TOKEN: ACR Tasks makes a webhook in the repository." >&2
    exit 2
fi
"""
_TASK = """
az acr task create --registry "$registry" --name {name} \\
    --context "$context" --file "$tasks"/{file} \\
    --platform {platform} --timeout {timeout} \\
    --base-image-trigger-enabled true --base-image-trigger-type {trigger} \\
    --commit-trigger-enabled "$commits" --pull-request-trigger-enabled false \\
    ${{token[@]+"${{token[@]}}"}} --output none <<<"${{GIT_ACCESS_TOKEN:-}}"
"""


def create_script(export: AcrExport, *, tasks: str) -> str:
    """Return the script that makes the tasks.

    :param tasks: the folder of their files, from the project's folder on.
    """
    if export.source.repository:
        source = (
            f"default_source={shlex.quote(export.source.repository)}\n"
            "source=${SOURCE:-$default_source}"
        )
    else:
        source = "source=${SOURCE:?the address of the Git repository}"
    return (
        _head(export, f"Make the ACR tasks of the project {export.project}.")
        + _CREATE.format(
            source=source,
            folder=shlex.quote(export.source.suffix) if export.source.suffix else "",
            tasks=shlex.quote(tasks),
        )
        + "".join(_create(export, task) for task in export.tasks)
    )


def run_script(export: AcrExport) -> str:
    """Return the script that runs each task once, bases first.

    "About base image updates for ACR Tasks": a task follows no base before it has run.
    """
    return _head(
        export, "Run each task once, bases first: before that, it follows none."
    ) + "".join(
        f'az acr task run --registry "$registry" --name {shlex.quote(task.name)}\n'
        for task in export.tasks
    )


def _head(export: AcrExport, title: str) -> str:
    if export.registry:
        registry = f"registry=${{REGISTRY:-{shlex.quote(export.registry)}}}"
    else:
        registry = "registry=${REGISTRY:?the name of the container registry, without .azurecr.io}"
    return _HEAD.format(title=one_line(title), registry=registry)


def _create(export: AcrExport, task: AcrTask) -> str:
    return _TASK.format(
        name=shlex.quote(task.name),
        file=shlex.quote(f"{task.name}.yaml"),
        platform=shlex.quote(task.platform),
        timeout=export.run_timeout,
        trigger=task.trigger,
    )
