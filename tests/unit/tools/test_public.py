"""The room exports what others may use, and nothing by accident."""

from __future__ import annotations

import aksci.tools


def test_the_public_surface_is_sorted_and_exists():
    assert aksci.tools.__all__ == sorted(aksci.tools.__all__)
    assert all(hasattr(aksci.tools, name) for name in aksci.tools.__all__)
    assert {"Toolbox", "ensure_packages", "ensure_schemas"} <= set(aksci.tools.__all__)
