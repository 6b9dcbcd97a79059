"""What Helm and the programs that check files may take: an author of a chart decides what they do.

A template of thirty characters (``range until 1000000000``) takes all memory of a machine, and one
that calls itself twice has no end.
"""

from __future__ import annotations

from aksci.core.process import Limits

__all__ = ["LARGEST", "LIMITS", "ran_out"]

LARGEST = 16 * 1024 * 1024
"""Characters of a rendered chart. Its release is one Secret of 1 MiB, compressed."""
# Helm needs 80 MB and 0.1 s; for 5 MB of manifests 150 MB, and to lint 15,000 objects 13 s of work.
# hadolint checks 240 Dockerfiles with 60 MB in 2 s.
LIMITS = Limits(memory=512 << 20, cpu=20, output=LARGEST + 1)
"""One more than is read of it: what was cut off is refused, and never taken for the whole."""
_CRASHED = 2
"""Exit status of a program in Go that has no memory left (package runtime); Helm's own is 1."""


def ran_out(status: int) -> bool:
    """Tell whether a program in Go was ended because it took more than it may."""
    return status < 0 or status == _CRASHED
