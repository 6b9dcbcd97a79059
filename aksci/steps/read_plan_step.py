"""The step ``read_plan``: a plan that ``save_plan`` kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.inside import place_named
from aksci.images.plan_compare import KeptPlan, load_plan
from aksci.steps.save_plan_step import origin_of_plan

if TYPE_CHECKING:
    from collections.abc import Collection

    from aksci.environment import Environment

__all__ = ["read_plan"]


def read_plan(
    env: Environment, file: str, *, only: Collection[str] = (), with_dependents: bool = False
) -> KeptPlan:
    """Read a plan that can be compared with one of the same images in this environment.

    >>> before = read_plan(env, ".aksci/plan.json")  # doctest: +SKIP
    >>> compare_plan(env, plan(env), before).same  # doctest: +SKIP
    True

    :param file: relative to the project's folder.
    :param only: the images of the other plan, as ``plan`` takes them.
    :raises UsageError: it is no plan, another version's, or of other images.
    :raises ConfigError: a link leads out of the project.
    """
    made = origin_of_plan(env, only, with_dependents=with_dependents)
    return KeptPlan(document=load_plan(place_named(env.root, file, where="the plan"), made))
