"""All files of an export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.azure.acr_tasks.readme import readme
from aksci.azure.acr_tasks.scripts import create_script, run_script
from aksci.azure.acr_tasks.taskfile import task_yaml
from aksci.azure.acr_tasks.template import arm_template

if TYPE_CHECKING:
    from aksci.azure.acr_tasks.acr_export import AcrExport

__all__ = ["export_files"]


def export_files(export: AcrExport, *, tasks: str) -> dict[str, str]:
    """Return the content of each file by name.

    :param tasks: the folder that they go to, from the project's folder on.
    """
    return {
        "README.md": readme(export),
        "create-tasks.sh": create_script(export, tasks=tasks),
        "run-tasks.sh": run_script(export),
        "tasks.json": arm_template(export),
        **{f"{task.name}.yaml": task_yaml(task, export) for task in export.tasks},
    }
