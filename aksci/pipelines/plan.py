"""The sessions ``plan``, ``why`` and ``graph``: look, decide, say why; change nothing."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from aksci.cli.options import WORK_TO_DO
from aksci.core.errors import RegistryError, UsageError
from aksci.core.text import safe_json
from aksci.images.build.build_record import read_failures, recorded_reasons
from aksci.images.build_plan import UndecidedError, plan_build, plan_document
from aksci.images.explain import explain_image
from aksci.images.graph import graph_document
from aksci.images.plan_compare import compare_plans, load_plan, save_plan
from aksci.images.plan_matrix import make_matrices, matrix_document, matrix_value
from aksci.images.selection import require_images, select
from aksci.pipelines.output import deliver, place_for, renderer_of
from aksci.report.graph_drawing import draw_dot, draw_mermaid, draw_tree, drawing_of
from aksci.report.graph_page import draw_page
from aksci.report.plan_report import (
    PLAN_FORMATS,
    plan_comparison_markdown,
    plan_comparison_text,
    plan_markdown,
    undecided_text,
    why_markdown,
    why_text,
)
from aksci.steps.graph_step import graph as project_graph
from aksci.steps.policy_bases import policy_bases

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.cli.options import Options
    from aksci.environment import Environment
    from aksci.images.build_plan import BuildPlan, Work
    from aksci.images.graph import Graph
    from aksci.report.graph_drawing import Drawing

__all__ = ["graph", "plan", "why"]


def plan(env: Environment, options: Options) -> dict[str, Any]:
    """Show what ``build`` would do now. Starts nothing: the registry must be there."""
    _require_sensible(env, options)
    made = _made(env, options) if options.save or options.compare else {}
    # Read first: an error is told at once, and --save may name the same file.
    old = load_plan(env.root / options.compare, made) if options.compare else None
    planned = _plan_or_all_that_is_known(env, options)
    document = plan_document(planned)
    if options.matrix:
        _hand_over_matrix(env, options, planned)
    elif old is None:
        render = renderer_of("plan", options, PLAN_FORMATS)
        deliver(env, options, render(planned), code=options.format == "json")
    else:
        render_comparison = renderer_of("plan --compare", options, COMPARISON_FORMATS)
        text = render_comparison(compare_plans(old, document))
        deliver(env, options, text, code=options.format == "json")
    env.reporter.summary(plan_markdown(planned))
    if options.save:
        path = place_for(env, "--save", options.save)
        save_plan(path, document, made)
        env.reporter.line(f"kept: {path}")
    details: dict[str, Any] = {"work": document["work"]}
    if options.exit_code and planned.to_build:
        details["exit_status"] = WORK_TO_DO
    return details


def why(env: Environment, options: Options) -> dict[str, Any]:
    """Explain one image: why it would be built, or why it was, down to the first cause."""
    render = renderer_of("why", options, WHY_FORMATS)
    if len(options.words) != 1:
        raise UsageError("Which image?", hint="nox -s why -- IMAGE; nox -s graph lists them.")
    (image,) = options.words
    found = project_graph(env)
    require_images(found, [image, *options.force])
    selected = select(found, [image])
    planned = _plan_of(env, found, force=frozenset(options.force) & selected, selected=selected)
    document = explain_image(
        planned, image, env.looking.registry, recorded=partial(recorded_reasons, env.work)
    )
    deliver(env, options, render(document), code=options.format == "json")
    return {"image": image, "action": document["action"]}


def graph(env: Environment, options: Options) -> dict[str, Any]:
    """Draw the image graph. Only the HTML page asks the registry: it shows what is to be built."""
    renderer_of("graph", options, {**GRAPH_FORMATS, "json": None})
    found = project_graph(env)
    if options.format == "json":
        text = safe_json(graph_document(found))
    else:
        work = _states(env, found) if options.format == "html" else ()
        drawing = drawing_of(found, work, title=env.config.project.name)
        text = GRAPH_FORMATS[options.format](drawing)
    deliver(env, options, text, code=options.format in {"json", "html"})
    return {}


def _plan_or_all_that_is_known(env: Environment, options: Options) -> BuildPlan:
    """Return the plan; where images can't be planned, show people the others, and fail."""
    try:
        return _plan(env, options)
    except UndecidedError as error:
        if options.format == "text" and not (options.output or options.matrix or options.compare):
            deliver(env, options, undecided_text(error))
        raise


