"""The words of an image's description that a build engine gets as ``name=value``, or in a list.

buildx splits ``--build-arg`` and ``--build-context`` itself. A name with ``=`` in it would mean one
thing to buildx and another to us: a folder from outside of the project, say. Platforms, which it
splits, too, are read in ``images/platforms.py``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.text import short_line

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["require_argument_names", "require_context_name"]

# Dockerfile reference, "ARG"; BuildKit takes any word there. No program gets a NUL.
_ARGUMENT = re.compile(r"[^\s=\0]+")
# An image's reference, or a stage's name.
_CONTEXT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/:@-]*")


def require_argument_names(args: Mapping[str, str], where: str) -> None:
    """Refuse build arguments that a command line can't hold as they are.

    :raises ConfigError: one has no name, a name with ``=``, or a NUL.
    """
    for name, value in args.items():
        if not _ARGUMENT.fullmatch(name):
            raise ConfigError(
                f"{where}.args: {short_line(repr(name))} can't be the name of a build argument.",
                hint="a name is a word without =; args are a mapping NAME: value, or a list of "
                "NAME=value.",
            )
        if "\0" in value:
            raise ConfigError(f"{where}.args.{short_line(name)}: no argument can hold a NUL.")


def require_context_name(name: str, where: str) -> None:
    """Refuse a named context that no FROM, COPY or mount could mean.

    :raises ConfigError: it is called like no image and no stage.
    """
    if not _CONTEXT.fullmatch(name):
        raise ConfigError(
            f"{where}.contexts: {short_line(repr(name))} can't be the name of a context.",
            hint="it stands in for an image's reference or for a stage's name.",
        )
