"""The step ``sign``: a signature over each image of a build, with its verdict bound in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aksci.environment import Environment
    from aksci.images.build.build_record import Build
    from aksci.supply.scan.verdicts import Verdicts

__all__ = ["sign"]


def sign(env: Environment, build: Build, verdicts: Verdicts) -> tuple[str, ...]:
    """Sign what passed the gate; nothing is signed twice, and nothing if one image did not pass.

    >>> made = env.last_build()  # doctest: +SKIP
    >>> sign(env, made, scan(env, made))  # doctest: +SKIP
    ('web',)

    :returns: the images that were signed now; the others were signed just so before.
    :raises UsageError: build or verdicts are of another environment.
    :raises GateError: the policy refuses an image; nothing is signed then.
    :raises TrustError: an image is not trusted, or can't be signed.
    """
    from aksci.supply.sign.sign_build import sign_build

    build.require_environment(env.name)
    verdicts.require_environment(env.name)
    verdicts.require()
    with env.reporter.group("sign"):
        signed: tuple[str, ...] = ()
        if build.images:
            signed = sign_build(build, verdicts, signer=env.signer, trust=env.trust)
        env.reporter.line(f"{len(signed)} signed, {len(build.images) - len(signed)} signed before")
    env.note("sign", {"signed": sorted(signed)})
    return signed