def _plan(env: Environment, options: Options) -> BuildPlan:
    found = project_graph(env)
    selected = select(found, options.only, with_dependents=options.with_dependents)
    return _plan_of(env, found, force=frozenset(options.force), selected=selected)


def _plan_of(
    env: Environment,
    found: Graph,
    *,
    force: frozenset[str] = frozenset(),
    selected: frozenset[str] | None = None,
) -> BuildPlan:
    here = env.looking
    return plan_build(
        found,
        registry=here.registry,
        bases=policy_bases(here, found),
        force=force,
        selected=selected,
        failures=read_failures(env.work),
    )


def _require_sensible(env: Environment, options: Options) -> None:
    """Refuse options of ``plan`` that can't be followed, before anything is asked."""
    if options.with_dependents and not options.only:
        raise UsageError("--with-dependents needs --only IMAGE: it adds what is based on that.")
    if options.group != "image" and not options.matrix:
        raise UsageError("--group needs --matrix: it says what one job of a matrix is.")
    if options.matrix and options.compare:
        raise UsageError("--matrix and --compare both say what to print: give one of them.")
    for option, name in (("--output", options.output), ("--save", options.save)):
        if name:
            place_for(env, option, name)
    if options.matrix:
        renderer_of("plan --matrix", options, {"text": None, "json": None})
    else:
        renderer_of("plan", options, PLAN_FORMATS)


def _hand_over_matrix(env: Environment, options: Options, planned: BuildPlan) -> None:
    """Give the matrices to later CI jobs, and print all of it as JSON."""
    system: Any = options.matrix
    matrices = make_matrices(planned, group=options.group, force=options.force)
    env.reporter.output("any", "true" if matrices else "false")
    for matrix in matrices:
        value = json.dumps(matrix_value(matrix, system), separators=(",", ":"))
        env.reporter.output(matrix.name, value)
        if matrix.flag != "any":
            env.reporter.output(matrix.flag, "true")
    if len(matrices) > 1:
        names = ", ".join(matrix.name for matrix in matrices)
        env.reporter.warning(f"The jobs need {len(matrices)} matrices, one after another: {names}.")
    document = matrix_document(matrices, system=system, group=options.group)
    deliver(env, options, safe_json(document), code=True)


def _made(env: Environment, options: Options) -> dict[str, Any]:
    """Return where a plan comes from, to be kept with it."""
    return {
        "project": env.config.project.name,
        "environment": env.name,
        "commit": env.commit,
        "created": env.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "only": sorted(options.only),
        "withDependents": options.with_dependents,
    }


def _states(env: Environment, found: Graph) -> tuple[Work, ...]:
    """Return what a plan says of each image; without a registry, nothing, and a warning."""
    try:
        return _plan_of(env, found).work
    except UndecidedError as error:
        env.reporter.warning(error.message)
        return error.plan.work
    except RegistryError as error:
        env.reporter.warning(f"What is to be built is not known. {error.message}")
        return ()


COMPARISON_FORMATS: dict[str, Callable[[dict[str, Any]], str]] = {
    "text": plan_comparison_text,
    "json": safe_json,
    "markdown": plan_comparison_markdown,
}
WHY_FORMATS: dict[str, Callable[[dict[str, Any]], str]] = {
    "text": why_text,
    "json": safe_json,
    "markdown": why_markdown,
}
GRAPH_FORMATS: dict[str, Callable[[Drawing], str]] = {
    "text": draw_tree,
    "dot": draw_dot,
    "mermaid": draw_mermaid,
    "html": draw_page,
}
