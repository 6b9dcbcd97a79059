"""What became, or would become, of each image of the project, for the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aksci.cascade.cascade_report import ImageOutcome, Spent

if TYPE_CHECKING:
    from collections.abc import Collection

    from aksci.cascade.cascade_plan import Planned
    from aksci.cascade.cascade_report import Action
    from aksci.cascade.cascade_run import CascadeRun
    from aksci.images.build.build_run import ImageDone
    from aksci.images.graph import Graph
    from aksci.images.schedule import Outcome

__all__ = ["outcomes_of", "planned_outcomes"]

_ACTIONS: dict[str, Action] = {
    "built": "rebuilt",
    "reused": "reused",
    "kept": "kept",
}


def outcomes_of(
    graph: Graph, run: CascadeRun, outcome: Outcome[ImageDone], *, held: Collection[str]
) -> tuple[ImageOutcome, ...]:
    """Return what became of each image, parents before children.

    :param held: images whose tags stay, whatever became of them.
    """
    return tuple(_outcome(graph, run, outcome, name, held) for name in graph.order)


def planned_outcomes(graph: Graph, outcome: Outcome[Planned]) -> tuple[ImageOutcome, ...]:
    """Return what would become of each image, parents before children."""
    found = []
    for name in graph.order:
        needs = tuple(sorted(graph.parents[name]))
        planned = outcome.done.get(name)
        if planned is None:
            found.append(_not_done(name, needs, outcome, before=None))
            continue
        published = planned.choice.published
        found.append(
            ImageOutcome(
                image=name,
                action="kept" if planned.choice.kept else "rebuild",
                reasons=planned.choice.reasons,
                needs=needs,
                before=published.ref.digest if published else None,
                after=planned.digest,
            )
        )
    return tuple(found)


def _outcome(
    graph: Graph,
    run: CascadeRun,
    outcome: Outcome[ImageDone],
    name: str,
    held: Collection[str],
) -> ImageOutcome:
    choice = run.choices.get(name)
    published = choice.published if choice else None
    before = published.ref.digest if published else None
    needs = tuple(sorted(graph.parents[name]))
    made = run.made.get(name)
    done = outcome.done.get(name)
    if done is None:
        reasons = choice.reasons if choice else ()
        return replace(_not_done(name, needs, outcome, before=before), reasons=reasons)
    image = done.image
    return ImageOutcome(
        image=name,
        action=_ACTIONS[image.action],
        reasons=choice.reasons if choice else (),
        needs=needs,
        before=before,
        after=image.ref.digest,
        spent=Spent(make=made.seconds if made else 0.0, gate=run.gated.get(name, 0.0)),
        withheld=name in held and image.action != "kept",
    )


def _not_done(
    name: str,
    needs: tuple[str, ...],
    outcome: Outcome[ImageDone] | Outcome[Planned],
    *,
    before: str | None,
) -> ImageOutcome:
    error = outcome.failed.get(name)
    blame = tuple(sorted(outcome.blocked.get(name, ())))
    return ImageOutcome(
        image=name,
        action="failed" if error else "blocked",
        needs=needs,
        before=before,
        error=error.message.splitlines()[0] if error else "",
        blocked_by=blame,
    )
