"""Cascades: what stands on images that changed is made again."""

from __future__ import annotations

from aksci.images.cascade.bases import PolicyBases
from aksci.images.cascade.choose import Choice, Chooser
from aksci.images.cascade.drift import Meanings
from aksci.images.cascade.groups import withheld
from aksci.images.cascade.model import EdgeDrift, EdgePolicy, Published
from aksci.images.cascade.outcomes import outcomes_of, planned_outcomes
from aksci.images.cascade.plan import Planned, plan_cascade
from aksci.images.cascade.policy import check_policy, policy_of
from aksci.images.cascade.published import read_published
from aksci.images.cascade.rebasing import Rebasing
from aksci.images.cascade.run import CascadeRun, ImageGate

__all__ = [
    "CascadeRun",
    "Choice",
    "Chooser",
    "EdgeDrift",
    "EdgePolicy",
    "ImageGate",
    "Meanings",
    "Planned",
    "PolicyBases",
    "Published",
    "Rebasing",
    "check_policy",
    "outcomes_of",
    "plan_cascade",
    "planned_outcomes",
    "policy_of",
    "read_published",
    "withheld",
]
