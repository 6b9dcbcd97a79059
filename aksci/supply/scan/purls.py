"""Package URLs as patterns: which packages one names.

Specification: package-url/purl-spec. A pattern's type, namespace and name must be equal to the
package's; its version, qualifiers and subpath must be where it has any.
"""

from __future__ import annotations

from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from packageurl import PackageURL

__all__ = ["covers", "parse_pattern", "parse_purl"]

_FOLDED = str.maketrans(ascii_uppercase + "_.", ascii_lowercase + "--")
_SHOWN = 200


@lru_cache(maxsize=65536)
def parse_purl(text: str) -> PackageURL:
    """Read a package URL.

    :raises ValueError: it is none, or one that is read as another one: with a blank, a control
        character or a slash at the end of its name, for example. A type and a name are required.
    """
    from packageurl import PackageURL

    purl = PackageURL.from_string(text)
    # The library reads generously: ``foo%0A`` as ``foo``, a Kelvin sign as ``k``. What one name is
    # accepted for must not be so for another one.
    head = unquote(text.partition("#")[0].partition("?")[0]).removeprefix("pkg:").lstrip("/")
    path = "/".join(filter(None, (purl.type, purl.namespace, purl.name)))
    version = f"@{purl.version}" if purl.version else ""
    if _alike(head) != _alike(path + version) or "\ufffd" in head:
        raise ValueError(f"{text[:_SHOWN]!r} can be read as {(path + version)[:_SHOWN]!r}")
    if purl.type == "npm":  # whose older packages may differ in case only; the library drops it
        return purl._replace(name=head.removesuffix(version).rpartition("/")[2])
    return purl


def _alike(text: str) -> str:
    """Return text without what package kinds leave open (purl-spec, "types"): case, ``_-.``."""
    return text.translate(_FOLDED)


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
