"""BuildKit's progress (``--progress=rawjson``) as lines for people, and the failing step's log.

Each line is a ``SolveStatus`` of BuildKit's client package, as JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Progress"]

_TAIL = 40
_CACHE = ("importing cache manifest from ", "exporting cache to ")
"""How BuildKit names what it does with a cache. Their errors don't fail a build."""


class Progress:
    """Read the lines of one build.

    :param clean: redacts and sanitises: what a step printed is in base64 here, so nobody before
        could see what it says.
    """

    def __init__(self, on_line: Callable[[str], None], clean: Callable[[str], str]) -> None:
        self._on_line = on_line
        self._clean = clean
        self._names: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()
        self._logs: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_TAIL))
        self._partial: dict[str, str] = defaultdict(str)
        self._failed: tuple[str, str] | None = None
        self._plain: deque[str] = deque(maxlen=_TAIL)

    def line(self, text: str) -> None:
        """Take one line as buildx wrote it."""
        try:
            status = json.loads(text)
        except ValueError:
            status = None
        if not isinstance(status, dict):
            self._plain.append(
                self._clean(text)
            )  # buildx's own words, when it could not even start
            return
        for vertex in status.get("vertexes") or []:
            self._vertex(vertex)
        for log in status.get("logs") or []:
            self._log(log)
        for warning in status.get("warnings") or []:
            short = _decode(warning.get("short"))
            if short:
                self._on_line(f"warning: {self._clean(short)}")

    @property
    def step_failed(self) -> bool:
        """Whether a step of the build failed; else what went wrong is not the image's fault."""
        return self._failed is not None

    def failure(self) -> str:
        """Return the failing step, the end of its output and the error; else what buildx said."""
        if self._failed is None:
            return "\n".join(self._plain)
        digest, error = self._failed
        self._print(digest, [self._partial.pop(digest, "")])
        lines = [self._names.get(digest, ""), *self._logs[digest]]
        return "\n".join(f"  {line}" for line in (*lines, error) if line)

    def _vertex(self, vertex: dict[str, Any]) -> None:
        digest, name = vertex["digest"], self._clean(vertex.get("name", ""))
        self._names[digest] = name
        error = self._clean(vertex.get("error") or "")
        # Steps beside the failing one are cancelled, and say so.
        if error and "context canceled" not in error:
            if name.startswith(_CACHE):
                self._cache_failed(digest, name, error)
            elif self._failed is None:
                self._failed = (digest, error)
        if vertex.get("completed"):
            self._print(digest, [self._partial.pop(digest, "")])
        if name.startswith("[internal]"):
            return
        if vertex.get("completed") and vertex.get("cached"):
            self._tell(digest, f"{name} (cached)")
        elif vertex.get("started") and not vertex.get("completed"):
            self._tell(digest, name)

    def _cache_failed(self, digest: str, name: str, error: str) -> None:
        # A cache that nobody has written yet is as it should be at an image's first build.
        missing = name.startswith(_CACHE[0]) and error.endswith("not found")
        self._tell(digest, f"{name}: none yet" if missing else f"warning: {name}: {error}")

    def _tell(self, digest: str, text: str) -> None:
        if (digest, text) not in self._told:
            self._told.add((digest, text))
            self._on_line(text)

    def _log(self, log: dict[str, Any]) -> None:
        digest = log.get("vertex", "")
        text = self._partial.pop(digest, "") + _decode(log.get("data"))
        *whole, rest = text.split("\n")
        if rest:
            self._partial[digest] = rest
        self._print(digest, whole)

    def _print(self, digest: str, lines: list[str]) -> None:
        for line in lines:
            # A carriage return redraws the line: only the last drawing counts.
            shown = self._clean(line.rstrip("\r").rpartition("\r")[2])
            if shown.strip():
                self._logs[digest].append(shown)
                self._on_line(f"  {shown}")


def _decode(data: Any) -> str:
    try:
        return base64.b64decode(data or "").decode("utf-8", "replace")
    except (binascii.Error, TypeError, ValueError):
        return ""
