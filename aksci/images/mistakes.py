"""All mistakes in a project's Dockerfiles as one error."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from aksci.core.errors import ConfigError
from aksci.images.discovery.specs import INLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.config.models import Config
    from aksci.images.discovery.specs import ImageSpec

__all__ = ["for_each"]

_T = TypeVar("_T")


def for_each(
    specs: Mapping[str, ImageSpec], config: Config, work: Callable[[ImageSpec], _T]
) -> dict[str, _T]:
    """Do something for each image.

    :raises ConfigError: all that is wrong, at once: a foreign repository may well hold several
        Dockerfiles that no tool can read, such as templates.
    """
    done: dict[str, _T] = {}
    wrong: dict[str, ConfigError] = {}
    for name, spec in specs.items():
        try:
            done[name] = work(spec)
        except ConfigError as error:
            wrong[name] = error
    if wrong:
        raise _all_wrong(wrong, specs, config)
    return done


def _all_wrong(
    wrong: Mapping[str, ConfigError], specs: Mapping[str, ImageSpec], config: Config
) -> ConfigError:
    """Make one error of several; a Dockerfile that makes several images is told once."""
    causes = {(error.message, error.hint): error for error in wrong.values()}
    hints = list(dict.fromkeys(hint for _, hint in causes if hint))
    found = sorted({specs[name].dockerfile for name in wrong if name not in config.images})
    found = [one for one in found if not one.startswith(INLINE)]
    if found:  # by [discover]; what has a table is meant
        listed = ", ".join(f'"{dockerfile}"' for dockerfile in found)
        hints.append(f"leave out what is no image of this project: [discover] exclude = [{listed}]")
    messages = [message for message, _ in causes]
    if len(messages) > 1:
        messages.insert(0, f"{len(messages)} mistakes in Dockerfiles:")
    return ConfigError("\n".join(messages), hint="\n      ".join(hints) or None)
