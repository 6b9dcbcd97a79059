"""Images that a project does not build: which digest their names mean now."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from aksci.errors import RegistryError
from aksci.images.names import Reference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.registry import Registry

__all__ = ["BaseResolver"]

_HUB = "docker.io"
_FRONTENDS = frozenset({"docker/dockerfile", "docker/dockerfile-upstream"})
_HUB_HOST = "registry-1.docker.io"


class BaseResolver:
    """Resolve the names of external images, each once a run.

    :param mirror: a registry that stands in for docker.io: asked first, under the same repository.
    :param connect: returns the client of a registry's host.
    """

    def __init__(self, *, mirror: Registry | None, connect: Callable[[str], Registry]) -> None:
        self._mirror = mirror
        self._connect = connect
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._known: dict[str, str] = {}

    def __call__(self, reference: str) -> str:
        """Return the digest that a full reference means.

        :raises RegistryError: no registry has it, or one can't be asked.
        """
        with self._lock:
            lock = self._locks.setdefault(reference, threading.Lock())
        with lock:
            if reference not in self._known:
                self._known[reference] = self._resolve(parse_reference(reference))
            return self._known[reference]

    def _resolve(self, reference: Reference) -> str:
        if reference.digest:
            return reference.digest
        host = reference.registry
        if host == _HUB:
            if self._mirror is not None:
                digest = self._mirror.resolve(reference.repository, reference.tag)
                if digest is not None:
                    return digest
            host = _HUB_HOST
        try:
            digest = self._connect(host).resolve(reference.repository, reference.tag)
        except RegistryError as error:
            raise RegistryError(
                f"The base image {reference} can't be resolved. {error.message}",
                hint=self._hint(reference) or error.hint,
            ) from None
        if digest is None:
            raise RegistryError(
                f"The base image {reference} does not exist.", hint=self._hint(reference)
            )
        return digest

    def _hint(self, reference: Reference) -> str | None:
        """Say how the local mirror could have it, where there is one."""
        if self._mirror is None or reference.registry != _HUB:
            return None
        if reference.repository in _FRONTENDS:
            return (
                "without the internet, remove the Dockerfile's line # syntax=…: "
                "the platform's BuildKit reads Dockerfiles itself."
            )
        name = f"{reference.repository.removeprefix('library/')}:{reference.tag}"
        return (
            "without the internet, let `nox -s up` make it: in aksci.toml, "
            f'[local] seeds = {{ "{name}" = [] }}.'
        )
