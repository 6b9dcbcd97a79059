"""Names that a public module looks up when they are first asked for: ``lazy_names``.

PEP 562. Importing one name loads the module that defines it, and no other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["lazy_names"]


def lazy_names(namespace: dict[str, Any], homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module.

    :param namespace: the module's ``globals()``.
    :param homes: name -> the module that defines it.
    """

    def look_up(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
        found = getattr(import_module(homes[name]), name)
        namespace[name] = found  # so that it is looked up once
        return found

    return look_up
