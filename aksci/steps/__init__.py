"""The steps that pipelines are composed of: each a verb that takes an environment.

Each has a module of its own, ``aksci.steps.VERB_step``, that is imported when the step is first
named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aksci.steps.deploy_step import deploy
    from aksci.steps.graph_step import graph
    from aksci.steps.plan_deploy_step import plan_deploy
    from aksci.steps.plan_promote_step import plan_promote
    from aksci.steps.plan_step import plan
    from aksci.steps.promote_step import promote
    from aksci.steps.rollback_step import rollback
    from aksci.steps.show_step import show
    from aksci.steps.status_step import status
    from aksci.steps.verify_step import verify

__all__ = [
    "deploy",
    "graph",
    "plan",
    "plan_deploy",
    "plan_promote",
    "promote",
    "rollback",
    "show",
    "status",
    "verify",
]

_HOMES = {
    "deploy": "deploy_step",
    "graph": "graph_step",
    "plan": "plan_step",
    "plan_deploy": "plan_deploy_step",
    "plan_promote": "plan_promote_step",
    "promote": "promote_step",
    "rollback": "rollback_step",
    "show": "show_step",
    "status": "status_step",
    "verify": "verify_step",
}
"""Public name -> the module that defines it."""


if not TYPE_CHECKING:  # or a type checker would believe that there is every name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found  # so that it is looked up once
        return found


def __dir__() -> list[str]:
    return sorted(__all__)
