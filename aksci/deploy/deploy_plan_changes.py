"""Whether a deployment's plan still holds: what differs from one that is made now. Pure."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from aksci.core.errors import PlanChangedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.deploy.deploy_plan import DeployPlan, ServicePlan

__all__ = ["plan_changes", "require_same_plan"]


def require_same_plan(planned: DeployPlan, found: DeployPlan) -> None:
    """Refuse a plan that does not hold any more.

    :param found: what is to be done now.
    :raises PlanChangedError: naming each difference.
    """
    changes = plan_changes(planned, found)
    if changes:
        lines = "\n".join(f"  - {change}" for change in changes)
        raise PlanChangedError(
            f"What is to be done in {found.environment!r} is not what was planned; nothing was "
            f"changed:\n{lines}",
            hint="plan again, look at the new plan, and deploy that one.",
        )


def plan_changes(planned: DeployPlan, found: DeployPlan) -> tuple[str, ...]:
    """Say in what two plans differ, one clause a difference; nothing: they do the same.

    Notes don't count, nor what the cluster's record says: nothing is done because of them.
    """
    return tuple(_changes(planned, found))


def _changes(planned: DeployPlan, found: DeployPlan) -> Iterator[str]:
    places = [(each.environment, each.namespace) for each in (planned, found)]
    if places[0] != places[1]:
        yield "planned for {} (namespace {}), and this is {} ({})".format(*places[0], *places[1])
    if planned.release.reference != found.release.reference:
        yield f"the release is {found.release.reference}, planned was {planned.release.reference}"
    if planned.rollback != found.rollback:
        ways = {True: "a rollback", False: "no rollback"}
        yield f"it is {ways[found.rollback]}, planned was {ways[planned.rollback]}"
    before, after = ({each.name: each for each in plan.services} for plan in (planned, found))
    for name in sorted({*before, *after}):
        if name not in after:
            yield f"{name}: planned was {_told(before[name])}, and now it is left alone"
        elif name not in before:
            yield f"{name}: nothing was planned, and now it is {_told(after[name])}"
        else:
            yield from (f"{name}: {text}" for text in _service(before[name], after[name]))


def _service(planned: ServicePlan, found: ServicePlan) -> Iterator[str]:
    if (planned.action, _lasting(planned)) != (found.action, _lasting(found)):
        yield f"planned was {_told(planned)}, and now it is {_told(found)}"
        return
    changed = [
        f"its {each.name}"
        for each in fields(found.inputs)
        if getattr(planned.inputs, each.name) != getattr(found.inputs, each.name)
    ]
    if not changed and (planned.config, planned.values) != (found.config, found.values):
        changed = ["its settings in aksci.toml"]
    if changed:
        yield f"{', '.join(changed)} changed"
    # Somebody has been there, even if it looks as before: what is gone back to is another one.
    if planned.state.latest != found.state.latest:
        yield f"Helm has {_revision(found)}, and had {_revision(planned)}"


def _lasting(plan: ServicePlan) -> list[dict[str, str]]:
    """Return the reasons without how far a rollout is: that changes while one looks."""
    return [
        {key: text for key, text in reason.items() if key != "state"} for reason in plan.reasons
    ]


def _told(plan: ServicePlan) -> str:
    return f"{plan.action} ({plan.why})" if plan.why else plan.action


def _revision(plan: ServicePlan) -> str:
    latest = plan.state.latest
    return f"revision {latest.number} ({latest.status})" if latest else "none"
