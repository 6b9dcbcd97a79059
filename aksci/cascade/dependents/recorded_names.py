"""Which image a recorded reference means, however it was written.

``shop/base``, ``docker.io/shop/base:latest`` and ``localhost:5000/shop/base`` may all be one image
of this registry. So:

- this registry's own name, its port and case aside, is this registry; so is any name of this
  machine with the same port where the registry is on it;
- docker.io is this registry for each repository that exists here. That is how aksci records a
  project's own images, which have no host in Dockerfiles, and how a mirror is used. Who keeps a
  copy of a public image here and builds on the public one is thereby told when the copy moves;
- what is pinned by digest follows no tag and is nobody's dependent.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from aksci.core.errors import ConfigError
from aksci.oci.client import is_loopback
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Names", "TagName", "is_stable"]

_HUB = "docker.io"
_MARKS = re.compile(
    r"(?:in|unchecked)-[0-9a-f]{64}"  # of input keys: aksci.images.keys
    r"|verdict-[0-9a-f]{16}"  # of the scan gate
    r"|asked-[0-9a-f]{32}"  # aksci.cascade.dependents.ask_memory
    r"|sha(?:256|512)-[0-9a-f]{64,128}(?:\..*)?"  # of referrers, and cosign's .sig, .att, .sbom
)


class TagName(NamedTuple):
    """One tag of one repository."""

    registry: str
    """Empty: this one."""
    repository: str
    tag: str


class Names:
    """The references of one registry.

    :param repositories: all that it has.
    """

    def __init__(self, host: str, repositories: Collection[str]) -> None:
        self._host = _plain(host)
        self._repositories = frozenset(repositories)

    def place(self, reference: str) -> TagName | None:
        """Return what a reference means; None for a pinned digest and for what is no reference."""
        try:
            parsed = parse_reference(reference)
        except ConfigError:
            return None
        if parsed.digest:
            return None
        here = _plain(parsed.registry) == self._host or (
            parsed.registry == _HUB and parsed.repository in self._repositories
        )
        return TagName("" if here else parsed.registry.lower(), parsed.repository, parsed.tag)


def is_stable(tag: str) -> bool:
    """Tell whether a tag may be an image's name, and is no mark that a tool has set.

    Layer caches and releases have tags that an image might have, too: their manifests tell them.
    """
    return not _MARKS.fullmatch(tag)


@lru_cache(maxsize=1024)
def _plain(host: str) -> str:
    """Return one form for all names of a host that are certainly the same."""
    host = host.lower()
    try:
        if is_loopback(host):
            return f"localhost:{host.rpartition(':')[2]}"
    except ValueError:  # brackets around what is no address
        return host
    # The port of https, which a client may write or leave out.
    return host.removesuffix(":443")
