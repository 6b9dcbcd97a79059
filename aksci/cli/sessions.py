"""The table of sessions: what each does and which pipeline it calls.

Which options a session takes, the options say (``aksci.cli.options``).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SESSIONS", "SessionSpec"]


@dataclass(frozen=True, kw_only=True)
class SessionSpec:
    """One session. Its module is imported when it runs and not before: ``nox -l`` stays quick."""

    summary: str
    module: str
    function: str
    recorded: bool = True
    """Write a run record."""


SESSIONS: dict[str, SessionSpec] = {
    "plan": SessionSpec(
        summary="Show what build would do, and why.",
        module="aksci.pipelines.plan",
        function="plan",
        recorded=False,
    ),
    "why": SessionSpec(
        summary="Explain one image: why it would be built, or why it was.",
        module="aksci.pipelines.plan",
        function="why",
        recorded=False,
    ),
    "graph": SessionSpec(
        summary="Print the image graph: text, DOT, Mermaid, JSON, or a page of HTML.",
        module="aksci.pipelines.plan",
        function="graph",
        recorded=False,
    ),
    "build": SessionSpec(
        summary="Build, validate, scan, sign and publish what changed, and make a release.",
        module="aksci.pipelines.build",
        function="build",
    ),
    "cascade": SessionSpec(
        summary="Rebuild what is based on bases that changed; scan, sign, deploy it.",
        module="aksci.pipelines.cascade",
        function="cascade",
    ),
    "receive": SessionSpec(
        summary="Wait for webhooks of registries, and start cascades.",
        module="aksci.pipelines.receive",
        function="receive",
        recorded=False,
    ),
    "export": SessionSpec(
        summary="Write what another service needs to do the same: acr-tasks.",
        module="aksci.pipelines.export",
        function="export",
        recorded=False,
    ),
    "validate": SessionSpec(
        summary="Run the last build's images that were not validated yet.",
        module="aksci.pipelines.build",
        function="validate",
    ),
    "scan": SessionSpec(
        summary="Scan the last build's images and apply the gate.",
        module="aksci.pipelines.build",
        function="scan",
    ),
    "sign": SessionSpec(
        summary="Sign the last build's images that passed the gate.",
        module="aksci.pipelines.build",
        function="sign",
    ),
    "push": SessionSpec(
        summary="Move stable tags to the last build's signed images and publish the release.",
        module="aksci.pipelines.build",
        function="push",
    ),
    "verify": SessionSpec(
        summary="Verify an image, a chart, a release, or all that runs in the environment.",
        module="aksci.pipelines.verify",
        function="verify",
    ),
    "release": SessionSpec(
        summary="Show a release, the difference of two, or the list of them.",
        module="aksci.pipelines.show_release",
        function="release",
        recorded=False,
    ),
    "promote": SessionSpec(
        summary="Bring a release from the environment before: copy, verify and deploy it.",
        module="aksci.pipelines.promote",
        function="promote",
    ),
    "migrate-trust": SessionSpec(
        summary="Sign with today's signers what Docker Content Trust has signed.",
        module="aksci.pipelines.migrate_trust",
        function="migrate_trust",
    ),
    "deploy": SessionSpec(
        summary="Verify the release and roll it out: pre steps, Helm, rollout, post steps.",
        module="aksci.pipelines.deploy",
        function="deploy",
    ),
    "rollback": SessionSpec(
        summary="Go back to an earlier release.",
        module="aksci.pipelines.deploy",
        function="rollback",
    ),
    "status": SessionSpec(
        summary="Show the local platform, and what runs in the environment.",
        module="aksci.pipelines.deploy",
        function="status",
        recorded=False,
    ),
    "lint": SessionSpec(
        summary="Check Dockerfiles, charts and rendered manifests.",
        module="aksci.pipelines.lint",
        function="lint",
    ),
    "up": SessionSpec(
        summary="Start or repair the embedded local platform.",
        module="aksci.pipelines.up_down",
        function="up",
    ),
    "down": SessionSpec(
        summary="Stop the embedded local platform.",
        module="aksci.pipelines.up_down",
        function="down",
    ),
}
