"""A build engine that makes tiny images in memory: ``MemoryBuilder``."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from aksci.core.errors import BuildError, RegistryError
from aksci.images.engines.builder import Builder, BuildOutput
from aksci.oci.references import ImageRef
from aksci.testing.sample_images import push_sample, push_sample_index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.images.engines.builder import BuildRequest
    from aksci.oci.registry import Registry

__all__ = ["MemoryBuilder"]

_BASE_DIGEST = "org.opencontainers.image.base.digest"  # image specification 1.1, "Annotations"
_RUNS = {"Entrypoint": ["/app"]}


class MemoryBuilder(Builder):
    """Makes an image of each request, and pushes it where the request says.

    The image has its base's layers below one of its own, which holds what the image was made of:
    its input key, target, build arguments and parents. So the same inputs give the same digest, a
    base that moved gives another one, and a finding can be the base's or the image's own.

    It runs no instruction of the Dockerfile, has no layer cache, and knows neither secrets nor
    attestations: whether a Dockerfile builds is BuildKit's to say. It is called from several
    threads.

    >>> from aksci.testing import MemoryWorld
    >>> builder = MemoryWorld().builder
    >>> builder.fail("web", "pip: no matching distribution")
    >>> builder.built  # after a build: the others, in the order in which they were finished
    []

    :param connect: returns the registry of a host.
    :param runs: image -> what a container of it runs; the others have an ENTRYPOINT. Empty:
        nothing, so that there is nothing to validate.
    """

    def __init__(
        self,
        connect: Callable[[str], Registry],
        *,
        runs: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._connect = connect
        self.runs = dict(runs or {})
        self.requests: list[BuildRequest] = []
        """All build requests, in the order in which they began; failed ones, too."""
        self.built: list[str] = []
        """Names of the images that were built, in the order in which they were finished."""
        self._failures: dict[str, str] = {}
        self._stopped = threading.Event()

    def fail(self, image: str, message: str = "it was told to fail") -> None:
        """Let the builds of an image fail with a message, until ``recover``."""
        self._failures[image] = message

    def recover(self) -> None:
        """Let everything build again."""
        self._failures.clear()

    def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildOutput:
        """Make and push one image."""
        self.requests.append(request)
        if self._stopped.is_set():
            raise BuildError(f"{request.name} was not built: the run was stopped.")
        on_line(f"make {request.name} in memory")
        if request.name in self._failures:
            raise BuildError(f"{request.name} did not build:\n\n{self._failures[request.name]}")
        try:
            digest = self._push(request)
        except RegistryError as error:
            raise BuildError(f"{request.name} did not build:\n\n{error.message}") from None
        self.built.append(request.name)
        return BuildOutput(digest=digest, provenance=_provenance(request))

    def stop(self) -> None:
        """Stop building."""
        self._stopped.set()

    def _push(self, request: BuildRequest) -> str:
        host, _, repository = request.repository.partition("/")
        made_of = {
            "key": request.tag,
            "target": request.target,
            "args": dict(sorted(request.args.items())),
            "parents": dict(sorted(request.parents.items())),
        }
        registry = self._connect(host)
        image: dict[str, Any] = {
            "files": {"etc/made-of.json": json.dumps(made_of).encode()},
            "runs": self.runs.get(request.name, _RUNS),
            "annotations": request.annotations,
            "base": self._base(request),
        }
        platforms = request.platforms
        if len(platforms) == 1:
            return push_sample(registry, repository, platform=platforms[0], **image).digest
        return push_sample_index(registry, repository, platforms=platforms, **image).digest

    def _base(self, request: BuildRequest) -> tuple[Registry, ImageRef] | None:
        """Find what the image is based on among its parents."""
        digest = request.annotations.get(_BASE_DIGEST)
        pins = [ImageRef.parse(pin) for pin in request.parents.values()]
        found = next((pin for pin in pins if pin.digest == digest), None)
        return (self._connect(found.registry), found) if found else None


def _provenance(request: BuildRequest) -> dict[str, Any]:
    """List the images that were used. SLSA provenance v0.2, "materials"."""
    pins = [ImageRef.parse(pin) for pin in request.parents.values()]
    return {
        "buildType": "https://aksci.dev/in-memory",
        "materials": [
            {
                "uri": f"pkg:docker/{pin.name}@{pin.digest}",
                "digest": {"sha256": pin.digest.partition(":")[2]},
            }
            for pin in pins
        ],
    }
