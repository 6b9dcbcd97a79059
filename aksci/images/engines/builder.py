"""What a build engine is asked for, and the ``Builder`` protocol that engines implement."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from aksci.core.errors import AksciError, BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aksci.core.secret import Secret

__all__ = [
    "Attestations",
    "BuildCache",
    "BuildOutput",
    "BuildRequest",
    "BuildSecret",
    "BuildSsh",
    "Builder",
    "LazyBuilder",
]


@dataclass(frozen=True, kw_only=True)
class BuildSecret:
    """A secret for RUN --mount=type=secret. It is known by its id; its value is in no key."""

    id: str
    file: Path | None = None
    value: Secret | None = None
    """Passed to the engine through its environment."""


@dataclass(frozen=True, kw_only=True)
class BuildSsh:
    """What RUN --mount=type=ssh may log in with. It is in no key, as a secret is."""

    id: str
    keys: tuple[Path, ...] = ()
    """Private key files; none: the agent of SSH_AUTH_SOCK."""


@dataclass(frozen=True, kw_only=True)
class BuildCache:
    """The layer cache of one image in a registry."""

    ref: str
    """``registry/repository:tag``."""
    mode: Literal["min", "max"] = "max"
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Attestations:
    """What BuildKit attaches to an image: manifests in its index that are no platform's.

    They hold the times of the build, so each build gives the index another digest.
    """

    provenance: Literal["off", "min", "max"] = "off"
    sbom: str | None = None
    """The scanner image that makes it."""

    @property
    def words(self) -> tuple[str, ...]:
        """What is attached, as it counts in keys; empty: nothing."""
        found = [] if self.provenance == "off" else [f"provenance={self.provenance}"]
        return (*found, f"sbom={self.sbom}") if self.sbom else tuple(found)


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
    ssh: tuple[BuildSsh, ...] = ()
    cache: BuildCache | None = None
    attestations: Attestations = Attestations()
    contexts: Mapping[str, Path] = field(default_factory=dict)
    """Name of a BuildKit named context -> folder."""
    ignore: bytes | None = None
    """A .dockerignore that holds in place of the one on disk."""


@dataclass(frozen=True, kw_only=True)
class BuildOutput:
    """What an engine pushed."""

    digest: str
    provenance: Mapping[str, Any] | None
    """SLSA provenance of the build, where the engine tells it; of several platforms, by platform:
    ``{"linux/amd64": {…}, …}``."""


class Builder(Protocol):
    """A build engine. Its methods are called from several threads."""

    def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildOutput:
        """Build and push one image.

        :param on_line: receives steps as they begin, the build's own output indented by two spaces,
            and warnings, which begin with ``warning: ``.
        :raises BuildError: it did not build; the message ends in the failing step's output.
        """

    def stop(self) -> None:
        """End all builds that are running, now."""


@dataclass(kw_only=True)
class LazyBuilder:
    """Make the engine when the first build needs it: where nothing is built, nothing is started."""

    make: Callable[[], Builder]
    interrupt: Callable[[], None]
    """Ends what ``make`` has started."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _made: Builder | None = None
    _failed: AksciError | None = None
    _stopped: bool = False

    def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildOutput:
        """Build and push one image."""
        with self._lock:
            if self._stopped:
                raise BuildError(f"{request.name} was not built: the run was stopped.")
            # Not tried again for each image: it may take minutes to fail.
            if self._failed is not None:
                raise self._failed
            if self._made is None:
                try:
                    self._made = self.make()
                except AksciError as error:
                    self._failed = error
                    raise
        return self._made.build(request, on_line)

    def stop(self) -> None:
        """End all builds. No lock is taken: the engine may just be being made, for minutes."""
        self._stopped = True
        (self._made.stop if self._made is not None else self.interrupt)()
