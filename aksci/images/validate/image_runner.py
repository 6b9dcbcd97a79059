"""What runs an image for its check: the ``ImageRunner`` protocol, its task and what it has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from aksci.core.text import sanitise

if TYPE_CHECKING:
    import threading
    from contextlib import AbstractContextManager

    from aksci.images.validate.checks import Check
    from aksci.oci.references import ImageRef

__all__ = [
    "HOSTNAME",
    "LOG_LINES",
    "MEMORY",
    "ROOT_CAPABILITIES",
    "SETTLE",
    "CheckOutcome",
    "CheckTask",
    "HttpAnswer",
    "ImageRunner",
    "ImageServer",
    "ServedImage",
    "choose_platform",
    "end_of",
]

SETTLE = 2.0
"""Seconds after which a process that still runs counts as started."""
MEMORY = 2**30
"""Bytes that the container may use."""
ROOT_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETUID",
)
"""What an image that runs as root keeps: enough to prepare folders and to become another user."""
HOSTNAME = "validate"
"""Of a container that aksci itself names."""
LOG_LINES = 40
_WIDTH = 500  # characters of a line that are kept


@dataclass(frozen=True, kw_only=True)
class CheckTask:
    """One image to run."""

    image: str
    ref: ImageRef
    platform: str
    """``linux/amd64``; empty where the engine does not know what it has."""
    check: Check
    run: str
    """The run's id, for labels."""


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """What an engine has seen; it judges nothing."""

    engine: str
    """``docker 20.10.24``."""
    started: bool
    refusal: str = ""
    """Why the runtime could not start the process, in its own words."""
    exit_code: int | None = None
    """None: it still ran when its time was over, or when its health check had passed."""
    healthy: bool = False
    out_of_memory: bool = False
    probe_output: str = ""
    """Of the last attempt."""
    log: str = ""
    """The end of it, sanitised and bounded."""
    seconds: float = 0
    """From the container's start on."""


class ImageRunner(Protocol):
    """Runs one container in isolation and always removes it. Safe in several threads."""

    def platforms(self) -> tuple[str, ...]:
        """Return what it runs without emulation, such as ``linux/amd64``; empty: unknown."""

    def run(self, task: CheckTask, halt: threading.Event) -> CheckOutcome:
        """Run an image until its check is decided.

        :raises RegistryError: it could not be pulled.
        :raises PlatformError: Docker Engine failed; :raises ClusterError: the cluster did.
        :raises Interrupted: ``halt`` was set.
        """

    def close(self) -> None:
        """Give back what it holds."""


class HttpAnswer(NamedTuple):
    """What came back for one request."""

    status: int
    """HTTP's; 0 where nothing answered."""
    text: str
    """The body; where nothing answered, why."""


class ServedImage(Protocol):
    """A container that runs until who made it removes it."""

    def ask(self, path: str, timeout: float) -> HttpAnswer:
        """Send GET to the port; ``timeout`` is in seconds. Safe in several threads."""

    def ended(self) -> CheckOutcome | None:
        """Return what has become of its process, or None while it runs."""


@runtime_checkable
class ImageServer(Protocol):
    """An ``ImageRunner`` that can also keep an image running."""

    def serve(
        self, task: CheckTask, port: int, halt: threading.Event
    ) -> AbstractContextManager[ServedImage]:
        """Start an image, with the rights of a check and one port; remove it in any case.

        Its network may lead outside, which a check's on Docker Engine does not.

        :param port: where the image listens, by TCP.
        :raises RegistryError: it could not be pulled.
        :raises PlatformError: Docker Engine failed; :raises ClusterError: the cluster did.
        """


def choose_platform(offered: tuple[str, ...], native: tuple[str, ...]) -> str | None:
    """Return the platform to run, or None; empty: the engine does not know, and shall choose.

    :param offered: the image's.
    :param native: what ``ImageRunner.platforms`` says.
    """
    if not native:
        return offered[0] if len(offered) == 1 else ""
    return next((platform for platform in offered if platform in native), None)


def end_of(text: str) -> str:
    """Return the last lines of a container's output, harmless and of bounded width."""
    lines = [line.rstrip() for line in sanitise(text).splitlines()]
    return "\n".join(line[:_WIDTH] for line in [line for line in lines if line][-LOG_LINES:])
