"""The types of what steps return, for annotations and checks of your own.

::

    from aksci import Environment
    from aksci.values import BuiltImage

    def load_test(env: Environment, image: BuiltImage) -> None: ...

Each is looked up when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aksci.azure.acr_tasks.plan_tasks import AcrExport
    from aksci.cascade.cascade_report import Cascade
    from aksci.deploy.deploy_plan import DeployPlan
    from aksci.deploy.deploy_release import DeployResult
    from aksci.deploy.environment_status import EnvironmentStatus
    from aksci.deploy.lint.lint_project import LintFinding, LintReport
    from aksci.images.build.build_record import Build, BuiltImage
    from aksci.images.build_plan import BuildPlan
    from aksci.images.explain import Explanation
    from aksci.images.graph import Graph
    from aksci.images.plan_compare import KeptPlan, PlanComparison
    from aksci.images.plan_matrix import Matrices
    from aksci.images.validate.image_runner import HttpAnswer
    from aksci.images.validate.result import Validation
    from aksci.images.validate.running_image import RunningImage
    from aksci.local.endpoints import Endpoints
    from aksci.oci.references import ImageRef
    from aksci.report.graph_drawing import Drawing
    from aksci.supply.release.compare import Comparison
    from aksci.supply.release.find_release import ListedRelease, ReleaseList
    from aksci.supply.release.promotion import PromotionPlan
    from aksci.supply.release.release import Release
    from aksci.supply.release.verify_release import CheckedRelease
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.scan.verdicts import Verdicts
    from aksci.supply.scan_and_sign import ScanAndSign
    from aksci.supply.sign.dct.migrate import TrustMigration
    from aksci.supply.verify.audit import Audit

__all__ = [
    "AcrExport",
    "Audit",
    "Build",
    "BuildPlan",
    "BuiltImage",
    "Cascade",
    "CheckedRelease",
    "Comparison",
    "DeployPlan",
    "DeployResult",
    "Drawing",
    "Endpoints",
    "EnvironmentStatus",
    "Explanation",
    "Graph",
    "HttpAnswer",
    "ImageRef",
    "KeptPlan",
    "LintFinding",
    "LintReport",
    "ListedRelease",
    "Matrices",
    "PlanComparison",
    "PromotionPlan",
    "Release",
    "ReleaseList",
    "RunningImage",
    "ScanAndSign",
    "TrustMigration",
    "Validation",
    "Verdict",
    "Verdicts",
]

_HOMES = {
    "AcrExport": "azure.acr_tasks.plan_tasks",
    "Audit": "supply.verify.audit",
    "Build": "images.build.build_record",
    "BuildPlan": "images.build_plan",
    "BuiltImage": "images.build.build_record",
    "Cascade": "cascade.cascade_report",
    "CheckedRelease": "supply.release.verify_release",
    "Comparison": "supply.release.compare",
    "DeployPlan": "deploy.deploy_plan",
    "DeployResult": "deploy.deploy_release",
    "Drawing": "report.graph_drawing",
    "Endpoints": "local.endpoints",
    "EnvironmentStatus": "deploy.environment_status",
    "Explanation": "images.explain",
    "Graph": "images.graph",
    "HttpAnswer": "images.validate.image_runner",
    "ImageRef": "oci.references",
    "KeptPlan": "images.plan_compare",
    "LintFinding": "deploy.lint.lint_project",
    "LintReport": "deploy.lint.lint_project",
    "ListedRelease": "supply.release.find_release",
    "Matrices": "images.plan_matrix",
    "PlanComparison": "images.plan_compare",
    "PromotionPlan": "supply.release.promotion",
    "Release": "supply.release.release",
    "ReleaseList": "supply.release.find_release",
    "RunningImage": "images.validate.running_image",
    "ScanAndSign": "supply.scan_and_sign",
    "TrustMigration": "supply.sign.dct.migrate",
    "Validation": "images.validate.result",
    "Verdict": "supply.scan.verdict",
    "Verdicts": "supply.scan.verdicts",
}
"""Public name -> the module that defines it, from ``aksci.`` on."""


if not TYPE_CHECKING:  # a type checker would take any name for one that is there

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"aksci.{_HOMES[name]}"), name)
        globals()[name] = found  # so that it is looked up once
        return found


def __dir__() -> list[str]:
    return sorted(__all__)
