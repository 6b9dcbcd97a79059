"""The steps that pipelines are composed of: each a verb that takes an environment.

Each has a module of its own, ``aksci.steps.VERB_step``, that is imported when the step is first
named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.lazy_names import lazy_names

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
    "ask_owners": "aksci.steps.ask_owners_step",
    "build": "aksci.steps.build_step",
    "cascade": "aksci.steps.cascade_step",
    "compare_plan": "aksci.steps.compare_plan_step",
    "compare_releases": "aksci.steps.compare_releases_step",
    "deploy": "aksci.steps.deploy_step",
    "deploy_cascade": "aksci.steps.deploy_cascade_step",
    "down": "aksci.steps.down_step",
    "draw": "aksci.steps.draw_step",
    "explain": "aksci.steps.explain_step",
    "export_acr_tasks": "aksci.steps.export_acr_tasks_step",
    "gate": "aksci.steps.gate_step",
    "graph": "aksci.steps.graph_step",
    "hand_over_matrix": "aksci.steps.hand_over_matrix_step",
    "lint": "aksci.steps.lint_step",
    "list_releases": "aksci.steps.list_releases_step",
    "load_release": "aksci.steps.load_release_step",
    "migrate_trust": "aksci.steps.migrate_trust_step",
    "place_for": "aksci.steps.show_step",
    "plan": "aksci.steps.plan_step",
    "plan_cascade": "aksci.steps.plan_cascade_step",
    "plan_deploy": "aksci.steps.plan_deploy_step",
    "plan_promote": "aksci.steps.plan_promote_step",
    "promote": "aksci.steps.promote_step",
    "publish": "aksci.steps.publish_step",
    "read_plan": "aksci.steps.read_plan_step",
    "receive": "aksci.steps.receive_step",
    "require_showable": "aksci.steps.show_step",
    "rollback": "aksci.steps.rollback_step",
    "run_image": "aksci.steps.run_image_step",
    "save_plan": "aksci.steps.save_plan_step",
    "scan": "aksci.steps.scan_step",
    "show": "aksci.steps.show_step",
    "sign": "aksci.steps.sign_step",
    "status": "aksci.steps.status_step",
    "summarise": "aksci.steps.summarise_step",
    "up": "aksci.steps.up_step",
    "validate": "aksci.steps.validate_step",
    "verify": "aksci.steps.verify_step",
}
"""Public name -> the module that defines it."""

if not TYPE_CHECKING:  # else a type checker would accept any name
    __getattr__ = lazy_names(globals(), _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
