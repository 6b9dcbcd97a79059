"""The step ``validate``: run the images of a build that were not seen to run yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.environment import Environment
    from aksci.images.build.build_record import Build
    from aksci.images.validate.result import Validation

__all__ = ["validate"]


def validate(env: Environment, build: Build) -> Mapping[str, Validation]:
    """Run each image that neither our own runs nor a trusted signature have seen pass.

    >>> validate(env, env.last_build())["web"].finding  # doctest: +SKIP
    'it runs'

    :returns: name -> what was seen; empty where aksci.toml says ``validate = false``.
    :raises ValidationError: images don't run as they must; all of them are named.
    """
    build.require_environment(env.name)
    validator = env.validator
    if validator is None:
        return {}
    with env.reporter.group("validate"):
        results = validator.check_all({name: one.ref for name, one in build.images.items()})
    env.note("validate", {name: result.finding for name, result in results.items()})
    return results
