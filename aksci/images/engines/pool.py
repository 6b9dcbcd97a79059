"""Spread images over several engines: ``PoolBuilder``."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.core.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.images.engines.builder import Builder, BuildOutput, BuildRequest

__all__ = ["PoolBuilder"]


@dataclass(kw_only=True)
class PoolBuilder:
    """Give each image to the least busy engine, and go on without those that are lost.

    Engines share nothing but the registry: parents are named by digest, so it does not matter where
    they were built. A lost engine's image is built by another one; an image that failed to build is
    never tried again.
    """

    builders: Mapping[str, Builder]
    """By what people call them: their addresses."""
    tell: Callable[[str], None]
    """Receives one warning for each engine that is lost."""
    hint: str | None = None
    """What to do when none can be reached."""
    _busy: Counter[str] = field(default_factory=Counter, repr=False)
    _lost: dict[str, str] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildOutput:
        """Build and push one image.

        :raises EngineError: no engine can be reached.
        :raises BuildError: it did not build.
        """
        while True:
            engine = self._take(request.name)
            try:
                return self.builders[engine].build(request, on_line)
            except EngineError as error:
                self._lose(engine, error.message)
            finally:
                with self._lock:
                    self._busy[engine] -= 1

    def stop(self) -> None:
        """End all builds on all engines. No lock is taken: the interrupted code may hold it."""
        for builder in self.builders.values():
            builder.stop()

    def _take(self, image: str) -> str:
        """Choose the least busy engine; among equals always the same one for the same image.

        So an image's layers are mostly where they were made the last time.
        """
        with self._lock:
            alive = [engine for engine in self.builders if engine not in self._lost]
            if not alive:
                reasons = "\n".join(f"  {why}" for why in self._lost.values())
                raise EngineError(
                    f"{image} was not built: no engine can be reached.\n{reasons}", hint=self.hint
                )
            engine = min(alive, key=lambda one: (self._busy[one], _affinity(image, one)))
            self._busy[engine] += 1
            return engine

    def _lose(self, engine: str, why: str) -> None:
        with self._lock:
            if engine in self._lost:
                return
            self._lost[engine] = why
        self.tell(f"Going on without {engine}: {why}")


def _affinity(image: str, engine: str) -> str:
    # Not hash(): it differs from run to run, and the layers of the last one are to be found.
    return hashlib.sha256(f"{image}\0{engine}".encode()).hexdigest()
