"""A value that must not be printed."""

from __future__ import annotations

__all__ = ["Secret"]


class Secret:
    """Hold a value that prints as ``***``; ``reveal`` is the only way to it.

    It travels to programs by environment or stdin, never by argv.
    """

    # No __dict__: vars() and a debugger's dump of attributes show nothing.
    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        # A pickle, or a copy for another process, would hold the value in the clear.
        msg = "a Secret cannot be pickled"
        raise TypeError(msg)
