"""The step ``compare_plan``: what a plan of now says otherwise than one that was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.images.build_plan import plan_document
from aksci.images.plan_compare import PlanComparison, compare_plans

if TYPE_CHECKING:
    from aksci.environment import Environment
    from aksci.images.build_plan import BuildPlan
    from aksci.images.plan_compare import KeptPlan

__all__ = ["compare_plan"]


def compare_plan(_env: Environment, plan: BuildPlan, before: KeptPlan) -> PlanComparison:
    """Return which images are to be built now and were not then, and the other differences.

    >>> show(env, compare_plan(env, plan(env), read_plan(env, "plan.json")))  # doctest: +SKIP

    :param before: what ``read_plan`` returned.
    """
    return PlanComparison(document=compare_plans(before.document, plan_document(plan)))
