"""Choose the reporter that fits where we run: a terminal, GitHub Actions, Azure Pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from aksci.ci.azure_pipelines import AzurePipelinesReporter
from aksci.ci.console import ConsoleReporter
from aksci.ci.github import GitHubReporter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.core.reporting import Reporter

__all__ = ["choose_reporter"]


def choose_reporter(variables: Mapping[str, str], stream: TextIO) -> Reporter:
    """Return the reporter of the CI system that the environment variables tell of.

    Sources: GitHub Actions "Default environment variables" (``GITHUB_ACTIONS``); Azure Pipelines
    "Use predefined variables" (``TF_BUILD``).
    """
    # CI before the terminal: a job may have a pseudo-terminal, too.
    if variables.get("GITHUB_ACTIONS") == "true":
        return GitHubReporter(
            stream,
            summary_file=variables.get("GITHUB_STEP_SUMMARY"),
            output_file=variables.get("GITHUB_OUTPUT"),
        )
    if variables.get("TF_BUILD", "").lower() == "true":
        return AzurePipelinesReporter(stream, summary_folder=variables.get("AGENT_TEMPDIRECTORY"))
    colour = _wants_colour(variables, stream)
    if stream.isatty() and variables.get("TERM", "dumb") != "dumb":
        # A redirected stream and a dumb terminal can't move the cursor.
        from aksci.ci.live import LiveReporter

        return LiveReporter(stream, colour=colour)
    return ConsoleReporter(stream, colour=colour)


def _wants_colour(variables: Mapping[str, str], stream: TextIO) -> bool:
    """Decide as the NO_COLOR and FORCE_COLOR conventions say, and by the terminal otherwise."""
    # no-color.org: set to anything but an empty text.
    if variables.get("NO_COLOR"):
        return False
    if variables.get("FORCE_COLOR"):
        return True
    return stream.isatty() and variables.get("TERM") != "dumb"
