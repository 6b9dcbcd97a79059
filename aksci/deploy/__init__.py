"""Deploy: Helm applies, we follow, diagnose and put back."""

from __future__ import annotations

from aksci.deploy.cluster import Cluster, connect
from aksci.deploy.deploy import DeployResult, apply_deploy, deploy_release
from aksci.deploy.desired import Release, ServiceRelease
from aksci.deploy.helm import Helm
from aksci.deploy.lint import Finding, LintTools, lint_project
from aksci.deploy.lock import Lock, hold_lock
from aksci.deploy.plan import ClusterState, DeployPlan, ServicePlan, plan_deploy, read_state
from aksci.deploy.record import Record, read_record
from aksci.deploy.rollback import choose_release
from aksci.deploy.rollout import Hands, ServiceResult
from aksci.deploy.status import EnvironmentStatus, read_status
from aksci.deploy.validate_pod import PodEngine

__all__ = [
    "Cluster",
    "ClusterState",
    "DeployPlan",
    "DeployResult",
    "EnvironmentStatus",
    "Finding",
    "Hands",
    "Helm",
    "LintTools",
    "Lock",
    "PodEngine",
    "Record",
    "Release",
    "ServicePlan",
    "ServiceRelease",
    "ServiceResult",
    "apply_deploy",
    "choose_release",
    "connect",
    "deploy_release",
    "hold_lock",
    "lint_project",
    "plan_deploy",
    "read_record",
    "read_state",
    "read_status",
]
