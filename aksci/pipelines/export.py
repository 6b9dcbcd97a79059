"""The session ``export``: what another service needs to do the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.azure.acr_tasks.export_files import export_files
from aksci.azure.acr_tasks.output_folder import write_folder
from aksci.azure.acr_tasks.plan_tasks import plan_acr_tasks
from aksci.azure.acr_tasks.source_location import locate_source
from aksci.core.errors import ConfigError, UsageError
from aksci.steps.graph_step import graph as project_graph

if TYPE_CHECKING:
    from aksci.azure.acr_tasks.plan_tasks import AcrExport
    from aksci.cli.options import Options
    from aksci.environment import Environment

__all__ = ["export"]

_ACR_TASKS = "acr-tasks"


def export(env: Environment, options: Options) -> dict[str, Any]:
    """Write task files, scripts and an ARM template for ACR Tasks; warn of what they can't do.

    :raises ConfigError: ACR Tasks can build none of the images.
    """
    if options.words != (_ACR_TASKS,):
        asked = " ".join(options.words) or "nothing"
        raise UsageError(
            f"export can't write {asked}; it writes: {_ACR_TASKS}.",
            hint=f"nox -s export -- {_ACR_TASKS}",
        )
    folder = env.root / (options.output or f".aksci/{_ACR_TASKS}")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output {options.output}: {folder} is a file, and not a folder.")
    login = env.looking.endpoints.registry
    found = plan_acr_tasks(
        project_graph(env),
        env.config,
        login=login,
        source=locate_source(env.config.project.source, env.root),
    )
    _warn(env, found, login)
    write_folder(folder, export_files(found, tasks=_in_project(env, folder)))
    count = len(found.tasks)
    tasks = "1 task" if count == 1 else f"{count} tasks"
    env.reporter.line(f"written: {tasks} in {folder}; README.md tells how")
    return {
        "tasks": {task.image: task.name for task in found.tasks},
        "leftOut": {one.image: list(one.reasons) for one in found.left_out},
    }


def _warn(env: Environment, found: AcrExport, login: str) -> None:
    """Tell what is missing.

    :raises ConfigError: that is everything.
    """
    if not found.tasks:
        reasons = "\n".join(
            f"  {one.image}: {reason}" for one in found.left_out for reason in one.reasons
        )
        raise ConfigError(f"ACR Tasks can build none of the images:\n{reasons}")
    for one in found.left_out:
        env.reporter.warning(f"{one.image} has no task. {' '.join(one.reasons)}")
    if found.registry is None:
        env.reporter.warning(
            f"{login} is no Azure container registry: the scripts and the template ask for one. "
            "-- --env NAME chooses another environment."
        )
    if not found.source.repository:
        env.reporter.warning(
            "[project] source is no address of a Git repository: the scripts and the template ask "
            "for one."
        )


def _in_project(env: Environment, folder: Path) -> str:
    """Return the folder as a task finds it; where it is elsewhere, where it would be put."""
    inside = Path(folder).resolve()
    if inside.is_relative_to(env.root):
        return inside.relative_to(env.root).as_posix()
    return _ACR_TASKS
