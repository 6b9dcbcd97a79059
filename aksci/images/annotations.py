"""How an image's manifest names its base.

Image specification 1.1, "Pre-Defined Annotation Keys".
"""

from __future__ import annotations

__all__ = ["BASE_DIGEST", "BASE_NAME"]

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
