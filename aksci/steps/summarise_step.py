"""The step ``summarise``: a value on the run's summary page, where the CI system has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aksci.environment import Environment

__all__ = ["summarise"]


def summarise(env: Environment, value: object) -> None:
    """Append what a step returned to the summary page of this CI job, in Markdown.

    >>> summarise(env, plan(env))  # doctest: +SKIP

    :raises UsageError: the value has no such form.
    """
    from aksci.report.rendering import render

    env.reporter.summary(render(value, "markdown"))
