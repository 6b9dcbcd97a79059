"""Read what a registry answers: digests, manifests, links, reasons."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aksci.core.errors import RegistryError
from aksci.core.strict_json import parse_json
from aksci.oci.manifest import OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LARGEST",
    "LARGEST_LIST",
    "LARGEST_MANIFEST",
    "error_code",
    "is_manifest",
    "media_type_of",
    "next_page",
    "reason_of",
    "require_same",
    "require_size",
    "root_cause",
]

LARGEST = 256 << 20
"""Bytes of one answer that are held in memory. What may be larger is streamed."""
LARGEST_MANIFEST = 8 << 20
"""Bytes of a manifest, as in containerd; registries need not take more than 4 MiB. Distribution
specification 1.1, "Pushing Manifests"."""
LARGEST_LIST = 64 << 20
"""Bytes of all pages of a list: a million tags, or ten times as many signatures as are read."""

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT = re.compile(r";\s*rel\s*=\s*\"?next\"?\s*(?:[;,]|$)", re.IGNORECASE)


def require_size(size: int, host: str, largest: int | None = None) -> None:
    """Refuse an answer that would fill the memory; it may have no end."""
    largest = LARGEST if largest is None else largest
    if size > largest:
        raise RegistryError(
            f"{host} answers with more than {largest >> 20} MiB, which is no answer to what was "
            "asked."
        )


def require_same(digest: str, expected: str, name: str) -> None:
    """Refuse a digest that is not the expected one; a tag expects nothing."""
    if ":" in expected and digest != expected:
        raise RegistryError(
            f"{name} has {digest} where {expected} was expected: damaged or replaced content."
        )


def is_manifest(content: bytes) -> bool:
    """Tell a manifest from the page of a web server that has one for any address."""
    try:
        document = parse_json(content)
    except ValueError:
        return False
    return isinstance(document, dict) and "schemaVersion" in document


def media_type_of(content: bytes) -> str:
    """Return the media type that a manifest itself names."""
    try:
        return str(parse_json(content)["mediaType"])
    except (ValueError, KeyError, TypeError):
        return OCI_MANIFEST


def next_page(headers: Mapping[str, str]) -> str:
    """Return where a list goes on, by its Link header (RFC 8288); empty at its end."""
    for address, parameters in _LINK.findall(headers.get("Link") or ""):
        if _NEXT.search(parameters):
            return str(address)
    return ""


def error_code(content: bytes) -> str:
    """Return the code of an OCI error body, such as ``NAME_UNKNOWN``, or nothing."""
    return _first_error(content)[0]


def reason_of(content: bytes) -> str:
    """Return ``: CODE: message`` from an OCI error body, or nothing."""
    code, message = _first_error(content)
    return f": {code}: {message}".rstrip(": ") if code else ""


def root_cause(error: BaseException) -> str:
    """Dig out the operating system's own words from under four layers of wrapping."""
    found: BaseException | None = error
    for _ in range(12):
        if isinstance(found, OSError) and found.strerror:
            return found.strerror.lower()
        following = getattr(found, "reason", None)
        if following is None and found is not None and found.args:
            following = found.args[0]
        if not isinstance(following, BaseException):
            following = found.__cause__ or found.__context__ if found else None
        if following is None or following is found:
            break
        found = following
    return str(found or error).strip().rstrip(".")


def _first_error(content: bytes) -> tuple[str, str]:
    """Return code and message of an error body. Distribution specification 1.1, "Error Codes"."""
    try:
        first = parse_json(content)["errors"][0]
        return str(first["code"]), str(first.get("message", ""))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return "", ""
