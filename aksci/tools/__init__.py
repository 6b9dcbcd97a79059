"""The toolbox: pinned command-line tools, where they come from, and how they are verified."""

from __future__ import annotations

from aksci.tools.debian import ensure_packages
from aksci.tools.schemas import SCHEMA_LOCATION, ensure_schemas
from aksci.tools.toolbox import Toolbox

__all__ = ["SCHEMA_LOCATION", "Toolbox", "ensure_packages", "ensure_schemas"]
