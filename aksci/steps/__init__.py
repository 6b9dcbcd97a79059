"""The steps that pipelines are composed of: each a verb that takes an environment.

Each has a module of its own, ``aksci.steps.VERB_step``, that is imported when the step is first
named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aksci.steps.compare_releases_step import compare_releases
    from aksci.steps.down_step import down
    from aksci.steps.export_acr_tasks_step import export_acr_tasks
    from aksci.steps.graph_step import graph
    from aksci.steps.lint_step import lint
    from aksci.steps.list_releases_step import list_releases
    from aksci.steps.load_release_step import load_release
    from aksci.steps.migrate_trust_step import migrate_trust
    from aksci.steps.plan_step import plan
    from aksci.steps.run_image_step import run_image
    from aksci.steps.show_step import show
    from aksci.steps.up_step import up

__all__ = [
    "compare_releases",
    "down",
    "export_acr_tasks",
    "graph",
    "lint",
    "list_releases",
    "load_release",
    "migrate_trust",
    "plan",
    "run_image",
    "show",
    "up",
]

_HOMES = {
    "compare_releases": "compare_releases_step",
    "down": "down_step",
    "export_acr_tasks": "export_acr_tasks_step",
    "graph": "graph_step",
    "lint": "lint_step",
    "list_releases": "list_releases_step",
    "load_release": "load_release_step",
    "migrate_trust": "migrate_trust_step",
    "plan": "plan_step",
    "run_image": "run_image_step",
    "show": "show_step",
    "up": "up_step",
}
"""Public name -> the module that defines it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found  # so that it is looked up once
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
