"""The session ``lint``: Dockerfiles, charts and rendered manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci import steps

if TYPE_CHECKING:
    from aksci import Environment

__all__ = ["lint"]


def lint(env: Environment) -> None:
    """Check everything; print the findings; fail when one is an error.

    :raises ConfigError: a finding is an error.
    """
    report = steps.lint(env)
    if report.findings:
        steps.show(env, report)
    report.require()
