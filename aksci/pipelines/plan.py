"""The sessions ``plan``, ``why`` and ``graph``: look, decide, say why; change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aksci import steps
from aksci.errors import WORK_TO_DO, UndecidedError, UsageError

if TYPE_CHECKING:
    from aksci import Environment

__all__ = ["graph", "plan", "why"]


def plan(
    env: Environment,
    *,
    only: tuple[str, ...] = (),
    with_dependents: bool = False,
    force: tuple[str, ...] = (),
    format: str = "text",
    output: str | None = None,
    save: str | None = None,
    compare: str | None = None,
    matrix: Literal["github", "azure"] | None = None,
    group: Literal["image", "component"] = "image",
    exit_code: bool = False,
) -> int | None:
    """Show what ``build`` would do now. Starts nothing: the registry must be there."""
    _require_sensible(only, with_dependents, matrix, group, compare)
    kind = "Matrices" if matrix else "PlanComparison" if compare else "BuildPlan"
    steps.require_showable(env, kind, format=format, output=output)
    if save:
        steps.place_for(env, "--save", save)
    asked: dict[str, Any] = {"only": only, "with_dependents": with_dependents}
    # Read first: an error is told at once, and --save may name the same file.
    old = steps.read_plan(env, compare, **asked) if compare else None
    try:
        planned = steps.plan(env, force=force, **asked)
    except UndecidedError as error:
        if format == "text" and not (output or matrix or compare):
            steps.show(env, error)  # people see what is known of the others
        raise
    shown: object = planned
    if matrix:
        shown = steps.hand_over_matrix(env, planned, system=matrix, group=group, force=force)
    elif old:
        shown = steps.compare_plan(env, planned, old)
    steps.show(env, shown, format=format, output=output)
    steps.summarise(env, planned)
    if save:
        steps.save_plan(env, planned, save)
    return WORK_TO_DO if exit_code and planned.to_build else None


def why(
    env: Environment,
    *,
    words: tuple[str, ...] = (),
    force: tuple[str, ...] = (),
    format: str = "text",
    output: str | None = None,
) -> None:
    """Explain one image: why it would be built, or why it was, down to the first cause."""
    steps.require_showable(env, "Explanation", format=format, output=output)
    if len(words) != 1:
        raise UsageError("Which image?", hint="nox -s why -- IMAGE; nox -s graph lists them.")
    steps.show(env, steps.explain(env, words[0], force=force), format=format, output=output)


def graph(env: Environment, *, format: str = "text", output: str | None = None) -> None:
    """Draw the image graph. Only the HTML page asks the registry: it shows what is to be built."""
    steps.require_showable(env, "Graph", format=format, output=output)
    shown = steps.draw(env) if format == "html" else steps.graph(env)
    steps.show(env, shown, format=format, output=output)


def _require_sensible(
    only: tuple[str, ...],
    with_dependents: bool,
    matrix: str | None,
    group: str,
    compare: str | None,
) -> None:
    """Refuse options that can't be followed together, before anything is asked."""
    if with_dependents and not only:
        raise UsageError("--with-dependents needs --only IMAGE: it adds what is based on that.")
    if group != "image" and not matrix:
        raise UsageError("--group needs --matrix: it says what one job of a matrix is.")
    if matrix and compare:
        raise UsageError("--matrix and --compare both say what to print: give one of them.")
