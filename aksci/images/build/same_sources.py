"""The sources, read once more after a build: an engine reads them after their key was computed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from aksci.core.errors import BuildError, ConfigError
from aksci.images.context.hasher import TreeHasher
from aksci.images.graph import read_image
from aksci.images.keys import source_of, state_of

if TYPE_CHECKING:
    from aksci.images.inputs import Inputs
    from aksci.images.lookup import Lookup

__all__ = ["dockerfile_state", "require_unchanged"]


def dockerfile_state(lookup: Lookup, name: str) -> tuple[int, int]:
    """Return what changes when an image's Dockerfile is written, be it the same again."""
    with contextlib.suppress(OSError):
        state = (lookup.graph.root / lookup.graph.images[name].spec.dockerfile).stat()
        # Not the time of modification: any program may set that back.
        return state.st_ino, state.st_ctime_ns
    return 0, 0


def require_unchanged(lookup: Lookup, name: str, inputs: Inputs, written: tuple[int, int]) -> None:
    """Refuse an image whose sources are not those of its key any more.

    Files that were written count as changed even if they are again what they were: the engine
    may have read them in between (``git stash`` and ``git stash pop``).

    :param written: the state of the Dockerfile before.
    :raises BuildError: they differ, so that nobody knows which of the two was built.
    """
    root = lookup.graph.root
    try:
        image = read_image(root, inputs.image.spec, {}, triggers=inputs.image.triggers)
        # The run's own has its answers already, from before the build.
        fresh = TreeHasher(root, lookup.known)
        same = source_of(image, fresh).key == inputs.source.key
        same = same and state_of(image, fresh) == state_of(image, lookup.hasher)
        if image.dockerfile.text == inputs.image.dockerfile.text:  # else, a comment changed
            same = same and dockerfile_state(lookup, name) == written
    except (ConfigError, OSError):
        same = False
    if not same:
        raise BuildError(
            f"The sources of {name} changed while it was built: what was pushed is not marked "
            "as finished.",
            hint="nox -s build, once more.",
        )
