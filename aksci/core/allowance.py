"""How much one input may take: what its variables are filled in with, what is read of it."""

from __future__ import annotations

__all__ = ["LONGEST_VALUE", "Allowance"]

LONGEST_VALUE = 128 << 10
"""Characters of a variable's value: Linux hands no longer one to a program (execve(2),
MAX_ARG_STRLEN)."""


class Allowance:
    """So many characters, or bytes, for all texts together. Threads that share it need a lock.

    Twenty lines such as ``B=$A$A`` make a million characters of one, and forty more than a machine
    has memory.
    """

    def __init__(self, total: int) -> None:
        self._left = total

    def take(self, count: int) -> bool:
        """Take some of it; return whether so much was left."""
        self._left -= count
        return self._left >= 0
