"""The step ``hand_over_matrix``: what is to be built, as jobs of a CI matrix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from aksci.images.plan_matrix import Matrices, make_matrices, matrix_value

if TYPE_CHECKING:
    from collections.abc import Collection

    from aksci.environment import Environment
    from aksci.images.build_plan import BuildPlan

__all__ = ["hand_over_matrix"]


def hand_over_matrix(
    env: Environment,
    plan: BuildPlan,
    *,
    system: Literal["github", "azure"],
    group: Literal["image", "component"] = "image",
    force: Collection[str] = (),
) -> Matrices:
    """Hand the jobs of a plan to later CI jobs, as outputs of this one.

    >>> hand_over_matrix(env, plan(env), system="github").matrices[0].name  # doctest: +SKIP
    'matrix'

    The outputs are ``any`` (``true`` or ``false``) and ``matrix``; where one matrix does not do,
    also ``matrix_1`` with ``any_1``, and so on.

    :param system: whose matrices they are.
    :param group: one job an image, or one for images that need each other.
    :param force: images that are built though they are published.
    """
    matrices = make_matrices(plan, group=group, force=force)
    env.reporter.output("any", "true" if matrices else "false")
    for matrix in matrices:
        value = json.dumps(matrix_value(matrix, system), separators=(",", ":"))
        env.reporter.output(matrix.name, value)
        if matrix.flag != "any":
            env.reporter.output(matrix.flag, "true")
    if len(matrices) > 1:
        names = ", ".join(matrix.name for matrix in matrices)
        env.reporter.warning(f"The jobs need {len(matrices)} matrices, one after another: {names}.")
    return Matrices(system=system, group=group, matrices=matrices)
