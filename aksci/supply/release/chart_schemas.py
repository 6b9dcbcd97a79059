"""The schemas of a chart's values: Helm fetches what they refer to, be it any file of the machine.

Helm 3.18 and later read ``$ref: file:///…``, and show what they find there where values don't fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aksci.core.errors import ConfigError
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.core.text import short_line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SCHEMA", "require_own_schema"]

SCHEMA = "values.schema.json"
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$schema"})


def require_own_schema(path: str, content: bytes) -> None:
    """Refuse a schema that refers to other files.

    Addresses (``https://…``) are left to Helm.

    :param path: for messages.
    :raises ConfigError: it does, or is no JSON.
    """
    try:
        found = parse_json(content)
    except MALFORMED:
        raise ConfigError(f"{path} is no JSON.") from None
    for reference in _references(found):
        if not _is_harmless(reference):
            raise ConfigError(
                f"{path} refers to {short_line(reference)!r}, which Helm would read from this "
                "machine.",
                hint='write it into the schema itself: "$ref": "#/$defs/…".',
            )


def _is_harmless(reference: str) -> bool:
    try:
        scheme = urlsplit(reference.strip()).scheme.lower()
    except ValueError:
        return False
    # Without a scheme, it is relative to the schema, and that is a file to Helm.
    return scheme in {"http", "https", "urn"} or reference.startswith("#") or not reference


def _references(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from (
                text for key, text in one.items() if key in _REFERENCES and isinstance(text, str)
            )
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
