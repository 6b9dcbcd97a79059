"""The steps that pipelines are composed of: each a verb that takes an environment.

Each has a module of its own, ``aksci.steps.VERB_step``, that is imported when the step is first
named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aksci.steps.ask_owners_step import ask_owners
    from aksci.steps.build_step import build
    from aksci.steps.cascade_step import cascade
    from aksci.steps.compare_plan_step import compare_plan
    from aksci.steps.compare_releases_step import compare_releases
    from aksci.steps.deploy_cascade_step import deploy_cascade
    from aksci.steps.deploy_step import deploy
    from aksci.steps.down_step import down
    from aksci.steps.draw_step import draw
    from aksci.steps.explain_step import explain
    from aksci.steps.export_acr_tasks_step import export_acr_tasks
    from aksci.steps.gate_step import gate
    from aksci.steps.graph_step import graph
    from aksci.steps.hand_over_matrix_step import hand_over_matrix
    from aksci.steps.lint_step import lint
    from aksci.steps.list_releases_step import list_releases
    from aksci.steps.load_release_step import load_release
    from aksci.steps.migrate_trust_step import migrate_trust
    from aksci.steps.plan_cascade_step import plan_cascade
    from aksci.steps.plan_deploy_step import plan_deploy
    from aksci.steps.plan_promote_step import plan_promote
    from aksci.steps.plan_step import plan
    from aksci.steps.promote_step import promote
    from aksci.steps.publish_step import publish
    from aksci.steps.read_plan_step import read_plan
    from aksci.steps.receive_step import receive
    from aksci.steps.rollback_step import rollback
    from aksci.steps.run_image_step import run_image
    from aksci.steps.save_plan_step import save_plan
    from aksci.steps.scan_step import scan
    from aksci.steps.show_step import place_for, require_showable, show
    from aksci.steps.sign_step import sign
    from aksci.steps.status_step import status
    from aksci.steps.summarise_step import summarise
    from aksci.steps.up_step import up
    from aksci.steps.validate_step import validate
    from aksci.steps.verify_step import verify

__all__ = [
    "ask_owners",
    "build",
    "cascade",
    "compare_plan",
    "compare_releases",
    "deploy",
    "deploy_cascade",
    "down",
    "draw",
    "explain",
    "export_acr_tasks",
    "gate",
    "graph",
    "hand_over_matrix",
    "lint",
    "list_releases",
    "load_release",
    "migrate_trust",
    "place_for",
    "plan",
    "plan_cascade",
    "plan_deploy",
    "plan_promote",
    "promote",
    "publish",
    "read_plan",
    "receive",
    "require_showable",
    "rollback",
    "run_image",
    "save_plan",
    "scan",
    "show",
    "sign",
    "status",
    "summarise",
    "up",
    "validate",
    "verify",
]

_HOMES = {
    "ask_owners": "ask_owners_step",
    "build": "build_step",
    "cascade": "cascade_step",
    "compare_plan": "compare_plan_step",
    "compare_releases": "compare_releases_step",
    "deploy": "deploy_step",
    "deploy_cascade": "deploy_cascade_step",
    "down": "down_step",
    "draw": "draw_step",
    "explain": "explain_step",
    "export_acr_tasks": "export_acr_tasks_step",
    "gate": "gate_step",
    "graph": "graph_step",
    "hand_over_matrix": "hand_over_matrix_step",
    "lint": "lint_step",
    "list_releases": "list_releases_step",
    "load_release": "load_release_step",
    "migrate_trust": "migrate_trust_step",
    "place_for": "show_step",
    "plan": "plan_step",
    "plan_cascade": "plan_cascade_step",
    "plan_deploy": "plan_deploy_step",
    "plan_promote": "plan_promote_step",
    "promote": "promote_step",
    "publish": "publish_step",
    "read_plan": "read_plan_step",
    "receive": "receive_step",
    "require_showable": "show_step",
    "rollback": "rollback_step",
    "run_image": "run_image_step",
    "save_plan": "save_plan_step",
    "scan": "scan_step",
    "show": "show_step",
    "sign": "sign_step",
    "status": "status_step",
    "summarise": "summarise_step",
    "up": "up_step",
    "validate": "validate_step",
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
