"""The step ``plan_cascade``: what a cascade would make again, and why. It starts nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aksci.cascade.cascade_plan import plan_cascade as plan_images
from aksci.cascade.cascade_report import planned_outcomes
from aksci.steps.cascade_parts import chooser_for, first_result, keep, open_scope

if TYPE_CHECKING:
    from collections.abc import Collection

    from aksci.cascade.cascade_report import Cascade
    from aksci.environment import Environment

__all__ = ["plan_cascade"]


def plan_cascade(
    env: Environment,
    *,
    bases: Collection[str] = (),
    batch: bool = False,
    registry_wide: bool = False,
) -> Cascade:
    """Decide what ``cascade`` would do now: each image with its action and the reasons.

    ``ask_owners`` and ``deploy_cascade`` only look, too, when they are handed the plan.

    >>> plan_cascade(env, bases=["debian:bookworm-slim"]).to_do  # doctest: +SKIP
    True

    :param bases: only what follows from these images counts: images of the project by name, or
        images from outside by tag; empty: all changes count.
    :param batch: take what the policy keeps for a batch.
    :param registry_wide: a base may be one that only other repositories' images are built on.
    :returns: with the error of what could not be looked at: see ``require``.
    :raises ConfigError: aksci.toml or a Dockerfile is wrong.
    :raises UsageError: nothing in the project is built on a base.
    :raises RegistryError: the registry does not answer; it is not started.
    """
    began = time.monotonic()
    here = env.looking
    scope = open_scope(here, bases, registry_wide=registry_wide)
    # A plan needs no keys: it shows an unsigned image as kept, and the cascade rebuilds it.
    chooser = chooser_for(here, scope, batch=batch, trusted=None)
    outcome = plan_images(chooser.lookup, chooser)
    cascade = first_result(
        env,
        scope,
        {name: one.choice for name, one in outcome.done.items()},
        planned=True,
        step="look",
        began=began,
        images=planned_outcomes(scope.graph, outcome),
        error=next((outcome.failed[name] for name in sorted(outcome.failed)), None),
    )
    return keep(env, cascade)
