"""Choose the reporter that fits where we run: a terminal, GitHub Actions, Azure Pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from aksci.ci.azure_pipelines import AzurePipelinesReporter
from aksci.ci.console import ConsoleReporter
from aksci.ci.github import GitHubReporter
from aksci.core.reporting import ReporterContext
from aksci.core.secret_variables import secret_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.core.reporting import Reporter

__all__ = ["choose_reporter"]


def choose_reporter(variables: Mapping[str, str], stream: TextIO) -> Reporter:
    """Return the reporter of the CI system that the environment variables tell of.

    ``AKSCI_REPORTER`` names one that an installed package offers. It shows no secret of the
    environment.

    :raises ConfigError: no package offers it.
    :raises PartError: it can't be made.

    Sources: GitHub Actions "Default environment variables" (``GITHUB_ACTIONS``); Azure Pipelines
    "Use predefined variables" (``TF_BUILD``).
    """
    usual = _usual(variables, stream)
    # Before the first line: what is concealed later may have been told by then.
    hidden = [*secret_values(variables)]
    for value in hidden:
        usual.conceal(value)
    name = variables.get("AKSCI_REPORTER")
    if not name:
        return usual
    from aksci.ci.own_reporter import OwnReporter
    from aksci.core.offered import find_offer
    from aksci.core.reporting import Reporter

    offer = find_offer("aksci.reporters", name, where="AKSCI_REPORTER", built_in=())
    given = ReporterContext(name=name, stream=stream, variables=variables, usual=usual)
    own = OwnReporter(offer.make(given, Reporter))
    for value in hidden:
        own.conceal(value)
    return own


def _usual(variables: Mapping[str, str], stream: TextIO) -> ConsoleReporter:
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
