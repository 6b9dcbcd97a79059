"""The steps that pipelines are composed of: each a verb that takes an environment.

Each has a module of its own, ``aksci.steps.VERB_step``, that is imported when the step is first
named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aksci.steps.ask_owners_step import ask_owners
    from aksci.steps.cascade_step import cascade
    from aksci.steps.deploy_cascade_step import deploy_cascade
    from aksci.steps.graph_step import graph
    from aksci.steps.plan_cascade_step import plan_cascade
    from aksci.steps.plan_step import plan
    from aksci.steps.receive_step import receive
    from aksci.steps.show_step import show
    from aksci.steps.summarise_step import summarise

__all__ = [
    "ask_owners",
    "cascade",
    "deploy_cascade",
    "graph",
    "plan",
    "plan_cascade",
    "receive",
    "show",
    "summarise",
]

_HOMES = {
    "ask_owners": "ask_owners_step",
    "cascade": "cascade_step",
    "deploy_cascade": "deploy_cascade_step",
    "graph": "graph_step",
    "plan": "plan_step",
    "plan_cascade": "plan_cascade_step",
    "receive": "receive_step",
    "show": "show_step",
    "summarise": "summarise_step",
}
"""Public name -> the module that defines it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found  # so that it is looked up once
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
