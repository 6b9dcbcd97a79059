"""The schemas of a chart's values: Helm fetches what they refer to, be it any file of the machine.

Helm 3.18 and later read ``$ref: file:///…``, and show what they find there where values don't fit.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aksci.core.errors import ConfigError
from aksci.core.strict_json import MALFORMED, require_shallow

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SCHEMA", "is_packed_chart", "require_own_schemas"]

SCHEMA = "values.schema.json"
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$schema"})
_LARGEST = 100 << 20
"""Bytes that a packed chart may unpack to, as Helm has it (MaxDecompressedChartSize)."""
_DEEPEST = 5
"""Charts packed in charts."""


def require_own_schemas(path: str, content: bytes) -> None:
    """Refuse a chart's file if it is, or has packed in it, a schema that refers to other files.

    Addresses (``https://…``) are left to Helm.

    :param path: for messages.
    :raises ConfigError: it does, or can't be unpacked.
    """
    for name, schema in _schemas(path, content, 0):
        try:
            require_shallow(schema)
            found = json.loads(schema)
        except MALFORMED:
            raise ConfigError(f"{name} is no JSON.") from None
        for reference in _references(found):
            if not _is_harmless(reference):
                raise ConfigError(
                    f"{name} refers to {reference!r}, which Helm would read from this machine.",
                    hint='write it into the schema itself: "$ref": "#/$defs/…".',
                )


def is_packed_chart(path: str) -> bool:
    """Tell whether Helm takes a file of a chart for another chart."""
    return path.endswith(".tgz") and path.split("/")[-2:-1] == ["charts"]


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


def _schemas(path: str, content: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    if path.rpartition("/")[2] == SCHEMA:
        yield path, content
    elif is_packed_chart(path):
        if depth > _DEEPEST:
            raise ConfigError(f"{path}: charts are packed in charts beyond reason.")
        for name, file in _unpacked(path, content):
            yield from _schemas(f"{path}: {name}", file, depth + 1)


def _unpacked(path: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:  # all members, as Go reads them
            raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise ConfigError(f"{path} unpacks to more than {_LARGEST >> 20} MiB.")
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
            for each in archive:
                if each.isfile() and (inner := archive.extractfile(each)):
                    yield each.name, inner.read()
    except (OSError, zlib.error, tarfile.TarError, ValueError, EOFError):
        raise ConfigError(f"{path} is no packed chart.") from None
