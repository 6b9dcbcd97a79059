"""Data for other programs: the only thing that goes to stdout."""

from __future__ import annotations

import json
import sys
from typing import Any

__all__ = ["show", "show_json"]


def show(text: str) -> None:
    """Write text to stdout, whatever characters its encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")


def show_json(document: Any) -> None:
    """Write a JSON document to stdout."""
    show(json.dumps(document, indent=2))
