"""What a build engine is asked for, and the ``Builder`` protocol that engines implement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aksci.secret import Secret

__all__ = ["BuildOutput", "BuildRequest", "BuildSecret", "Builder"]


@dataclass(frozen=True, kw_only=True)
class BuildSecret:
    """A secret for RUN --mount=type=secret. It is known by its id; its value is in no key."""

    id: str
    file: Path | None = None
    value: Secret | None = None
    """Passed to the engine through its environment."""


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """One build, all references in it resolved to digests."""

    name: str
    """The image's name, for messages."""
    dockerfile: Path
    context: Path
    target: str | None
    args: Mapping[str, str]
    platforms: tuple[str, ...]
    parents: Mapping[str, str]
    """Name of a BuildKit named context -> digest reference that it stands for."""
    annotations: Mapping[str, str]
    secrets: tuple[BuildSecret, ...]
    repository: str
    """``registry/repository`` to push to."""
    tag: str
    """For engines that can't push without one. It does not mark the build as finished."""
    fresh: bool
    """Don't use the layer cache."""
    timeout: float
    """Seconds."""


@dataclass(frozen=True, kw_only=True)
class BuildOutput:
    """What an engine pushed."""

    digest: str
    provenance: Mapping[str, Any] | None
    """SLSA provenance of the build, where the engine tells it."""


class Builder(Protocol):
    """A build engine. Its methods are called from several threads."""

    def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildOutput:
        """Build and push one image.

        :param on_line: receives lines of progress and of the build's own output.
        :raises BuildError: it did not build; the message ends in the failing step's output.
        """

    def stop(self) -> None:
        """End all builds that are running, now."""
