"""The step ``summarise``: a value on the CI system's summary page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aksci.environment import Environment

__all__ = ["summarise"]


def summarise(env: Environment, value: object) -> None:
    """Append what a step returned to the run's summary page, where the CI system has one.

    >>> summarise(env, plan(env))  # doctest: +SKIP

    :param value: a plan, verdicts, a cascade…: whatever ``show`` can show as ``markdown``.
    :raises UsageError: the value can't be shown so.
    """
    from aksci.report.rendering import render

    env.reporter.summary(render(value, "markdown"))
