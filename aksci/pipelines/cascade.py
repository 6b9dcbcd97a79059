"""drift → rebuild → validate → scan → sign → release → tags → deploy, as one motion."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aksci.cascade.base_policy import check_policy, policy_of
from aksci.cascade.cascade_report import CascadeReport
from aksci.cascade.dependents.loop_guard import chain_of
from aksci.cli.options import WORK_TO_DO
from aksci.core.errors import AksciError, ConfigError, UsageError
from aksci.oci.references import parse_reference
from aksci.pipelines.cascade_images import Cascading, Done
from aksci.pipelines.output import deliver, renderer_of
from aksci.report.cascade_formats import (
    CASCADE_FORMATS,
    cascade_document,
    cascade_markdown,
    save_cascade_report,
)
from aksci.steps.graph_step import graph as project_graph

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.cli.options import Options
    from aksci.environment import Environment
    from aksci.images.graph import Graph

__all__ = ["cascade", "report_of"]

CHAIN = "AKSCI_CASCADE_CHAIN"
"""The variable with the projects that asked each other for this cascade."""


def cascade(env: Environment, options: Options) -> dict[str, Any]:
    """Make again what is based on images from outside that moved, and bring it to where it runs.

    :raises AksciError: an image failed; what did not need it is done nevertheless.
    """
    render = renderer_of("cascade", options, CASCADE_FORMATS)
    began = time.monotonic()
    check_policy(env.config.cascade)
    graph = project_graph(env)
    only = _only(env, graph, options)
    chain = chain_of(env.variables.get(CHAIN, ""))
    work = Cascading(
        env=env.looking if options.plan else env,
        graph=graph,
        only=only,
        batch=options.batch,
        planning=options.plan,
    )
    done = work.plan() if options.plan else work.apply()
    if options.registry_wide:
        done = _ask_owners(work, done, options, chain)
    done = work.deploy(done)
    report = report_of(env, done, began, planned=options.plan)
    _tell(env, options, report, render)
    if done.error:
        raise done.error
    details: dict[str, Any] = {"cascade": cascade_document(report)}
    if options.exit_code and options.plan and _to_do(report):
        details["exit_status"] = WORK_TO_DO
    return details


def _ask_owners(work: Cascading, done: Done, options: Options, chain: tuple[str, ...]) -> Done:
    """Look at other repositories; what is done here is told whatever becomes of them."""
    from aksci.pipelines.ask_owners import ask_owners

    try:
        return ask_owners(work, done, options.base, chain=chain)
    except AksciError as error:
        return replace(done, error=done.error or error)


def _only(env: Environment, graph: Graph, options: Options) -> frozenset[str] | None:
    """Return what ``--base`` names: images of the project, or full references by tag.

    :raises UsageError: nothing of the project is built on it, and nobody else may be.
    """
    if not options.base:
        return None
    known = {one.reference for one in graph.external}
    found = set()
    for text in options.base:
        if text in graph.images:
            found.add(text)
            continue
        reference = _by_tag(text)
        meant = {reference} & known or _by_range(env, graph, reference)
        if not meant and not options.registry_wide:
            _unknown(env, text, reference, known)
        found |= meant or {reference}
    return frozenset(found)


def _by_range(env: Environment, graph: Graph, reference: str) -> set[str]:
    """Return the bases that a policy lets follow other tags of their repository."""
    name = parse_reference(reference).name
    config = env.config.cascade
    return {
        one.reference
        for one in graph.external
        if parse_reference(one.reference).name == name
        and policy_of(config, one.reference, one.type).tags
    }


def _by_tag(text: str) -> str:
    try:
        parsed = parse_reference(text)
    except ConfigError as error:
        raise UsageError(f"--base: {error.message}", hint=error.hint) from None
    return f"{parsed.name}:{parsed.tag}"


def _unknown(env: Environment, text: str, reference: str, known: set[str]) -> None:
    """Refuse what nothing is built on; who names a digest has seen a push, and asks for each."""
    message = f"Nothing in this project is built on {reference}."
    if env.variables.get(CHAIN) or "@" in text:
        env.reporter.warning(message)
        return
    bases = ", ".join(sorted(known)) or "none"
    raise UsageError(message, hint=f"its bases from outside: {bases}.")


def report_of(env: Environment, done: Done, began: float, *, planned: bool) -> CascadeReport:
    """Return the report of what a cascade has done since a moment of the monotonic clock."""
    return CascadeReport(
        project=env.config.project.name,
        environment=env.name,
        run=env.run_id,
        created=env.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        planned=planned,
        drift=done.drift,
        images=done.images,
        findings=done.findings,
        tags=done.tags,
        release_before=str(done.release_before or ""),
        release_after=str(done.release_after or ""),
        environments=done.environments,
        dependents=done.dependents,
        steps=done.steps,
        seconds=time.monotonic() - began,
    )


def _tell(
    env: Environment,
    options: Options,
    report: CascadeReport,
    render: Callable[[CascadeReport], str],
) -> None:
    if not report.planned:
        save_cascade_report(env.work, report)
    env.reporter.summary(cascade_markdown(report))
    deliver(env, options, render(report), code=options.format in {"json", "html"})


def _to_do(report: CascadeReport) -> bool:
    return any(one.action != "kept" for one in report.images) or any(
        one.action == "ask" for one in report.dependents
    )
