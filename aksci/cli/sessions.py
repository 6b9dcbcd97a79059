"""The table of sessions: what each does, which function it calls, which options that takes.

What the options mean is in ``aksci.cli.options``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.cli.option import DeclaredOption

__all__ = ["SESSIONS", "SessionSpec"]

_ANY = (0, 1, 2, 3, 28, 130)
"""Exit statuses of all sessions: success, a bug, a usage error, a full disk, Ctrl-C."""
_TOOLS = (4, 15, 16)
"""It runs programs; git and buildx are some."""
_PLATFORM = (5, 51, 52, 53)
"""It starts the embedded platform."""
_BUILD = (*_TOOLS, *_PLATFORM, 6, 7, 8, 9, 10, 13, 17, 18)
"""From sources to signed images. Pods validate, and may build: so the cluster may refuse."""
_DEPLOY = (*_TOOLS, *_PLATFORM, 6, 9, 10, 11, 12, 13, 14, 19)


@dataclass(frozen=True, kw_only=True)
class SessionSpec:
    """One session. Its function is imported when it runs and not before: ``nox -l`` stays quick."""

    name: str
    summary: str
    """One sentence."""
    target: str
    """``module:function``. It takes an ``Environment``, and by name the options that were given."""
    options: tuple[str, ...] = ()
    """Names of ``OPTIONS``; ``env``, which all have, aside."""
    recorded: bool = True
    """Write a run record."""
    fails: tuple[int, ...] = ()
    """Its exit statuses beyond those of all sessions."""
    example: str = ""
    """Example arguments."""
    own: tuple[DeclaredOption, ...] = ()
    """Options that only this session of a team has."""
    noxfile: Path | None = None
    """The noxfile that declares it; None: it is one of ours."""

    @property
    def statuses(self) -> tuple[int, ...]:
        """All exit statuses that it can end with."""
        return tuple(sorted({*_ANY, *self.fails}))


_TABLE = (
    SessionSpec(
        name="plan",
        summary="Show what build would do, and why.",
        target="aksci.pipelines.plan:plan",
        options=(
            "format",
            "force",
            "only",
            "with_dependents",
            "output",
            "save",
            "compare",
            "matrix",
            "group",
            "exit_code",
        ),
        recorded=False,
        fails=(*_TOOLS, 6, 20),
        example="--only web --format markdown",
    ),
    SessionSpec(
        name="why",
        summary="Explain one image: why it would be built, or why it was.",
        target="aksci.pipelines.plan:why",
        options=("format", "words", "force", "output"),
        recorded=False,
        fails=(*_TOOLS, 6),
        example="web",
    ),
    SessionSpec(
        name="graph",
        summary="Print the image graph: text, DOT, Mermaid, JSON, or a page of HTML.",
        target="aksci.pipelines.plan:graph",
        options=("format", "output"),
        recorded=False,
        fails=_TOOLS,
        example="--format html --output graph.html",
    ),
    SessionSpec(
        name="build",
        summary="Build, validate, scan, sign and publish what changed, and make a release.",
        target="aksci.pipelines.build:build",
        options=("plan", "force", "only", "with_dependents", "keep_going", "until"),
        fails=_BUILD,
        example="--only web --until scan",
    ),
    SessionSpec(
        name="cascade",
        summary="Rebuild what is based on bases that changed; scan, sign, deploy it.",
        target="aksci.pipelines.cascade:cascade",
        options=("format", "plan", "output", "exit_code", "base", "batch", "registry_wide"),
        fails=(*_BUILD, *_DEPLOY, 20, 21),
        example="--base debian:bookworm-slim --plan",
    ),
    SessionSpec(
        name="receive",
        summary="Wait for webhooks of registries, and start cascades.",
        target="aksci.pipelines.receive:receive",
        recorded=False,
        fails=(*_TOOLS, 9, 51),
        example="--env staging",
    ),
    SessionSpec(
        name="export",
        summary="Write what another service needs to do the same: acr-tasks.",
        target="aksci.pipelines.export:export",
        options=("words", "output"),
        recorded=False,
        fails=_TOOLS,
        example="acr-tasks --output tasks",
    ),
    SessionSpec(
        name="validate",
        summary="Run the last build's images that were not validated yet.",
        target="aksci.pipelines.build:validate",
        fails=(*_TOOLS, *_PLATFORM, 6, 9, 10, 13, 17),
        example="--env staging",
    ),
    SessionSpec(
        name="scan",
        summary="Scan the last build's images and apply the gate.",
        target="aksci.pipelines.build:scan",
        options=("format", "output"),
        fails=(*_TOOLS, *_PLATFORM, 6, 8, 9),
        example="--format sarif --output scan.sarif",
    ),
    SessionSpec(
        name="sign",
        summary="Sign the last build's images that passed the gate.",
        target="aksci.pipelines.build:sign",
        fails=(*_TOOLS, *_PLATFORM, 6, 8, 9),
        example="--env staging",
    ),
    SessionSpec(
        name="push",
        summary="Move stable tags to the last build's signed images and publish the release.",
        target="aksci.pipelines.build:push",
        fails=(*_TOOLS, *_PLATFORM, 6, 8, 9),
        example="--env staging",
    ),
    SessionSpec(
        name="verify",
        summary="Verify an image, a chart, a release, or all that runs in the environment.",
        target="aksci.pipelines.verify:verify",
        options=("format", "words", "output"),
        fails=(*_TOOLS, 6, 9, 10, 13),
        example="--env staging --format markdown",
    ),
    SessionSpec(
        name="release",
        summary="Show a release, the difference of two, or the list of them.",
        target="aksci.pipelines.show_release:release",
        options=("format", "words", "output"),
        recorded=False,
        fails=(*_TOOLS, 6, 9),
        example="list",
    ),
    SessionSpec(
        name="promote",
        summary="Bring a release from the environment before: copy, verify and deploy it.",
        target="aksci.pipelines.promote:promote",
        options=("plan", "release"),
        fails=(*_DEPLOY, 8),
        example="--env production --plan",
    ),
    SessionSpec(
        name="migrate-trust",
        summary="Sign with today's signers what Docker Content Trust has signed.",
        target="aksci.pipelines.migrate_trust:migrate_trust",
        options=("plan", "words"),
        fails=(*_TOOLS, *_PLATFORM, 6, 9),
        example="--plan",
    ),
    SessionSpec(
        name="deploy",
        summary="Verify the release and roll it out: pre steps, Helm, rollout, post steps.",
        target="aksci.pipelines.deploy:deploy",
        options=("plan", "release"),
        fails=_DEPLOY,
        example="--env staging --plan",
    ),
    SessionSpec(
        name="rollback",
        summary="Go back to an earlier release.",
        target="aksci.pipelines.deploy:rollback",
        options=("plan", "to"),
        fails=_DEPLOY,
        example="--env staging --plan",
    ),
    SessionSpec(
        name="status",
        summary="Show the local platform, and what runs in the environment.",
        target="aksci.pipelines.deploy:status",
        options=("format",),
        recorded=False,
        fails=(*_TOOLS, 5, 10, 13),
        example="--format json",
    ),
    SessionSpec(
        name="lint",
        summary="Check Dockerfiles, charts and rendered manifests.",
        target="aksci.pipelines.lint:lint",
        fails=_TOOLS,
        example="--env staging",
    ),
    SessionSpec(
        name="up",
        summary="Start or repair the embedded local platform.",
        target="aksci.pipelines.up_down:up",
        fails=(*_TOOLS, *_PLATFORM),
    ),
    SessionSpec(
        name="down",
        summary="Stop the embedded local platform.",
        target="aksci.pipelines.up_down:down",
        options=("purge",),
        fails=(*_TOOLS, 5, 52),
        example="--purge",
    ),
)
SESSIONS = {each.name: each for each in _TABLE}
