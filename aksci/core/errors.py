"""The exceptions that aksci raises on purpose.

::

    AksciError                     1   anything below; never raised itself
    ├── UsageError                 2   the command line was wrong
    ├── ConfigError                3   aksci.toml, a Dockerfile, a chart or a values file is wrong
    │   └── PartError              3   a part of one's own can't be loaded, or breaks its protocol
    ├── ToolError                  4   a command-line tool is missing and could not be installed
    │   └── DownloadError          4   a release or module could not be fetched or verified
    ├── PlatformError              5   the local platform could not start or stop
    │   ├── PortTakenError        51   a port that it needs is in use
    │   ├── PrivilegeError        52   root is needed
    │   └── DockerError           53   Docker Engine is missing or not running
    ├── RegistryError              6   the registry refused, failed or is unreachable
    │   ├── UnreachableError       6   nothing answered where the registry should be
    │   ├── NotFoundInRegistry     6   the registry answered 404 (the only "not there" that counts)
    │   ├── DamagedInRegistry      6   what is there is not what it should be
    │   └── UndecidedError         6   what images are based on can't be told: no plan
    ├── BuildError                 7   an image did not build
    │   ├── EngineError           18   the engine that builds can't be reached, made or started
    │   └── ValidationError       17   an image was built and does not run as it must
    ├── GateError                  8   the scan gate refused an image, or could not scan it
    ├── TrustError                 9   a signature is missing, wrong or could not be made
    ├── DeployError               10   Helm or Kubernetes refused the deployment
    │   ├── StepError             11   a pre or post step failed
    │   ├── RolloutError          12   the rollout failed and was rolled back
    │   ├── ClusterError          13   the cluster is unreachable
    │   ├── LockError             14   another run holds the lock
    │   └── PlanChangedError      19   what is to be done is not what the given plan says
    ├── DispatchError             21   another project's pipeline could not be asked to run
    ├── ProcessError              15   a program failed and nothing more specific is known
    │   └── ProcessTimeout        16   a program was stopped at its time-out
    ├── DiskFullError             28   no space left (as ENOSPC)
    └── Interrupted              130   Ctrl-C or SIGTERM (as 128 + SIGINT)

The number is the exit status of ``python -m aksci``. They are stable: scripts may rely on them.
0 is success, and 20 (``WORK_TO_DO``) says that there is work to do, where ``--exit-code`` asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    "PartError",
    "PlanChangedError",
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

WORK_TO_DO = 20
"""Exit status of ``--exit-code`` when there is work to do. It is no error."""


class AksciError(Exception):
    """Carry a message for the user, an optional hint, a stable code and an exit status.

    The message says what failed (with the value) and why. The hint says what helps.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n\nhint: {self.hint}" if self.hint else self.message


class UsageError(AksciError):
    """The command line was wrong."""

    code = "usage"
    exit_status = 2


class ConfigError(AksciError):
    """A file that the user wrote (aksci.toml, a Dockerfile, a chart…) is wrong or missing."""

    code = "config"
    exit_status = 3


class PartError(ConfigError):
    """A part of one's own can't be loaded, or is not what its protocol asks for."""

    code = "part"


class ToolError(AksciError):
    """A command-line tool is missing and could not be installed."""

    code = "tool"
    exit_status = 4


class DownloadError(ToolError):
    """A release or a module could not be fetched, or is not what its pin says."""

    code = "download"


class PlatformError(AksciError):
    """The embedded local platform could not start, stop or be repaired."""

    code = "platform"
    exit_status = 5


class PortTakenError(PlatformError):
    """A port that the platform needs is in use by somebody else."""

    code = "port-taken"
    exit_status = 51


class PrivilegeError(PlatformError):
    """Root is needed for what was asked."""

    code = "privilege"
    exit_status = 52


class DockerError(PlatformError):
    """The environment asks for Docker Engine, which is missing or not running."""

    code = "docker"
    exit_status = 53


class RegistryError(AksciError):
    """The registry refused, failed or is unreachable. It never means "not there"."""

    code = "registry"
    exit_status = 6


class UnreachableError(RegistryError):
    """Nothing answered where the registry should be: a name, a network or a proxy is wrong."""

    code = "registry-unreachable"


class NotFoundInRegistry(RegistryError):  # noqa: N818 - it reads as the answer that it is
    """The registry answered 404: the one answer that means "not there"."""

    code = "registry-not-found"


class DamagedInRegistry(RegistryError):  # noqa: N818 - it reads as the answer that it is
    """What is in the registry is not what it should be: whoever may push can have written it."""

    code = "registry-damaged"

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} is damaged: {why}.")
        self.why = why
        """A clause, for who has a better name for it."""


class UndecidedError(RegistryError):
    """Some images can't be planned. It holds what is known of the others."""

    code = "undecided"

    def __init__(self, message: str, *, plan: Any, undecided: tuple[Any, ...], hint: str) -> None:
        super().__init__(message, hint=hint)
        self.plan = plan
        """A ``BuildPlan`` of the images that could be planned, and only those."""
        self.undecided = undecided
        """An ``Undecided`` for each of the others."""


class BuildError(AksciError):
    """An image did not build."""

    code = "build"
    exit_status = 7


class EngineError(BuildError):
    """The engine that builds can't be reached, made or started. No image is at fault."""

    code = "engine"
    exit_status = 18


class ValidationError(BuildError):
    """An image was built, and does not run as it must."""

    code = "validation"
    exit_status = 17


class GateError(AksciError):
    """The scan gate refused an image, or could not scan it, which is the same."""

    code = "gate"
    exit_status = 8
    verdicts: Mapping[str, Any] | None = None
    """What was decided, by image; None where it could not be."""


class TrustError(AksciError):
    """A signature is missing, is wrong, or could not be made."""

    code = "trust"
    exit_status = 9


class DeployError(AksciError):
    """Helm or Kubernetes refused the deployment."""

    code = "deploy"
    exit_status = 10


class StepError(DeployError):
    """A step before or after the Kubernetes deployment failed."""

    code = "step"
    exit_status = 11


class RolloutError(DeployError):
    """The rollout failed; the message says why, and what was rolled back."""

    code = "rollout"
    exit_status = 12


class ClusterError(DeployError):
    """The cluster is unreachable."""

    code = "cluster"
    exit_status = 13


class LockError(DeployError):
    """Another run holds the lock of this environment."""

    code = "lock"
    exit_status = 14


class PlanChangedError(DeployError):
    """What is to be done is not any more what the given plan says; nothing was changed."""

    code = "plan-changed"
    exit_status = 19


class DispatchError(AksciError):
    """Another project's pipeline could not be asked to run, or may not have been."""

    code = "dispatch"
    exit_status = 21


class ProcessError(AksciError):
    """A program failed and nothing more specific is known."""

    code = "process"
    exit_status = 15

    def __init__(
        self, message: str, *, status: int, output: str = "", hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        """The program's exit status; negative when a signal ended it."""
        self.output = output
        """The end of what it wrote to stderr and stdout, redacted and sanitised."""


class ProcessTimeout(ProcessError):  # noqa: N818 - the standard word
    """A program was stopped, with its whole process group, at its time-out."""

    code = "process-timeout"
    exit_status = 16


class DiskFullError(AksciError):
    """No space is left on a file system that is needed."""

    code = "disk-full"
    exit_status = 28


class Interrupted(AksciError):  # noqa: N818 - the standard word
    """Ctrl-C or SIGTERM ended the run."""

    code = "interrupted"
    exit_status = 130
