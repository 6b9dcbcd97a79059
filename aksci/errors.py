"""What a pipeline may catch, or raise itself: each error has a code and an exit status.

``except GateError`` catches what ended a scan; ``raise ValidationError("the smoke test failed")``
ends a session with exit status 17, told without a traceback, and recorded. The classes' tree and
their statuses are in ``aksci.core.errors``, which this re-exports.
"""

from __future__ import annotations

from aksci.core.errors import (
    WORK_TO_DO,
    AksciError,
    BuildError,
    ClusterError,
    ConfigError,
    DamagedInRegistry,
    DeployError,
    DiskFullError,
    DispatchError,
    DockerError,
    DownloadError,
    EngineError,
    GateError,
    Interrupted,
    LockError,
    NotFoundInRegistry,
    PlatformError,
    PortTakenError,
    PrivilegeError,
    ProcessError,
    ProcessTimeout,
    RegistryError,
    RolloutError,
    StepError,
    ToolError,
    TrustError,
    UndecidedError,
    UnreachableError,
    UsageError,
    ValidationError,
)

__all__ = [
    "WORK_TO_DO",
    "AksciError",
    "BuildError",
    "ClusterError",
    "ConfigError",
    "DamagedInRegistry",
    "DeployError",
    "DiskFullError",
    "DispatchError",
    "DockerError",
    "DownloadError",
    "EngineError",
    "GateError",
    "Interrupted",
    "LockError",
    "NotFoundInRegistry",
    "PlatformError",
    "PortTakenError",
    "PrivilegeError",
    "ProcessError",
    "ProcessTimeout",
    "RegistryError",
    "RolloutError",
    "StepError",
    "ToolError",
    "TrustError",
    "UndecidedError",
    "UnreachableError",
    "UsageError",
    "ValidationError",
]
