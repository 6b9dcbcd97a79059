"""Validate: run an image after its build, before anything is built on it or released."""

from __future__ import annotations

from aksci.images.validation.check import Check, plan_check, spec_hash
from aksci.images.validation.docker_engine import DockerEngine
from aksci.images.validation.engine import (
    LOG_LINES,
    MEMORY,
    ROOT_CAPABILITIES,
    SETTLE,
    Engine,
    Outcome,
    Task,
    end_of,
)
from aksci.images.validation.result import ARTIFACT_TYPE, Validation, find_passing, judge
from aksci.images.validation.validator import Validator

__all__ = [
    "ARTIFACT_TYPE",
    "LOG_LINES",
    "MEMORY",
    "ROOT_CAPABILITIES",
    "SETTLE",
    "Check",
    "DockerEngine",
    "Engine",
    "Outcome",
    "Task",
    "Validation",
    "Validator",
    "end_of",
    "find_passing",
    "judge",
    "plan_check",
    "spec_hash",
]
