"""Text of reports and of files that others wrote, made harmless."""

from __future__ import annotations

from typing import Any

from aksci.core.reporting import sanitise

__all__ = ["clean"]

_LONGEST = 200


def clean(value: Any, longest: int = _LONGEST) -> str:
    """Make a text one harmless line of bounded length; nothing becomes an empty text.

    What is clean stays as it is.
    """
    if value is None:
        return ""
    known = str(value).encode("utf-8", "replace").decode()  # JSON can hold half a surrogate pair
    text = " ".join(sanitise(known).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"
