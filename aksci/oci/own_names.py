"""Which repositories and tags of a registry are aksci's own. No image of a project may have them.

All that aksci writes beside images is below ``<project>/``, too. An image called ``release`` would
share its tags with the releases, so images' names are checked here. Code that writes more adds
its name here: a test looks for writers that are missing.
"""

from __future__ import annotations

import re

__all__ = [
    "CASCADES",
    "CHARTS",
    "RELEASES",
    "is_own_repository",
    "is_own_tag",
    "own_repository",
]

RELEASES = "release"
CHARTS = "charts"
"""One below it for each chart."""
CASCADES = "cascade"
"""Who was asked to run for which change."""
_OWN = (RELEASES, CHARTS, CASCADES)
_OWN_TAG = re.compile(
    r"(?:in|unchecked)-.*"  # of input keys: aksci.images.keys
    r"|cache-.*"  # of layer caches: aksci.images.build.build_run
    r"|verdict-.*"  # of the scan gate
    r"|sha(?:256|384|512)-.*",  # lists of referrers (OCI 1.1), and cosign's .sig, .att and .sbom
    re.DOTALL,
)


def own_repository(project: str, *words: str) -> str:
    """Return a repository of aksci's own, such as ``shop/charts/web``."""
    return "/".join((project, *words))


def is_own_repository(project: str, repository: str) -> bool:
    """Tell whether a repository, or one above it, is where aksci keeps something of a project."""
    return any(f"{repository}/".startswith(f"{project}/{word}/") for word in _OWN)


def is_own_tag(tag: str) -> bool:
    """Tell whether aksci or a signer may set a tag beside an image, to find something by it."""
    return bool(_OWN_TAG.fullmatch(tag))
