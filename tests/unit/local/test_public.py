"""The room's public surface."""

from __future__ import annotations

import aksci.local


def test_the_public_names_are_sorted_and_exist():
    assert aksci.local.__all__ == sorted(aksci.local.__all__)
    assert all(hasattr(aksci.local, name) for name in aksci.local.__all__)
