"""A property that is computed once, whichever thread asks first: ``once``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["once"]

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801 - a decorator, read as ``property`` is
    """Compute a property when it is first read, and keep it. Other threads wait for it.

    ``functools.cached_property`` lets every thread compute it from Python 3.12 on, and before, one
    lock was for all objects. Here each property of each object has its own, so that what takes
    minutes holds up only those who need it. What raises is computed again by the next reader.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        known = instance.__dict__
        # ``setdefault`` of a dict with texts as keys can't be interrupted by another thread.
        # Reentrant: a property that reads itself by a detour ends in RecursionError, not in a
        # deadlock.
        with known.setdefault(f"{self._name} (lock)", threading.RLock()):
            # Again, now alone: another thread may have computed it while we waited.
            if self._name not in known:
                # From here on, Python finds it in the object and asks us no more.
                known[self._name] = self._compute(instance)
            found: T = known[self._name]
            return found
