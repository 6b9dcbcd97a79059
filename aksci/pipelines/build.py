"""build → validate → scan → sign → push: from sources to a signed release. Each is a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci import steps
from aksci.errors import AksciError
from aksci.pipelines.plan import plan as show_plan

if TYPE_CHECKING:
    from aksci import Environment

__all__ = ["build", "push", "scan", "sign", "validate"]

_STAGES = ("build", "validate", "scan", "sign", "push")


def build(
    env: Environment,
    *,
    only: tuple[str, ...] = (),
    with_dependents: bool = False,
    force: tuple[str, ...] = (),
    keep_going: bool = False,
    until: str = "push",
    plan: bool = False,
) -> int | None:
    """Build what changed, and take it through the stages, as far as ``until``.

    With ``keep_going``, the images that did not fail go through the stages before ``push``.
    """
    if plan:
        return show_plan(env, only=only, with_dependents=with_dependents, force=force)
    made = steps.build(
        env,
        only=only,
        with_dependents=with_dependents,
        force=force,
        keep_going=keep_going,
        trusted=until in {"sign", "push"},
    )
    ahead = _STAGES[: _STAGES.index(until) + 1] if made.images else ()
    try:
        if "validate" in ahead:
            steps.validate(env, made)
        if "scan" in ahead:
            verdicts = steps.scan(env, made).require()
        if "sign" in ahead:
            steps.sign(env, made, verdicts)
        if "push" in ahead and not made.error:
            steps.publish(env, made, verdicts)
    except AksciError as error:
        if not made.error:
            raise
        env.reporter.error(error.message)  # the build's own failure is told last
    made.require()
    return None


def validate(env: Environment) -> None:
    """Run the last build's images that have not passed yet."""
    steps.validate(env, env.last_build())


def scan(env: Environment, *, format: str = "text", output: str | None = None) -> None:
    """Scan the last build's images; fail unless the policy passes all of them.

    ``format`` shows the verdicts in one of several formats, whether they pass or not.
    """
    steps.require_showable(env, "Verdicts", format=format, output=output)
    verdicts = steps.scan(env, env.last_build())
    if output or format != "text":
        steps.show(env, verdicts, format=format, output=output)
    verdicts.require()


def sign(env: Environment) -> None:
    """Sign the last build's images, each with its passing verdict bound in."""
    made = env.last_build()
    steps.sign(env, made, steps.scan(env, made, quiet=True))


def push(env: Environment) -> None:
    """Move the stable tags to the last build's signed images; store and sign the release."""
    made = env.last_build()
    made.require()
    made.require_commit(env.commit)  # before anything is scanned for it
    steps.publish(env, made, steps.scan(env, made, quiet=True))
