"""The conditions of a rebase: their names, what it means that they hold, what helps otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.images.rebase.model import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["STATIC", "condition"]

STATIC = (
    "plain-recipe",
    "stands-on-an-image",
    "no-run",
    "no-add",
    "no-workdir",
    "no-onbuild",
    "only-linked-copies",
    "numeric-owner",
    "known-names",
    "package-database",
    "base-used-once",
)
"""Those that the Dockerfile decides."""
_TEXTS = {
    "plain-recipe": (
        "the Dockerfile can be read for sure, and means the same for all platforms",
        "use BuildKit's own frontend, no contexts in place of the base, the same for all platforms",
    ),
    "stands-on-an-image": ("the final stage stands on an image", "begin it with FROM an image"),
    "no-run": (
        "the final stage runs nothing",
        "run it in another stage, and COPY --link --from= what it made",
    ),
    "no-add": (
        "the final stage has no ADD",
        "ADD in another stage, and COPY --link --from= what it brought",
    ),
    "no-workdir": (
        "the final stage has no WORKDIR",
        "set WORKDIR in the base, or let the program change its folder",
    ),
    "no-onbuild": ("there is no ONBUILD", "put what it does into the Dockerfiles that need it"),
    "only-linked-copies": (
        "all copies are linked",
        "write COPY --link without --chmod; set modes where the files come from",
    ),
    "numeric-owner": ("owners are numbers", "write --chown=UID:GID"),
    "known-names": (
        "what the final stage sets can be told without a build",
        "write names and ports out, or give their ARGs defaults",
    ),
    "package-database": (
        "no copy can hide a package manager's database",
        "copy to a folder that holds none, such as /app/ or /usr/local/bin/",
    ),
    "base-used-once": (
        "the base reaches the image in no other way",
        "take the files from another image than the final stage's base",
    ),
    "only-base-moved": (
        "nothing but the base has changed",
        "nothing to do: once the other images are as recorded, a rebase is enough",
    ),
    "image-readable": ("the image is as BuildKit writes it", "rebuild it once"),
    "no-attestations": (
        "nothing is attached to the index",
        "turn BuildKit's attestations off: aksci stores provenance and SBOM beside the image",
    ),
    "platforms": (
        "the image has the wanted platforms, and both bases have them",
        "build for platforms that the base has, and rebuild after a change of them",
    ),
    "old-base-readable": ("the old base is still there", "keep images that others stand on"),
    "new-base-readable": ("the new base can be read", "use an image that BuildKit or Docker made"),
    "same-platform": (
        "both bases call their platform the same",
        "use a base that keeps its variant and OS version",
    ),
    "base-is-prefix": (
        "the old base's layers are the image's lowest",
        "rebuild it once; let nothing squash or convert its layers",
    ),
    "own-layers": (
        "the image's own layers and history are those that the Dockerfile makes",
        "rebuild it once from the Dockerfile of today",
    ),
    "same-variables": (
        "the base's variables that the Dockerfile uses have the same values",
        "write the value out instead of using the base's variable",
    ),
    "same-shell": (
        "no command depends on a SHELL that changed",
        'write CMD and ENTRYPOINT as ["program", "argument"]',
    ),
    "same-workdir": (
        "no copy goes to a WORKDIR that changed",
        "write the destinations of COPY with a leading slash",
    ),
    "config-explained": (
        "base and Dockerfile explain the image's whole configuration",
        "rebuild it once; set labels in the Dockerfile",
    ),
}


def condition(name: str, problems: Iterable[str]) -> Condition:
    """Return a condition that holds where there is no problem."""
    good, remedy = _TEXTS[name]
    found = "; ".join(dict.fromkeys(problems))
    return Condition(
        name=name,
        holds=not found,
        detail=f"{found}. To make it hold: {remedy}." if found else f"{good}.",
    )
