"""One thing in a project's files that is legal, and most often not what is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["GraphWarning"]


@dataclass(frozen=True, kw_only=True, order=True)
class GraphWarning:
    """One cause, and where it stands."""

    message: str
    """With its place; on one line."""
    code: str
    """``HUB_NAME``, ``OTHER_TAG``, ``NEAR_NAME``, ``MIRRORED_FRONTEND``, ``UNUSED_ARG``,
    ``NO_SECRET``, ``NO_SSH``, ``GIT_FOLDER``, ``IGNORE_LINK`` or ``FUTURE_DATE``."""
    path: str
    """The file where it stands, or the first of several."""
    line: int = 0
    """0: the whole file."""
    images: tuple[str, ...] = ()
    """The images that it is about."""
    level: Literal["warning", "error"] = "warning"
    """``error``: a build of them is refused."""

    def as_json(self) -> dict[str, Any]:
        """Return it as the documents of ``graph`` and ``plan`` have it."""
        return {
            "code": self.code,
            "message": self.message,
            "path": self.path,
            "line": self.line,
            "images": list(self.images),
        }
