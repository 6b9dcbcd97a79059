"""Named contexts: what stands in for a stage or an image of a Dockerfile.

docker buildx build reference, "--build-context"; BuildKit brings the names into Docker's short
form, without ``:latest``, and compares those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DOCKER_IMAGE", "OUR_IMAGE", "context_name", "normalised_contexts", "substitute"]

OUR_IMAGE = "image:"
"""An image of this project follows."""
DOCKER_IMAGE = "docker-image://"
"""A reference follows. Every other value is a folder."""
# BuildKit keeps both names for itself: no named context takes the place of either.
_NEVER = frozenset({"scratch", "context"})


def context_name(name: str) -> str:
    """Return the name under which BuildKit looks for a context."""
    try:
        return parse_reference(name.lower()).familiar
    except ConfigError:
        # A stage may be called what no image can be, such as ``build-``.
        return name.lower()


def normalised_contexts(contexts: Mapping[str, str]) -> dict[str, str]:
    """Return named contexts under the names that BuildKit looks for, sorted."""
    return {context_name(name): value for name, value in sorted(contexts.items())}


def substitute(contexts: Mapping[str, str], name: str) -> str | None:
    """Return what stands in for a stage's or an image's name; None: the name is what it says.

    :param contexts: as ``normalised_contexts`` returns them.
    """
    # A digest means one image and no other: nothing stands in for it.
    if not contexts or name.lower() in _NEVER or "@" in name:
        return None
    return contexts.get(context_name(name))
