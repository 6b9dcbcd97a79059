"""Data for other programs: the only thing that goes to stdout."""

from __future__ import annotations

import json
import sys
from typing import Any

from aksci.reporting import sanitise

__all__ = ["show", "show_json"]


def show(text: str) -> None:
    """Write text to stdout, sanitised, whatever characters its encoding lacks."""
    _write(sanitise(text))


def show_json(document: Any) -> None:
    """Write a JSON document to stdout."""
    _write(json.dumps(document, indent=2))


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
