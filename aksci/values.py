"""The types of what steps return, for annotations and checks of your own.

::

    from aksci import Environment
    from aksci.values import BuiltImage

    def load_test(env: Environment, image: BuiltImage) -> None: ...

Each is looked up when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.lazy_names import lazy_names

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
    "AcrExport": "aksci.azure.acr_tasks.plan_tasks",
    "Audit": "aksci.supply.verify.audit",
    "Build": "aksci.images.build.build_record",
    "BuildPlan": "aksci.images.build_plan",
    "BuiltImage": "aksci.images.build.build_record",
    "Cascade": "aksci.cascade.cascade_report",
    "CheckedRelease": "aksci.supply.release.verify_release",
    "Comparison": "aksci.supply.release.compare",
    "DeployPlan": "aksci.deploy.deploy_plan",
    "DeployResult": "aksci.deploy.deploy_release",
    "Drawing": "aksci.report.graph_drawing",
    "Endpoints": "aksci.local.endpoints",
    "EnvironmentStatus": "aksci.deploy.environment_status",
    "Explanation": "aksci.images.explain",
    "Graph": "aksci.images.graph",
    "HttpAnswer": "aksci.images.validate.image_runner",
    "ImageRef": "aksci.oci.references",
    "KeptPlan": "aksci.images.plan_compare",
    "LintFinding": "aksci.deploy.lint.lint_project",
    "LintReport": "aksci.deploy.lint.lint_project",
    "ListedRelease": "aksci.supply.release.find_release",
    "Matrices": "aksci.images.plan_matrix",
    "PlanComparison": "aksci.images.plan_compare",
    "PromotionPlan": "aksci.supply.release.promotion",
    "Release": "aksci.supply.release.release",
    "ReleaseList": "aksci.supply.release.find_release",
    "RunningImage": "aksci.images.validate.running_image",
    "ScanAndSign": "aksci.supply.scan_and_sign",
    "TrustMigration": "aksci.supply.sign.dct.migrate",
    "Validation": "aksci.images.validate.result",
    "Verdict": "aksci.supply.scan.verdict",
    "Verdicts": "aksci.supply.scan.verdicts",
}
"""Public name -> the module that defines it."""

if not TYPE_CHECKING:  # else a type checker would accept any name
    __getattr__ = lazy_names(globals(), _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
