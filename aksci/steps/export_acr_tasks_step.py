"""The step ``export_acr_tasks``: what Azure Container Registry needs to build the images itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.azure.acr_tasks.export_files import export_files
from aksci.azure.acr_tasks.output_folder import export_folder, tasks_folder, write_folder
from aksci.azure.acr_tasks.plan_tasks import plan_acr_tasks
from aksci.azure.acr_tasks.source_location import locate_source
from aksci.steps.graph_step import graph

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.azure.acr_tasks.plan_tasks import AcrExport
    from aksci.environment import Environment

__all__ = ["export_acr_tasks"]


def export_acr_tasks(env: Environment, folder: Path | str | None = None) -> AcrExport:
    """Write task files, scripts and an ARM template for ACR Tasks; warn of what they can't do.

    It starts nothing, and contacts no other project.

    >>> [task.name for task in export_acr_tasks(env).tasks]  # doctest: +SKIP
    ['shop-base', 'shop-web']

    :param folder: where to, relative to the project's folder. Default: ``.aksci/acr-tasks``.
    :raises ConfigError: ACR Tasks can build none of the images.
    :raises UsageError: the folder is a file, or holds one of these files that no export wrote.
    """
    place = export_folder(env.root, folder)
    login = env.looking.endpoints.registry
    found = plan_acr_tasks(
        graph(env),
        env.config,
        login=login,
        source=locate_source(env.config.project.source, env.root),
    )
    found.require()
    for warning in found.warnings(login):
        env.reporter.warning(warning)
    write_folder(place, export_files(found, tasks=tasks_folder(env.root, place)))
    count = len(found.tasks)
    words = "1 task" if count == 1 else f"{count} tasks"
    env.reporter.line(f"written: {words} in {place}; README.md tells how")
    env.note("export-acr-tasks", found.as_json())
    return found
