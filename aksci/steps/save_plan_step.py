"""The step ``save_plan``: keep a plan, to compare it with a later one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.images.build_plan import plan_document
from aksci.images.plan_compare import save_plan as write_plan
from aksci.steps.show_step import place_for

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from aksci.environment import Environment
    from aksci.images.build_plan import BuildPlan

__all__ = ["origin_of_plan", "save_plan"]


def save_plan(env: Environment, plan: BuildPlan, file: str) -> Path:
    """Write a plan to a file, with where it comes from; return the file.

    >>> save_plan(env, plan(env), ".aksci/plan.json")  # doctest: +SKIP

    :param file: relative to the project's folder.
    :raises UsageError: the file's folder does not exist.
    """
    path = place_for(env, "--save", file)
    made = origin_of_plan(env, plan.only, with_dependents=plan.with_dependents)
    write_plan(path, plan_document(plan), made)
    env.reporter.line(f"kept: {path}")
    return path


def origin_of_plan(
    env: Environment, only: Collection[str], *, with_dependents: bool
) -> dict[str, Any]:
    """Return where a plan comes from, to be kept with it."""
    return {
        "project": env.config.project.name,
        "environment": env.name,
        "commit": env.commit,
        "created": env.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "only": sorted(only),
        "withDependents": with_dependents,
    }
