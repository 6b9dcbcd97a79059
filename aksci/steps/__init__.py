"""The steps that pipelines are composed of: each a verb that takes an environment.

Each has a module of its own, ``aksci.steps.VERB_step``, that is imported when the step is first
named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aksci.steps.graph_step import graph
    from aksci.steps.plan_step import plan
    from aksci.steps.show_step import show

__all__ = ["graph", "plan", "show"]

_HOMES = {
    "graph": "graph_step",
    "plan": "plan_step",
    "show": "show_step",
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
