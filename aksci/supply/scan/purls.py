"""Package URLs as patterns: which packages one names.

Specification: package-url/purl-spec. A pattern's type, namespace and name must be equal to the
package's; its version, qualifiers and subpath must be where it has any.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packageurl import PackageURL

__all__ = ["covers", "parse_pattern", "parse_purl"]


@lru_cache(maxsize=65536)
def parse_purl(text: str) -> PackageURL:
    """Read a package URL.

    :raises ValueError: it is none; a type and a name are required.
    """
    from packageurl import PackageURL

    return PackageURL.from_string(text)


def parse_pattern(text: str) -> PackageURL:
    """Read a package URL that has to name something.

    :raises ValueError: it is none, or one that is meant to match any package.
    """
    purl = parse_purl(text)
    if any(sign in str(part) for part in purl[:4] if part for sign in "*?"):
        msg = f"{text!r} has a wildcard: name the package"
        raise ValueError(msg)
    return purl


def covers(pattern: PackageURL, text: str) -> bool:
    """Tell whether a pattern names the package with this URL; without a URL, it never does."""
    try:
        purl = parse_purl(text)
    except ValueError:
        return False
    named: dict[str, Any] = pattern.to_dict()
    given: dict[str, Any] = purl.to_dict()
    if any(named[part] != given[part] for part in ("type", "namespace", "name")):
        return False
    if any(named[part] not in {None, given[part]} for part in ("version", "subpath")):
        return False
    qualifiers = given["qualifiers"] or {}
    return all(qualifiers.get(key) == value for key, value in (named["qualifiers"] or {}).items())
