"""Documents of our own, read back from files and clusters: JSON of a known shape, or an error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pydantic import TypeAdapter, ValidationError

__all__ = ["read_document"]

Kind = TypeVar("Kind")


def read_document(kind: type[Kind], content: str | bytes) -> Kind:
    """Read JSON as a dataclass: every value of exactly the type that is declared.

    Keys that it does not know are left out: a later version of aksci may have added them. It is not
    for documents with names of files, which JSON may hold and UTF-8 may not.

    :raises ValueError: the content is no JSON, or of another shape; the message is one line.
    """
    from pydantic import ValidationError

    adapter: TypeAdapter[Kind] = _adapter(cast("Hashable", kind))  # mypy: no class is hashable
    try:
        return adapter.validate_json(content, strict=True)
    except ValidationError as error:
        raise ValueError(_first(error)) from None


@cache
def _adapter(kind: type[Kind]) -> TypeAdapter[Kind]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _first(error: ValidationError) -> str:
    """Name the first thing that is wrong and where, without the content: it may hold anything."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
